"""NSGA-II: several objectives at once, by non-dominated sorting.

K. Deb, A. Pratap, S. Agarwal, T. Meyarivan: A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II.
IEEE Transactions on Evolutionary Computation 6 (2002), https://doi.org/10.1109/4235.996017.

With parents P_t and children Q_t of N each (section III-C):

    R_t = P_t ∪ Q_t,  F = fast-non-dominated-sort(R_t)
    P_{t+1} = F_1 ∪ F_2 ∪ ... as long as they fit whole, the next front by falling crowding distance
    Q_{t+1}: two parents, each the winner of a binary tournament by i ≺_n j, i.e. i_rank < j_rank or
             (i_rank = j_rank and i_distance > j_distance), are crossed over and the child is mutated

Domination is the constrained one of section VI-A, by `Outcome.violation`: measured metrics over their limits.
`hwnas/strategy/domination.py` has the sorting, the distance and the domination.

What differs: the variables are choices, so that crossover takes each option from either parent, and mutation draws
another option. Budgets, which are known before anything is evaluated, are hard: a child over budget is drawn anew, then
repaired by the exact solver. Generations do not wait: a child's parents are those of the last selection, and one is
made as soon as N outcomes have been told since the one before. Nothing is proposed twice, as long as tries find
something new.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.arguments import finite_number, whole_number
from hwnas.cost import Budget
from hwnas.errors import StrategyError
from hwnas.space import Architecture, Space
from hwnas.strategy.domination import crowding_distances, front_numbers, objectives_of
from hwnas.strategy.given import given_budgets, given_space
from hwnas.strategy.history import History
from hwnas.strategy.offspring import new_child
from hwnas.strategy.protocol import Derived, Outcome, Proposal

__all__ = ["NSGA2"]


class NSGA2:
    """NSGA-II: a population that spreads along the front of all objectives.

    It never ends by itself. What it proposes is new, unless the tries to find such a one fail: then an architecture
    may be proposed again, as in a space that is exhausted.

    Args:
        space: what may vary.
        budgets: hard limits that every proposal keeps.
        population_size: parents; so many random architectures come first.
        crossover_prob: how often a child has two parents before it is mutated.
        mutation_prob: of each active choice; None is one over their number. At least one choice changes.
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
        population_size: int = 50,
        crossover_prob: float = 0.9,
        mutation_prob: float | None = None,
        seed: int = 0,
    ) -> None:
        if mutation_prob is not None:
            mutation_prob = finite_number("mutation_prob", mutation_prob, above=0, at_most=1, otherwise="or None")
        self._space = given_space(space)
        self._budgets = given_budgets(budgets)
        self._population_size = whole_number("population_size", population_size, at_least=2)
        self._crossover_prob = finite_number("crossover_prob", crossover_prob, at_least=0, at_most=1)
        self._mutation_prob = mutation_prob
        self._seed = whole_number("seed", seed, at_least=0)
        self._num_asked = 0
        self._proposed: set[Architecture] = set()
        self._parents: list[tuple[Architecture, Outcome]] = []
        self._merit: list[tuple[int, float]] = []  # of each parent: its front, then minus its crowding distance
        self._children: list[tuple[Architecture, Outcome]] = []
        self._num_objectives: int | None = None
        self._history = History(space)

    def ask(self, num: int = 1) -> list[Proposal]:
        """Random feasible architectures until the first selection, then children; asking never waits."""
        proposals = []
        for _ in range(num):
            rng = np.random.default_rng([self._seed, self._num_asked])
            draw = self._child if self._parents else None
            architecture = new_child(self._space, self._budgets, self._proposed, draw, rng)
            proposals.append(Proposal(architecture=architecture))
            self._proposed.add(architecture)
            self._num_asked += 1
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Add the architecture to the generation, unless it failed; a full generation chooses the next parents.

        Raises:
            StrategyError: another number of objectives than before.
        """
        self._proposed.add(proposal.architecture)  # of another search's history, too
        if outcome.failed:
            return
        num_objectives = len(objectives_of(outcome))
        if self._num_objectives not in (None, num_objectives):
            raise StrategyError(
                f"Every outcome must have the same objectives: {self._num_objectives} until now; got {num_objectives}. "
                "A metric told of failures or refusals must have one number for each."
            )
        self._num_objectives = num_objectives
        self._history.add(proposal, outcome)
        self._children.append((proposal.architecture, outcome))
        if len(self._children) == self._population_size:
            self._select()

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The best by the first objective, the score, of those told that keep `budgets`; see `History.derive`.

        One of a front must be handed on, and the score comes first; `Experiment.front` gives all.
        """
        return self._history.derive(budgets)

    def _select(self) -> None:
        """The elitist selection of the next parents; the last outcome of an architecture counts."""
        members = list(dict([*self._parents, *self._children]).items())
        outcomes = [outcome for _, outcome in members]
        fronts = front_numbers(outcomes)
        distances = np.zeros(len(members))
        for number in range(int(fronts.max()) + 1):
            front = np.flatnonzero(fronts == number)
            distances[front] = crowding_distances([outcomes[place] for place in front])
        merit = list(zip(fronts.tolist(), (-distances).tolist(), strict=True))
        chosen = sorted(range(len(members)), key=merit.__getitem__)[: self._population_size]
        self._parents = [members[place] for place in chosen]
        self._merit = [merit[place] for place in chosen]
        self._children = []

    def _child(self, rng: np.random.Generator) -> Architecture:
        child = self._tournament(rng)
        if rng.random() < self._crossover_prob:
            child = self._space.crossover(child, self._tournament(rng), rng)
        return self._space.mutate(child, rng, probability=self._mutation_prob)

    def _tournament(self, rng: np.random.Generator) -> Architecture:
        first, second = (int(place) for place in rng.integers(len(self._parents), size=2))
        return self._parents[min(first, second, key=self._merit.__getitem__)][0]
