"""Grid search: every architecture within the budgets, once, in the order of `Space.enumerate`.

Choices are decided one after the other, depth first. An option is taken only if, for each budget, the least cost of any
completion (`hwnas/strategy/completion.py`, exact unless choices are coupled very tightly) is within it, so that what
breaks a budget is left out branch by branch. Several budgets may each have a completion but none in common; such
branches are looked through to their end.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from hwnas.arguments import whole_number
from hwnas.cost import Budget, keeps_all
from hwnas.space import INACTIVE, Architecture, Space
from hwnas.strategy.completion import Completion, CompletionWalk
from hwnas.strategy.feasible import require_feasible
from hwnas.strategy.given import given_budgets, given_space
from hwnas.strategy.history import History
from hwnas.strategy.protocol import Derived, Outcome, Proposal

__all__ = ["GridSearch"]


class GridSearch:
    """Proposes all architectures that keep the budgets, each once, and ends.

    Args:
        space: what may vary; nothing of it is drawn.
        budgets: hard limits that every proposal keeps.
        seed: of no account; taken so that all strategies are made alike.

    Raises:
        InfeasibleError: (when first asked) no architecture keeps the budgets.
    """

    def __init__(self, space: Space, budgets: Sequence[Budget] = (), *, seed: int = 0) -> None:
        whole_number("seed", seed, at_least=0)
        self._space = given_space(space)
        self._budgets = given_budgets(budgets)
        self._remaining = self._feasible()
        self._history = History(space)

    def ask(self, num: int = 1) -> list[Proposal]:
        """The next architectures; none after the last."""
        return [Proposal(architecture=architecture) for architecture in itertools.islice(self._remaining, num)]

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Remember the outcome."""
        self._history.add(proposal, outcome)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The best architecture told of that keeps `budgets`; see `History.derive`."""
        return self._history.derive(budgets)

    def _feasible(self) -> Iterator[Architecture]:
        if len(self._budgets) > 1:  # one alone needs no solver: its walk ends at once where nothing keeps it
            require_feasible(self._space, self._budgets)
        num_found = 0
        completions = [Completion(budget.cost) for budget in self._budgets]
        limits = [b.limit + c.rounding for b, c in zip(self._budgets, completions, strict=True)]
        codes = [INACTIVE] * len(self._space.choices)

        def options(position: int, walks: Sequence[CompletionWalk]) -> Iterator[int]:
            """The codes of a choice with which each budget can still be kept."""
            if not self._space.is_active(position, codes):
                return iter((INACTIVE,))
            allowed = np.ones(self._space.choices[position].num_options, dtype=np.bool_)
            for walk, limit in zip(walks, limits, strict=True):
                allowed &= walk.least()[0] <= limit
            return iter(np.flatnonzero(allowed).tolist())

        walks = [completion.walk(1) for completion in completions]
        open_ = [(walks, options(0, walks))]
        while open_:
            walks, untried = open_[-1]
            code = next(untried, None)
            if code is None:
                open_.pop()
                continue
            codes[len(open_) - 1] = code
            if len(open_) == len(codes):
                architecture = self._space.architecture(codes)
                if keeps_all(architecture, self._budgets):
                    num_found += 1
                    yield architecture
                continue
            following = [walk.fork() for walk in walks]
            for walk in following:
                walk.decide(np.array([code]))
            open_.append((following, options(len(open_), following)))
        if not num_found:
            require_feasible(self._space, self._budgets)
