"""Random search: uniform over the architectures that keep the budgets."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.arguments import whole_number
from hwnas.cost import Budget
from hwnas.space import Space
from hwnas.strategy.feasible import FeasibleDraws
from hwnas.strategy.given import given_budgets, given_space
from hwnas.strategy.history import History
from hwnas.strategy.protocol import Derived, Outcome, Proposal

__all__ = ["Random"]


class Random:
    """Proposes independent uniform draws from the feasible architectures; derives the best it was told.

    Args:
        space: what may vary.
        budgets: hard limits that every proposal keeps.
        seed: the n-th proposal is a function of (seed, n).

    Raises:
        ConfigError: no plain space, no budgets, or a wrong seed.
        InfeasibleError: no architecture keeps the budgets.
    """

    def __init__(self, space: Space, budgets: Sequence[Budget] = (), *, seed: int = 0) -> None:
        seed = whole_number("seed", seed, at_least=0)
        self._draws = FeasibleDraws(given_space(space), given_budgets(budgets), seed)
        self._num_asked = 0
        self._history = History(space)

    def ask(self, num: int = 1) -> list[Proposal]:
        """`num` random feasible architectures."""
        proposals = []
        for _ in range(num):
            proposals.append(Proposal(architecture=self._draws[self._num_asked]))
            self._num_asked += 1
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Remember the outcome."""
        self._history.add(proposal, outcome)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The best architecture told of that keeps `budgets`; see `History.derive`."""
        return self._history.derive(budgets)
