"""An end to a search that has none of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hwnas.arguments import whole_number
from hwnas.cost import Budget
from hwnas.strategy.middleware import is_stopped
from hwnas.strategy.protocol import Derived, Outcome, Proposal, Strategy

__all__ = ["TrialLimit"]


@dataclasses.dataclass(frozen=True)
class TrialLimit:
    """Ends the search after a number of evaluations.

    Attributes:
        num_trials: that many are asked for.

    Raises:
        ConfigError: no whole number, or one below 1.
    """

    num_trials: int

    def __post_init__(self) -> None:
        whole_number("num_trials", self.num_trials, at_least=1)

    def wrap(self, strategy: Strategy) -> Strategy:
        """See `Middleware`."""
        return _Limited(strategy, self.num_trials)


class _Limited:
    """The strategy that `TrialLimit` makes."""

    def __init__(self, strategy: Strategy, num_trials: int) -> None:
        self._strategy = strategy
        self._num_left = num_trials

    def ask(self, num: int = 1) -> list[Proposal]:
        """What the strategy asks for, as long as the number is not reached."""
        proposals = self._strategy.ask(min(num, self._num_left)) if self._num_left else []
        self._num_left -= len(proposals)
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Hand it on."""
        self._strategy.tell(proposal, outcome)

    def should_stop(self, proposal: Proposal, step: int, score: float) -> bool:
        """Hand it on."""
        return is_stopped(self._strategy, proposal, step, score)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """What the strategy derives."""
        return self._strategy.derive(budgets)
