"""Regularised evolution.

Real, Aggarwal, Huang, Le: Regularized Evolution for Image Classifier Architecture Search.
AAAI 2019, arXiv:1802.01548, algorithm 1.

What differs from the paper: budgets are hard (the first population is uniform over feasible
architectures and a child over budget is drawn anew, then repaired by the exact solver), every choice
mutates with a probability instead of exactly one, and crossover is optional.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from hwnas.cost import Budget
from hwnas.errors import ConfigError
from hwnas.space import Architecture, Space
from hwnas.strategy.feasible import repair, sample_feasible
from hwnas.strategy.history import History
from hwnas.strategy.protocol import Derived, Outcome, Proposal

__all__ = ["RegularizedEvolution"]

_NUM_TRIES = 20


class RegularizedEvolution:
    """Ageing evolution: a tournament's winner has a mutated child, and the oldest member dies.

    Args:
        space: what may vary.
        budgets: hard limits that every proposal keeps.
        population_size: members alive at a time; so many random ones come first.
        sample_size: members of a tournament.
        mutation_probability: of each active choice; None changes one choice in expectation.
        crossover: the child comes from the winners of two tournaments before it is mutated.
        seed: the n-th proposal is a function of (seed, n) and of what was told before it.

    Raises:
        ConfigError: a size or probability out of range.
        InfeasibleError: (when first asked) no architecture keeps the budgets.
    """

    def __init__(
        self,
        space: Space,
        budgets: Sequence[Budget] = (),
        *,
        population_size: int = 100,
        sample_size: int = 25,
        mutation_probability: float | None = None,
        crossover: bool = False,
        seed: int = 0,
    ) -> None:
        if sample_size < 2:
            raise ConfigError(f"`sample_size` must be at least 2; got {sample_size}.")
        if population_size < sample_size:
            raise ConfigError(
                f"`population_size` must be at least `sample_size` ({sample_size}); got {population_size}."
            )
        if mutation_probability is not None and not 0.0 < mutation_probability <= 1.0:
            raise ConfigError(f"`mutation_probability` must be over 0 and at most 1; got {mutation_probability}.")
        self._space = space
        self._budgets = tuple(budgets)
        self._population_size = population_size
        self._sample_size = sample_size
        self._mutation_probability = mutation_probability
        self._crossover = crossover
        self._seed = seed
        self._num_asked = 0
        self._population: deque[tuple[Architecture, float]] = deque(maxlen=population_size)
        self._history = History(space)

    def ask(self, num: int = 1) -> list[Proposal]:
        """Random feasible architectures until the population is full, then children."""
        proposals = []
        for _ in range(num):
            rng = np.random.default_rng([self._seed, self._num_asked])
            if self._num_asked < self._population_size or len(self._population) < self._sample_size:
                architecture = sample_feasible(self._space, self._budgets, 1, rng)[0]
            else:
                architecture = self._child(rng)
            proposals.append(Proposal(architecture=architecture))
            self._num_asked += 1
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Put the architecture into the population; beyond its size the oldest dies."""
        self._population.append((proposal.architecture, outcome.score))
        self._history.add(proposal, outcome)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The best architecture told of that keeps `budgets`; see `History.derive`."""
        return self._history.derive(budgets)

    def _child(self, rng: np.random.Generator) -> Architecture:
        child = self._tournament(rng)
        for _ in range(_NUM_TRIES):
            parent = self._tournament(rng)
            if self._crossover:
                parent = self._space.crossover(parent, self._tournament(rng), rng)
            child = self._space.mutate(parent, rng, probability=self._mutation_probability)
            if child not in self._history and all(budget.holds(child) for budget in self._budgets):
                return child
        return repair(self._space, child, self._budgets)

    def _tournament(self, rng: np.random.Generator) -> Architecture:
        members = rng.choice(len(self._population), size=self._sample_size, replace=False)
        return max((self._population[i] for i in members), key=lambda member: member[1])[0]
