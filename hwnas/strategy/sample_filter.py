"""Filters: samples that are refused before they cost anything."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hwnas.cost import Budget, format_quantity
from hwnas.errors import BadInputError, ConfigError, StrategyError
from hwnas.profiler import Profiler
from hwnas.space import Architecture, Option
from hwnas.strategy.middleware import is_stopped
from hwnas.strategy.protocol import Derived, Outcome, Proposal, Strategy

__all__ = ["Filter", "LatencyFilter"]

Accepts = Callable[[Architecture], bool]


@dataclasses.dataclass(frozen=True)
class Filter:
    """Lets only those samples be evaluated that a function accepts.

    `Filter(lambda sample: profiler.profile(sample) < 300e6)`: what is refused is discarded and the strategy is asked
    again. A hard budget is better where the cost is a table: strategies then know what is feasible and need not try.

    Attributes:
        fn: from an architecture, a mapping from choice to option, to whether it may be evaluated.
        metric_for_invalid: told to the strategy as the score of what is refused (larger is better), so that a strategy
            that learns avoids it; None: it is told that the evaluation failed.
        patience: so many refusals in a row end the search with an error.

    Raises:
        ConfigError: something that cannot be called, a metric that is not finite, a patience below 1.
    """

    fn: Callable[[Architecture], bool]
    metric_for_invalid: float | None = None
    patience: int = dataclasses.field(default=1000, kw_only=True)

    def __post_init__(self) -> None:
        if not callable(self.fn):
            raise ConfigError(f"`fn` of a Filter must be a function of an architecture; got {self.fn!r:.80}.")
        _check(self.metric_for_invalid, self.patience)

    def wrap(self, strategy: Strategy) -> Strategy:
        """See `Middleware`."""
        return _Filtered(strategy, self._accepts, _LastRefused, self.metric_for_invalid, self.patience)

    def _accepts(self, architecture: Architecture) -> bool:
        try:
            accepted = self.fn(architecture)
        except Exception as error:
            raise StrategyError(
                f"The function of a Filter raised {type(error).__name__}: {error}. It got {dict(architecture)!r:.200}."
            ) from error
        if not isinstance(accepted, bool | np.bool_):
            raise StrategyError(f"The function of a Filter must give True or False; got {accepted!r:.80}.")
        return bool(accepted)


@dataclasses.dataclass(frozen=True)
class LatencyFilter:
    """Lets only those samples be evaluated whose latency a profiler says is at most a threshold.

    Attributes:
        profiler: of latencies in milliseconds.
        threshold_ms: the greatest latency accepted.
        metric_for_invalid, patience: as of `Filter`.

    Raises:
        BadInputError: a profiler without `profile`, or of another unit than milliseconds.
        ConfigError: a threshold that is not positive and finite, and as of `Filter`.
    """

    profiler: Profiler
    threshold_ms: float
    metric_for_invalid: float | None = dataclasses.field(default=None, kw_only=True)
    patience: int = dataclasses.field(default=1000, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.profiler, Profiler):
            raise BadInputError(
                f"A LatencyFilter needs a profiler, with `profile(architecture)`; got {type(self.profiler).__name__}."
            )
        unit = getattr(self.profiler, "unit", "ms")
        if unit != "ms":
            raise BadInputError(
                f"A LatencyFilter needs a profiler in milliseconds; this one's numbers are in {unit!r}. Use Filter."
            )
        if not (isinstance(self.threshold_ms, int | float) and 0 < self.threshold_ms < math.inf):
            raise ConfigError(f"`threshold_ms` must be positive and finite; got {self.threshold_ms!r}.")
        _check(self.metric_for_invalid, self.patience)

    def wrap(self, strategy: Strategy) -> Strategy:
        """See `Middleware`."""
        return _Filtered(strategy, self._accepts, self._nearest, self.metric_for_invalid, self.patience)

    def _accepts(self, architecture: Architecture) -> bool:
        return self.profiler.profile(architecture) <= self.threshold_ms

    def _nearest(self) -> _NearestMiss:
        return _NearestMiss(self.profiler, self.threshold_ms)


def _check(metric_for_invalid: float | None, patience: int) -> None:
    if metric_for_invalid is not None and not math.isfinite(metric_for_invalid):
        raise ConfigError(f"`metric_for_invalid` must be finite; got {metric_for_invalid}. None tells of a failure.")
    if patience < 1:
        raise ConfigError(f"`patience` must be at least 1; got {patience}.")


class _LastRefused:
    """What a plain function refused: there is no telling how near it was."""

    def __init__(self) -> None:
        self._last: Mapping[str, Option] = {}

    def add(self, architecture: Architecture) -> None:
        self._last = architecture

    def __str__(self) -> str:
        return f"the last was {dict(self._last)!r:.300}"


class _NearestMiss:
    """What came nearest to a threshold."""

    def __init__(self, profiler: Profiler, threshold_ms: float) -> None:
        self._profiler = profiler
        self._threshold_ms = threshold_ms
        self._least_ms = math.inf

    def add(self, architecture: Architecture) -> None:
        self._least_ms = min(self._least_ms, self._profiler.profile(architecture))

    def __str__(self) -> str:
        least, threshold = (format_quantity(value, "ms") for value in (self._least_ms, self._threshold_ms))
        return f"the nearest miss was {least}, the threshold is {threshold}"


class _Filtered:
    """The strategy that a filter makes."""

    def __init__(
        self,
        strategy: Strategy,
        accepts: Accepts,
        refusals: Callable[[], _LastRefused | _NearestMiss],
        metric_for_invalid: float | None,
        patience: int,
    ) -> None:
        self._strategy = strategy
        self._accepts = accepts
        self._refusals = refusals()
        failed = metric_for_invalid is None
        self._refused = Outcome(score=math.nan if metric_for_invalid is None else metric_for_invalid, failed=failed)
        self._patience = patience
        self._num_accepted = 0
        self._num_in_vain = 0
        self._evaluated: dict[Architecture, Outcome] = {}

    def ask(self, num: int = 1) -> list[Proposal]:
        """Proposals that are accepted.

        Raises:
            StrategyError: too many refusals in a row, or the function does not do what it should.
        """
        proposals: list[Proposal] = []
        while len(proposals) < num and (asked := self._strategy.ask(1)):
            if self._accepts(asked[0].architecture):
                proposals += asked
                self._num_accepted += 1
                self._num_in_vain = 0
                continue
            self._refusals.add(asked[0].architecture)
            self._num_in_vain += 1
            if self._num_in_vain >= self._patience:
                raise StrategyError(
                    f"A filter has refused {self._num_in_vain:,} samples in a row, after {self._num_accepted:,} that "
                    f"it accepted; {self._refusals}. Let it accept more, give the limit as a hard budget so that "
                    "strategies know what is feasible, or raise `patience`."
                )
            self._strategy.tell(asked[0], self._refused)
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Hand it on."""
        if not outcome.failed:
            self._evaluated[proposal.architecture] = outcome
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
        if self._accepts(derived.architecture):
            return derived
        kept = [a for a in self._evaluated if all(budget.holds(a) for budget in budgets)]
        if not kept:
            raise StrategyError(
                "The filter refuses what the strategy derived, and nothing that was evaluated keeps the budgets. Let "
                "it accept more, or evaluate more."
            )
        return Derived(
            architecture=max(kept, key=lambda architecture: self._evaluated[architecture].rank),
            note="the filter refuses what the strategy derived; this is the best evaluated one",
        )
