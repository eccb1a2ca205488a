"""SPOS: an evolutionary search over a supernet that was trained on uniform single paths.

Zichao Guo, Xiangyu Zhang, Haoyuan Mu, Wen Heng, Zechun Liu, Yichen Wei, Jian Sun: "Single Path One-Shot Neural
Architecture Search with Uniform Sampling", ECCV 2020, https://arxiv.org/abs/1904.00420, algorithm 1.

Every generation has `population_size` architectures within the budgets. The first is random; each other one is made of
the `num_top` best so far, over all generations: `num_crossover` children of two of them, `num_mutation` of one of them
in which every choice is drawn anew with `mutation_prob`, and random ones for what is left. Budgets are checked
before anything is evaluated. The other half of the paper, the training, is `SPOS.supernet_recipe`, with `macs_range`
for its uniform sampling over bins of MACs; candidates are scored with batch norm re-estimated.

What differs: budgets on any cost, any number of them. No architecture is proposed twice, in the whole search; where
children fail to be new and within the budgets in some tries, one is repaired by the exact solver, and failing that a
random one takes the place, so that a generation is always full until the space is exhausted. A mutation changes one
choice at least. A generation does not wait for the last outcomes of the one before: several evaluated at a time are
never idle, and its parents are the best of those told by then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch

from hwnas.arguments import finite_number, whole_number
from hwnas.cost import Budget, keeps_all
from hwnas.errors import ConfigError
from hwnas.space import Architecture, Space
from hwnas.strategy.feasible import repair
from hwnas.strategy.filters import Accepts, check_filter, limits_of
from hwnas.strategy.given import given_budgets, given_space
from hwnas.strategy.history import History
from hwnas.strategy.offspring import new_random
from hwnas.strategy.penalties import Penalty, check_reward_penalty
from hwnas.strategy.protocol import Derived, Outcome, Proposal
from hwnas.train import Recipe

__all__ = ["SPOS"]

_NUM_TRIES = 20


class SPOS:
    """Generations of the best architectures' children, under hard budgets.

    Args:
        space: what may vary.
        budgets: hard limits that every proposal keeps.
        population_size: architectures of a generation.
        num_top: the best so far, which have children.
        num_crossover: children of two parents, in every generation but the first.
        num_mutation: children of one parent.
        mutation_prob: of each active choice.
        num_generations: after so many the search has finished; the first, random one counts.
        penalty: on the score of an architecture, as a reward: its scale is negative for a cost that is not wanted.
        filter: what every proposal must be accepted by: a range of a profiler, or a function.
        seed: the n-th proposal is a function of (seed, n) and of what was told before it.

    Raises:
        ConfigError: a size or probability out of range; a penalty on expected costs or that favours costs; a penalty or
            a filter of another space; (when asked) a function that refuses everything.
        InfeasibleError: (when first asked) no architecture keeps the budgets and the filter's range.
    """

    supernet_recipe: ClassVar[Recipe] = Recipe(
        epochs=120,
        batch_size=1024,
        learning_rate=0.5,
        schedule="linear",
        weight_decay=4e-5,
        label_smoothing=0.1,
        gradient_clip=None,
        scheme="single_path",
    )
    """How the paper trains the supernet before: 150,000 steps on ImageNet."""

    def __init__(
        self,
        space: Space,
        budgets: Sequence[Budget] = (),
        *,
        population_size: int = 50,
        num_top: int = 10,
        num_crossover: int = 25,
        num_mutation: int = 25,
        mutation_prob: float = 0.1,
        num_generations: int = 20,
        penalty: Penalty | None = None,
        filter: Accepts | None = None,
        seed: int = 0,
    ) -> None:
        population_size = whole_number("population_size", population_size, at_least=1)
        num_top = whole_number("num_top", num_top, at_least=1)
        num_crossover = whole_number("num_crossover", num_crossover, at_least=0)
        num_mutation = whole_number("num_mutation", num_mutation, at_least=0)
        num_generations = whole_number("num_generations", num_generations, at_least=1)
        if num_crossover + num_mutation > population_size:
            raise ConfigError(
                f"`num_crossover` + `num_mutation` must be at most `population_size` ({population_size}); got "
                f"{num_crossover} + {num_mutation}."
            )
        mutation_prob = finite_number("mutation_prob", mutation_prob, above=0, at_most=1)
        space = given_space(space)
        check_reward_penalty(penalty, space, "spos")
        check_filter(filter, space, "spos")
        self._space = space
        self._budgets = (*given_budgets(budgets), *limits_of(filter))
        self._penalty = penalty
        self._filter = filter
        self._population_size = population_size
        self._num_top = num_top
        self._num_crossover = num_crossover
        self._num_mutation = num_mutation
        self._mutation_prob = mutation_prob
        self._num_proposals = num_generations * population_size
        self._seed = whole_number("seed", seed, at_least=0)
        self._proposed: dict[Architecture, None] = {}
        self._parents: list[Architecture] = []
        self._history = History(space)

    def ask(self, num: int = 1) -> list[Proposal]:
        """The next architectures of this generation; none after the last one, or when the space is exhausted."""
        proposals: list[Proposal] = []
        while len(proposals) < num and len(self._proposed) < self._num_proposals:
            place = len(self._proposed) % self._population_size
            if place == 0:
                if proposals:
                    break  # the next generation is asked for by itself, with the outcomes there are by then
                self._parents = [architecture for architecture, _ in self._history.feasible(())[: self._num_top]]
            architecture = self._next(place, np.random.default_rng([self._seed, len(self._proposed)]))
            if architecture is None:
                break
            self._proposed[architecture] = None
            proposals.append(Proposal(architecture=architecture))
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Remember the outcome, with the penalty in its score."""
        if self._penalty is not None:
            score = torch.tensor(outcome.score, dtype=torch.float64)
            score = self._penalty(score, probabilities={}, architecture=proposal.architecture)
            outcome = dataclasses.replace(outcome, score=float(score))
        self._history.add(proposal, outcome)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The best architecture told of that keeps `budgets`, which may be tighter; see `History.derive`.

        Raises:
            ConfigError: a repaired architecture that a function refuses; evaluate more.
        """
        derived = self._history.derive((*budgets, *limits_of(self._filter)))
        if self._filter is not None and not self._filter(derived.architecture):
            raise ConfigError(
                "No evaluated architecture keeps the tightened budgets, and the filter refuses the best as repaired."
                " Let it accept more, or give the search more generations."
            )
        return derived

    def _next(self, place: int, rng: np.random.Generator) -> Architecture | None:
        """A new architecture for a place in the generation; None if there is none left in the space."""
        if self._parents and self._space.size > 1 and place < self._num_crossover + self._num_mutation:
            child = self._child(self._crossover if place < self._num_crossover else self._mutant, rng)
            if child is not None:
                return child
        newcomer = new_random(self._space, self._budgets, self._proposed, rng, accepts=self._accepts)
        if newcomer is None and not self._proposed:
            raise ConfigError(
                "The filter must accept some architecture: it refused all that were drawn at random and all that the "
                "solver found then. Let it accept more."
            )
        return newcomer

    def _child(
        self, make: Callable[[np.random.Generator], Architecture], rng: np.random.Generator
    ) -> Architecture | None:
        """A new child within the budgets, the last one repaired if need be; None if that is not new."""
        child = None
        for _ in range(_NUM_TRIES):
            child = make(rng)
            if self._is_new(child):
                return child
        assert child is not None
        child = repair(self._space, child, self._budgets)
        return child if self._is_new(child) else None

    def _is_new(self, architecture: Architecture) -> bool:
        """Whether it may be proposed: within the budgets, accepted, and not proposed before."""
        return (
            architecture not in self._proposed
            and keeps_all(architecture, self._budgets)
            and self._accepts(architecture)
        )

    def _accepts(self, architecture: Architecture) -> bool:
        return self._filter is None or self._filter(architecture)

    def _crossover(self, rng: np.random.Generator) -> Architecture:
        first, second = (self._parents[i] for i in rng.integers(len(self._parents), size=2))
        return self._space.crossover(first, second, rng)

    def _mutant(self, rng: np.random.Generator) -> Architecture:
        parent = self._parents[rng.integers(len(self._parents))]
        return self._space.mutate(parent, rng, probability=self._mutation_prob)
