"""Regularised evolution.

Real, Aggarwal, Huang, Le: Regularized Evolution for Image Classifier Architecture Search.
AAAI 2019, arXiv:1802.01548, algorithm 1.

What differs from the paper: budgets are hard (the first population is uniform over feasible
architectures and a child over budget is drawn anew, then repaired by the exact solver), every choice
mutates with a probability instead of exactly one, crossover is optional, and the members of a tournament differ from
each other (the paper draws them with replacement). Members age from when their
outcome was told, as with the paper's parallel workers; a trial that failed never becomes a member.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from hwnas.arguments import finite_number, truth, whole_number
from hwnas.cost import Budget
from hwnas.errors import ConfigError
from hwnas.space import Architecture, Space
from hwnas.strategy.given import given_budgets, given_space
from hwnas.strategy.history import History
from hwnas.strategy.offspring import new_child
from hwnas.strategy.protocol import Derived, Outcome, Proposal

__all__ = ["RegularizedEvolution"]


class RegularizedEvolution:
    """Ageing evolution: a tournament's winner has a mutated child, and the oldest member dies.

    It never ends by itself. What it proposes is new, unless the tries to find such a one fail: then an architecture
    may be proposed again, as in a space that is exhausted.

    Args:
        space: what may vary.
        budgets: hard limits that every proposal keeps.
        population_size: members alive at a time; so many random ones come first.
        sample_size: members of a tournament.
        mutation_prob: of each active choice; None is one over their number. At least one choice changes.
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
        mutation_prob: float | None = None,
        crossover: bool = False,
        seed: int = 0,
    ) -> None:
        sample_size = whole_number("sample_size", sample_size, at_least=2)
        population_size = whole_number("population_size", population_size, at_least=1)
        if population_size < sample_size:
            raise ConfigError(
                f"`population_size` must be at least `sample_size` ({sample_size}); got {population_size}."
            )
        if mutation_prob is not None:
            mutation_prob = finite_number("mutation_prob", mutation_prob, above=0, at_most=1, otherwise="or None")
        self._space = given_space(space)
        self._budgets = given_budgets(budgets)
        self._population_size = population_size
        self._sample_size = sample_size
        self._mutation_prob = mutation_prob
        self._crossover = truth("crossover", crossover)
        self._seed = whole_number("seed", seed, at_least=0)
        self._num_asked = 0
        self._num_known = 0
        self._proposed: set[Architecture] = set()
        self._population: deque[tuple[Architecture, Outcome]] = deque(maxlen=population_size)
        self._history = History(space)

    def ask(self, num: int = 1) -> list[Proposal]:
        """Random feasible architectures as many as the population has, less the known ones, then children.

        Random ones go on while too few outcomes have been told for a tournament, so asking never waits.
        """
        proposals = []
        for _ in range(num):
            rng = np.random.default_rng([self._seed, self._num_asked])
            is_early = self._num_asked + self._num_known < self._population_size
            draw = None if is_early or len(self._population) < self._sample_size else self._child
            architecture = new_child(self._space, self._budgets, self._proposed, draw, rng)
            proposals.append(Proposal(architecture=architecture))
            self._proposed.add(architecture)
            self._num_asked += 1
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Put the architecture into the population, unless it failed; beyond its size the oldest dies."""
        if not outcome.failed:
            self._num_known += proposal.architecture not in self._proposed  # of another search's history
            self._population.append((proposal.architecture, outcome))
        self._proposed.add(proposal.architecture)
        self._history.add(proposal, outcome)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The best architecture told of that keeps `budgets`; see `History.derive`."""
        return self._history.derive(budgets)

    def _child(self, rng: np.random.Generator) -> Architecture:
        parent = self._tournament(rng)
        if self._crossover:
            parent = self._space.crossover(parent, self._tournament(rng), rng)
        return self._space.mutate(parent, rng, probability=self._mutation_prob)

    def _tournament(self, rng: np.random.Generator) -> Architecture:
        members = rng.choice(len(self._population), size=self._sample_size, replace=False)
        return max((self._population[i] for i in members), key=lambda member: member[1].rank)[0]
