"""The loop around every strategy: derive, freeze, export, measure; over budget: tighten and derive again.

Predictions may be wrong, so what counts is the measurement of the exported network. A budget that
the measurement breaks is tightened by the factor by which it was broken, which excludes at least
the network just measured; then the strategy derives again, which is cheap. Latency does not depend on
trained weights, so nothing is fine-tuned before its measurement holds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from hwnas.cost import Budget, format_quantity
from hwnas.errors import InfeasibleError
from hwnas.space import Architecture
from hwnas.strategy import Derived

__all__ = ["Attempt", "Measured", "settle"]

MAX_ATTEMPTS = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """A quantity of an exported network, in its budget's unit.

    `value` is what is reported; `upper` is what must keep the limit: for a latency the upper 95 %
    bound of the corrected median, for what is counted the value itself.
    """

    value: float
    upper: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attempt:
    """One derived architecture and what was predicted and measured of it, by profiler."""

    derived: Derived
    predicted: Mapping[str, float]
    measured: Mapping[str, Measured]


def settle(
    derive: Callable[[Sequence[Budget]], Derived],
    measure: Callable[[Architecture], Mapping[str, Measured]],
    budgets: Sequence[Budget],
    *,
    margins: Mapping[str, float] | None = None,
    attempts: Sequence[Attempt] = (),
    finished: Callable[[Attempt], None] = lambda attempt: None,
) -> Attempt:
    """The first derived architecture that keeps every budget as measured.

    Args:
        derive: the strategy's; asked with limits that only ever shrink.
        measure: freezes, exports and measures an architecture; by profiler's name, all of the budgets'.
        budgets: the hard limits.
        margins: by profiler, the share of the limit that prediction leaves free (the noise floor).
        attempts: earlier failed attempts of the same call, when a search goes on where it was killed
            or where the final verification failed; they are not measured again.
        finished: told of every attempt as soon as it is measured.

    Raises:
        InfeasibleError: no architecture keeps the budgets: by prediction, or as measured.
    """
    aims = {b.profiler: b.limit * (1.0 - (margins or {}).get(b.profiler, 0.0)) for b in budgets}
    known = {attempt.derived.architecture: attempt for attempt in attempts}
    for attempt in attempts:
        aims = _tightened(aims, attempt, budgets)
    for _ in range(MAX_ATTEMPTS):
        try:
            derived = derive([dataclasses.replace(b, limit=aims[b.profiler]) for b in budgets])
        except InfeasibleError as error:
            if not known:
                raise
            raise InfeasibleError(
                f"{len(known)} derived network(s) measured over budget, and none predicted to be cheaper is left: {error}",
                least={b.profiler: min(a.measured[b.profiler].value for a in known.values()) for b in budgets},
            ) from error
        attempt = Attempt(
            derived=derived,
            predicted={b.profiler: b.cost.value(derived.architecture) for b in budgets},
            measured=measure(derived.architecture),
        )
        finished(attempt)
        if all(attempt.measured[b.profiler].upper <= b.limit for b in budgets):
            return attempt
        known[derived.architecture] = attempt
        aims = _tightened(aims, attempt, budgets)
    closest = min(known.values(), key=lambda a: max(a.measured[b.profiler].upper / b.limit for b in budgets))
    values = ", ".join(
        f"{b.profiler} {format_quantity(closest.measured[b.profiler].value, b.unit)} "
        f"(at most {format_quantity(b.limit, b.unit)})"
        for b in budgets
    )
    raise InfeasibleError(
        f"After {MAX_ATTEMPTS} attempts no derived network keeps the budgets as measured; the closest has {values}. "
        "The device may be busy: measure on an idle machine, or relax the budget.",
        least={b.profiler: closest.measured[b.profiler].value for b in budgets},
    )


def _tightened(aims: Mapping[str, float], attempt: Attempt, budgets: Sequence[Budget]) -> dict[str, float]:
    """Aims under which the attempt would not be derived again, as far as it broke the limits."""
    tightened = dict(aims)
    for budget in budgets:
        upper = attempt.measured[budget.profiler].upper
        if upper > budget.limit:
            predicted = attempt.predicted[budget.profiler]
            tightened[budget.profiler] = min(aims[budget.profiler], predicted * budget.limit / upper)
    return tightened
