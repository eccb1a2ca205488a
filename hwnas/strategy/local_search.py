"""Local search: hill climbing over all neighbours, from random starts.

C. White, S. Nolen, Y. Savani: Exploring the Loss Landscape in Neural Architecture Search.
UAI 2021, arXiv:2005.02960, algorithm 1:

    pick v_1 at random, evaluate it; l(v_0) = infinity
    while l(v_i) < l(v_{i-1}): evaluate l(u) for all u in N(v_i); v_{i+1} = argmin of l(u) over N(v_i)

N(v) are the architectures that differ from v in one choice. `first_improvement` is the paper's "query until lower":
move to the first neighbour that is better. Where none is better, the search begins anew at another random architecture.

What differs: starts and neighbours keep the budgets. Where an option makes other choices active, theirs are drawn.
The first start is the best of the architectures told of before anything was asked, where there are any. No architecture
is evaluated twice: the outcome of one that was met before is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.arguments import truth, whole_number
from hwnas.cost import Budget, keeps_all, rows_within
from hwnas.space import INACTIVE, Architecture, Space
from hwnas.strategy.given import given_budgets, given_space
from hwnas.strategy.history import History
from hwnas.strategy.offspring import new_random
from hwnas.strategy.protocol import Derived, Outcome, Proposal

__all__ = ["LocalSearch"]

_NUM_DRAWS = 4


class LocalSearch:
    """Evaluates all neighbours of an architecture, moves to the best, and begins anew where none is better.

    It ends when every feasible architecture was proposed.

    Args:
        space: what may vary.
        budgets: hard limits that every proposal keeps.
        first_improvement: move as soon as a neighbour is better, instead of when all have been told.
        seed: starts, orders and drawn options are a function of it and of what was told.

    Raises:
        InfeasibleError: (when first asked) no architecture keeps the budgets.
    """

    def __init__(
        self, space: Space, budgets: Sequence[Budget] = (), *, first_improvement: bool = False, seed: int = 0
    ) -> None:
        self._space = given_space(space)
        self._budgets = given_budgets(budgets)
        self._first_improvement = truth("first_improvement", first_improvement)
        self._seed = whole_number("seed", seed, at_least=0)
        self._num_moves = 0
        self._proposed: dict[Architecture, None] = {}
        self._running: set[Architecture] = set()
        self._centre: Outcome | None = None  # what a neighbour must be better than; None: than nothing
        self._neighbours: list[Architecture] = []
        self._queue: list[Architecture] = []  # the neighbours that are still to be proposed
        self._history = History(space)

    def ask(self, num: int = 1) -> list[Proposal]:
        """New neighbours; none while the last of a neighbourhood run, or at the end."""
        while not self._queue and not self._running:
            if not self._move(np.random.default_rng([self._seed, self._num_moves])):
                return []
            self._num_moves += 1
        proposals = [Proposal(architecture=architecture) for architecture in self._queue[:num]]
        self._queue = self._queue[num:]
        self._proposed.update((proposal.architecture, None) for proposal in proposals)
        self._running.update(proposal.architecture for proposal in proposals)
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Remember the outcome; with `first_improvement`, the other neighbours are left if it is better."""
        self._running.discard(proposal.architecture)
        self._proposed[proposal.architecture] = None
        self._history.add(proposal, outcome)
        if not self._num_moves and keeps_all(proposal.architecture, self._budgets):
            self._neighbours.append(proposal.architecture)  # of another search's history: the best of it is the start
        if self._first_improvement and self._num_moves and self._better_neighbour() is not None:
            self._queue = []

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The best architecture told of that keeps `budgets`; see `History.derive`."""
        return self._history.derive(budgets)

    def _move(self, rng: np.random.Generator) -> bool:
        """To the best neighbour if that is better, else to a new start; False where none is left."""
        best = self._better_neighbour()
        if best is not None:
            self._centre = self._history.outcome(best)
            self._neighbours = self._around(best, rng)
        else:
            start = new_random(self._space, self._budgets, self._proposed, rng)
            if start is None:
                return False
            self._centre = None
            self._neighbours = [start]
        self._queue = [architecture for architecture in self._neighbours if architecture not in self._proposed]
        return True

    def _better_neighbour(self) -> Architecture | None:
        """The best neighbour, of those whose outcome is known, if it is better than the centre."""
        known = [(self._history.outcome(neighbour), neighbour) for neighbour in self._neighbours]
        ranks = [(outcome.rank, neighbour) for outcome, neighbour in known if outcome is not None]
        if not ranks:
            return None
        rank, best = max(ranks, key=lambda pair: pair[0])
        return best if self._centre is None or rank > self._centre.rank else None

    def _around(self, architecture: Architecture, rng: np.random.Generator) -> list[Architecture]:
        """The neighbours that keep the budgets, in random order: one for each other option of each active choice.

        Of several draws for the choices that an option makes active, the first within the budgets.
        """
        [codes] = self._space.encode([architecture]).tolist()
        rows: list[list[int]] = []
        changes: list[tuple[int, int]] = []  # of each row: the choice that is changed, and to what
        for position, choice in enumerate(self._space.choices):
            for code in range(choice.num_options):
                if codes[position] in (INACTIVE, code):
                    continue
                for _ in range(_NUM_DRAWS):
                    row, is_drawn = self._changed(codes, position, code, rng)
                    rows.append(row)
                    changes.append((position, code))
                    if not is_drawn:
                        break
        if not rows:
            return []
        kept: dict[tuple[int, int], list[int]] = {}
        for row, change, is_kept in zip(rows, changes, rows_within(rows, self._budgets), strict=True):
            if is_kept:
                kept.setdefault(change, row)
        neighbours = [self._space.architecture(row) for row in kept.values()]
        return [neighbours[place] for place in rng.permutation(len(neighbours))]

    def _changed(
        self, codes: Sequence[int], changed: int, code: int, rng: np.random.Generator
    ) -> tuple[list[int], bool]:
        """The codes with one choice changed, and whether others became active and were drawn."""
        row: list[int] = []
        is_drawn = False
        for position, old in enumerate(codes):
            if position == changed:
                row.append(code)
            elif not self._space.is_active(position, row):
                row.append(INACTIVE)
            elif old == INACTIVE:
                row.append(int(rng.integers(self._space.choices[position].num_options)))
                is_drawn = True
            else:
                row.append(old)
        return row, is_drawn
