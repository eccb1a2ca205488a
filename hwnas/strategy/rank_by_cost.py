"""Ranking by a cost among those that score alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from hwnas.cost import Budget
from hwnas.profiler import Profiler
from hwnas.strategy.given import given_cost, given_profiler
from hwnas.strategy.middleware import is_stopped
from hwnas.strategy.protocol import Derived, Outcome, Proposal, Strategy

__all__ = ["RankByCost"]


@dataclasses.dataclass(frozen=True)
class RankByCost:
    """Of two architectures with equal scores the cheaper one is better: the faster one, with a profiler of latency.

    Attributes:
        profiler: of the cost.

    Raises:
        ConfigError: a profiler without `profile`.
    """

    profiler: Profiler

    def __post_init__(self) -> None:
        given_profiler("`profiler` of a RankByCost", self.profiler)

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
        cost = given_cost("The profiler of a RankByCost", self._profiler, proposal.architecture)
        self._strategy.tell(proposal, dataclasses.replace(outcome, tie=-cost))

    def should_stop(self, proposal: Proposal, step: int, score: float) -> bool:
        """Hand it on."""
        return is_stopped(self._strategy, proposal, step, score)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """What the strategy derives."""
        return self._strategy.derive(budgets)
