"""Middleware: what stands between a strategy and the evaluations that it asks for, and how it is put together.

`Chain(strategy, Filter(...), Deduplication())` reads from the outside in: a proposal of the strategy passes the
deduplication first and the filter last, an outcome the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hwnas.cost import Budget
from hwnas.errors import ConfigError
from hwnas.strategy.protocol import Derived, Outcome, Proposal, StopsTrials, Strategy

__all__ = ["Chain", "Middleware", "check_middleware", "is_stopped"]


class Middleware(Protocol):
    """A description of what is put around a strategy: plain data, without state.

    What is remembered of a search is in what `wrap` makes, so that one description serves many searches, and a search
    that is resumed by replay begins anew.
    """

    def wrap(self, strategy: Strategy) -> Strategy:
        """A strategy around this one; it hands `should_stop` on (`is_stopped`)."""
        ...


class Chain:
    """A strategy with middleware around it; a strategy itself.

    Args:
        strategy: a new one.
        middleware: the outermost first; an attribute afterwards.

    Raises:
        ConfigError: no strategy first, or something else than middleware behind it.
    """

    def __init__(self, strategy: Strategy, *middleware: Middleware) -> None:
        if isinstance(strategy, type) or not hasattr(strategy, "ask"):
            raise ConfigError(
                "A Chain begins with a strategy that asks for evaluations, made for its space; got "
                f"{strategy!r:.80}. Chains of strategies whose space comes later are in hwnas.strategy.unbound."
            )
        check_middleware(middleware)
        self.middleware = middleware
        for one in reversed(middleware):
            strategy = one.wrap(strategy)
        self._strategy = strategy

    def ask(self, num: int = 1) -> list[Proposal]:
        """What comes out of the strategy through the middleware."""
        return self._strategy.ask(num)

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """What goes to the strategy through the middleware."""
        self._strategy.tell(proposal, outcome)

    def should_stop(self, proposal: Proposal, step: int, score: float) -> bool:
        """Whether one of the middleware gives the evaluation up; see `StopsTrials`."""
        return is_stopped(self._strategy, proposal, step, score)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """What the strategy derives, as far as the middleware lets it."""
        return self._strategy.derive(budgets)


def check_middleware(given: Sequence[object]) -> None:
    """Refuse what cannot stand around a strategy.

    Raises:
        ConfigError: an object without `wrap`, or a class instead of what it makes.
    """
    for one in given:
        if isinstance(one, type) or not hasattr(one, "wrap"):
            raise ConfigError(
                "Behind the strategy a Chain takes middleware, as in Chain(strategy, Deduplication()); got "
                f"{one!r:.80}."
            )


def is_stopped(strategy: Strategy, proposal: Proposal, step: int, score: float) -> bool:
    """Whether a strategy, if it stops trials at all, gives this evaluation up."""
    return isinstance(strategy, StopsTrials) and strategy.should_stop(proposal, step, score)
