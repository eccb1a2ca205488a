"""Filters: samples that are refused before they cost anything."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from hwnas.arguments import finite_number, whole_number
from hwnas.cost import Budget, format_quantity
from hwnas.errors import BadInputError, ConfigError, StrategyError
from hwnas.profiler import Profiler
from hwnas.space import Architecture, Option
from hwnas.strategy.given import given_cost, given_profiler
from hwnas.strategy.middleware import is_stopped
from hwnas.strategy.protocol import Derived, Outcome, Proposal, Strategy
from hwnas.strategy.stand_in import StandIn, best_evaluated, check_stand_in, stand_in

__all__ = ["Filter", "LatencyFilter"]


@dataclasses.dataclass(frozen=True)
class Filter:
    """Lets only those samples be evaluated that a function accepts.

    `Filter(lambda sample: profiler.profile(sample) < 300e6)`: what is refused is discarded and the strategy is asked
    again. A hard budget is better where the cost is a table: strategies then know what is feasible and need not try.

    Attributes:
        fn: from an architecture, a mapping from choice to option, to whether it may be evaluated. Always the same for
            the same architecture, so that an interrupted search can be gone on with.
        metric_for_invalid: told to the strategy as the score of what is refused (larger is better; with several metrics
            one for each), so that a strategy that learns avoids it, and as being over measured limits by the most that
            anything was so far; None: it is told that the evaluation failed.
        patience: so many refusals in a row end the search with an error; with more it goes on in the same folder.

    Raises:
        ConfigError: something that cannot be called, a metric that is not finite, a patience below 1.
    """

    fn: Callable[[Architecture], bool]
    metric_for_invalid: StandIn = None
    patience: int = dataclasses.field(default=1000, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if not callable(self.fn):
            raise ConfigError(f"`fn` of a Filter must be a function of an architecture; got {self.fn!r:.80}.")
        _check(self.metric_for_invalid, self.patience)

    def wrap(self, strategy: Strategy) -> Strategy:
        """See `Middleware`."""
        return _Filtered(strategy, _ByFunction(self.fn), self.metric_for_invalid, self.patience)


@dataclasses.dataclass(frozen=True)
class LatencyFilter:
    """Lets only those samples be evaluated whose latency a profiler says is at most a threshold.

    Attributes:
        profiler: of latencies in milliseconds.
        threshold_ms: the greatest latency accepted.
        metric_for_invalid: as of `Filter`.
        patience: as of `Filter`.

    Raises:
        BadInputError: a profiler of another unit than milliseconds.
        ConfigError: a profiler without `profile`, a threshold that is not positive and finite, and as of `Filter`.
    """

    profiler: Profiler
    threshold_ms: float
    metric_for_invalid: StandIn = dataclasses.field(default=None, kw_only=True)
    patience: int = dataclasses.field(default=1000, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        given_profiler("`profiler` of a LatencyFilter", self.profiler)
        unit = getattr(self.profiler, "unit", "ms")
        if unit != "ms":
            raise BadInputError(
                f"A LatencyFilter needs a profiler in milliseconds; this one's numbers are in {unit!r}. Use Filter."
            )
        finite_number("threshold_ms", self.threshold_ms, above=0)
        _check(self.metric_for_invalid, self.patience)

    def wrap(self, strategy: Strategy) -> Strategy:
        """See `Middleware`."""
        judge = _ByLatency(self.profiler, self.threshold_ms)
        return _Filtered(strategy, judge, self.metric_for_invalid, self.patience)


def _check(metric_for_invalid: StandIn, patience: int) -> None:
    check_stand_in("metric_for_invalid", metric_for_invalid)
    whole_number("patience", patience, at_least=1)


class _Judge(Protocol):
    """Accepts or refuses, and remembers what came nearest to being accepted; its text says so."""

    def accepts(self, architecture: Architecture) -> bool: ...


class _ByFunction:
    """By a plain function: there is no telling how near a sample was, so that the last one refused is shown."""

    def __init__(self, fn: Callable[[Architecture], bool]) -> None:
        self._fn = fn
        self._last: Mapping[str, Option] = {}

    def accepts(self, architecture: Architecture) -> bool:
        try:
            accepted = self._fn(architecture)
        except Exception as error:
            raise StrategyError(
                f"The function of a Filter raised {type(error).__name__}: {error}. It got {dict(architecture)!r:.200}."
            ) from error
        if not isinstance(accepted, bool | np.bool_):
            raise StrategyError(f"The function of a Filter must give True or False; got {accepted!r:.80}.")
        if not accepted:
            self._last = architecture
        return bool(accepted)

    def __str__(self) -> str:
        return f"the last was {dict(self._last)!r:.300}"


class _ByLatency:
    """By a threshold."""

    def __init__(self, profiler: Profiler, threshold_ms: float) -> None:
        self._profiler = profiler
        self._threshold_ms = threshold_ms
        self._nearest_ms = math.inf

    def accepts(self, architecture: Architecture) -> bool:
        latency_ms = given_cost("The profiler of a LatencyFilter", self._profiler, architecture)
        if latency_ms <= self._threshold_ms:
            return True
        self._nearest_ms = min(self._nearest_ms, latency_ms)
        return False

    def __str__(self) -> str:
        nearest, threshold = (format_quantity(value, "ms") for value in (self._nearest_ms, self._threshold_ms))
        return f"the nearest miss was {nearest}, the threshold is {threshold}"


class _Filtered:
    """The strategy that a filter makes."""

    def __init__(self, strategy: Strategy, judge: _Judge, metric_for_invalid: StandIn, patience: int) -> None:
        self._strategy = strategy
        self._judge = judge
        self._metric_for_invalid = metric_for_invalid
        self._patience = patience
        self._num_accepted = 0
        self._num_in_vain = 0
        self._evaluated: dict[Architecture, Outcome] = {}
        self._largest_violation = 0.0

    def ask(self, num: int = 1) -> list[Proposal]:
        """Proposals that are accepted.

        Raises:
            StrategyError: too many refusals in a row, nothing but refusals to the strategy's end, or the function does
                not do what it should.
        """
        proposals: list[Proposal] = []
        while len(proposals) < num and (asked := self._strategy.ask(1)):
            if self._judge.accepts(asked[0].architecture):
                proposals += asked
                self._num_accepted += 1
                self._num_in_vain = 0
                continue
            self._num_in_vain += 1
            if self._num_in_vain >= self._patience:
                raise self._too_strict(f"{self._num_in_vain:,} samples in a row", ", or raise `patience`")
            self._strategy.tell(asked[0], stand_in(self._metric_for_invalid, violation=self._largest_violation))
        if not proposals and self._num_in_vain and not self._num_accepted:
            raise self._too_strict(f"all {self._num_in_vain:,} samples that the strategy had", "")
        return proposals

    def _too_strict(self, refused: str, further_remedy: str) -> StrategyError:
        return StrategyError(
            f"A filter has refused {refused}, after {self._num_accepted:,} that it accepted; {self._judge}. Let it "
            f"accept more, give the limit as a hard budget so that strategies know what is feasible{further_remedy}."
        )

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Hand it on."""
        if not outcome.failed:
            self._evaluated[proposal.architecture] = outcome
            self._largest_violation = max(self._largest_violation, outcome.violation)
        self._strategy.tell(proposal, outcome)

    def should_stop(self, proposal: Proposal, step: int, score: float) -> bool:
        """Hand it on."""
        return is_stopped(self._strategy, proposal, step, score)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """What the strategy derives where that is accepted, else the best that was evaluated and keeps the budgets.

        Raises:
            StrategyError: nothing that was evaluated keeps them.
        """
        derived = self._strategy.derive(budgets)
        if self._judge.accepts(derived.architecture):
            return derived
        return best_evaluated(self._evaluated, budgets, why="the filter refuses what the strategy derived")
