"""Ranking by a cost among those that score alike."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from hwnas.arguments import real_number
from hwnas.cost import Budget
from hwnas.errors import BadInputError, StrategyError
from hwnas.profiler import Profiler
from hwnas.strategy.middleware import is_stopped
from hwnas.strategy.protocol import Derived, Outcome, Proposal, Strategy

__all__ = ["RankByCost"]


@dataclasses.dataclass(frozen=True)
class RankByCost:
    """Of two architectures with equal scores the cheaper one is better: the faster one, with a profiler of latency.

    Attributes:
        profiler: of the cost.

    Raises:
        BadInputError: a profiler without `profile`.
    """

    profiler: Profiler

    def __post_init__(self) -> None:
        if isinstance(self.profiler, type) or not isinstance(self.profiler, Profiler):
            raise BadInputError(
                f"RankByCost needs a profiler, with `profile(architecture)`; got {self.profiler!r:.80}."
            )

    def wrap(self, strategy: Strategy) -> Strategy:
        """See `Middleware`."""
        return _Ranked(strategy, self.profiler)


class _Ranked:
    """The strategy that `RankByCost` makes."""

    def __init__(self, strategy: Strategy, profiler: Profiler) -> None:
        self._strategy = strategy
        self._profiler = profiler

    def ask(self, num: int = 1) -> list[Proposal]:
        """What the strategy asks for."""
        return self._strategy.ask(num)

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Hand it on with what decides between equals.

        Raises:
            StrategyError: the profiler gave no number.
        """
        cost = self._profiler.profile(proposal.architecture)
        number = real_number(cost)
        if number is None or math.isnan(number):
            raise StrategyError(
                f"The profiler of a RankByCost must give a number; it gave {cost!r:.80} for "
                f"{dict(proposal.architecture)!r:.200}."
            )
        self._strategy.tell(proposal, dataclasses.replace(outcome, tie=-number))

    def should_stop(self, proposal: Proposal, step: int, score: float) -> bool:
        """Hand it on."""
        return is_stopped(self._strategy, proposal, step, score)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """What the strategy derives."""
        return self._strategy.derive(budgets)
