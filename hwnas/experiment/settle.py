"""The loop around every strategy: derive, freeze, export, measure; over budget: tighten and derive again.

Predictions may be wrong, so what counts is the measurement of the exported network. A budget that
the measurement breaks is tightened by the factor by which it was broken, which excludes at least
the network just measured; then the strategy derives again, which is cheap. Where that went further than
it had to, because a measurement was noisy or one network's prediction worse than others', the aim is raised
again, up to `MAX_REFINEMENTS` times, and the last network that kept the budgets counts. Latency does not depend
on trained weights, so nothing is fine-tuned before its measurement holds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from hwnas.cost import Budget, format_quantity
from hwnas.errors import InfeasibleError
from hwnas.space import Architecture
from hwnas.strategy import Derived

__all__ = ["MAX_ATTEMPTS", "MAX_REFINEMENTS", "Attempt", "Measured", "settle"]

MAX_ATTEMPTS = 12
MAX_REFINEMENTS = 3
_SLACK = 0.95  # upper bound over limit below which a tightened aim is raised again


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
    """A derived architecture and what was predicted and measured of it, by profiler; how many it took."""

    derived: Derived
    predicted: Mapping[str, float]
    measured: Mapping[str, Measured]
    number: int

    def broken(self, budgets: Sequence[Budget]) -> list[Budget]:
        """The budgets that the measurement breaks."""
        return [budget for budget in budgets if self.measured[budget.profiler].upper > budget.limit]


def settle(
    derive: Callable[[Sequence[Budget]], Derived],
    measure: Callable[[Architecture], Mapping[str, Measured]],
    budgets: Sequence[Budget],
    *,
    margins: Mapping[str, float] | None = None,
) -> Attempt:
    """The first derived architecture that keeps every budget as measured.

    Args:
        derive: the strategy's; asked with limits no larger than the budgets'.
        measure: freezes, exports and measures an architecture; by profiler's name, all of the budgets'.
            Whoever goes on after a kill remembers what it gave before.
        budgets: the hard limits.
        margins: by profiler, the share of the limit that prediction leaves free (the noise floor). They are given up
            where nothing is predicted to keep them.

    Raises:
        InfeasibleError: no architecture keeps the budgets: by prediction, or as measured.
    """
    margins = margins or {}
    aims = {budget.profiler: budget.limit * (1.0 - margins.get(budget.profiler, 0.0)) for budget in budgets}
    starts, attempts = dict(aims), list[Attempt]()

    def tried(derived: Derived) -> Attempt:
        return Attempt(
            derived=derived,
            predicted={b.profiler: b.cost.value(derived.architecture) for b in budgets},
            measured=measure(derived.architecture),
            number=len(attempts) + 1,
        )

    while len(attempts) < MAX_ATTEMPTS:
        try:
            derived = derive([dataclasses.replace(b, limit=aims[b.profiler]) for b in budgets])
        except InfeasibleError as error:
            limits = {budget.profiler: budget.limit for budget in budgets}
            if not attempts and aims != limits:
                starts, aims = limits, dict(limits)
                continue
            if not attempts:
                raise
            raise _unmet(attempts, budgets, "and no other network is predicted to be cheap enough") from error
        attempt = tried(derived)
        attempts.append(attempt)
        if not attempt.broken(budgets):
            break
        for budget in attempt.broken(budgets):
            shrunk = attempt.predicted[budget.profiler] * budget.limit / attempt.measured[budget.profiler].upper
            aims[budget.profiler] = min(aims[budget.profiler], shrunk)
    else:
        raise _unmet(attempts, budgets, f"after {MAX_ATTEMPTS} attempts")

    best = attempt
    for _ in range(MAX_REFINEMENTS):
        aims = _raised(best, attempts, budgets, starts)
        derived = derive([dataclasses.replace(b, limit=aims[b.profiler]) for b in budgets])
        if derived.architecture in [attempt.derived.architecture for attempt in attempts]:
            break
        attempts.append(tried(derived))
        if not attempts[-1].broken(budgets):
            best = attempts[-1]
    return dataclasses.replace(best, number=len(attempts))


def _raised(
    best: Attempt, attempts: Sequence[Attempt], budgets: Sequence[Budget], starts: Mapping[str, float]
) -> dict[str, float]:
    """Aims between what the best attempt needs and what broke a budget; unchanged where there is little slack."""
    aims = {}
    for budget in budgets:
        name = budget.profiler
        predicted, upper = best.predicted[name], best.measured[name].upper
        broke = [a.predicted[name] for a in attempts if budget in a.broken([budget]) and a.predicted[name] > predicted]
        aims[name] = starts[name]
        if broke and upper < _SLACK * budget.limit:
            aims[name] = min(starts[name], predicted * budget.limit / upper, (predicted * min(broke)) ** 0.5)
        elif broke:
            aims[name] = predicted
    return aims


def _unmet(attempts: Sequence[Attempt], budgets: Sequence[Budget], why: str) -> InfeasibleError:
    closest = min(attempts, key=lambda attempt: max(attempt.measured[b.profiler].upper / b.limit for b in budgets))
    values = ", ".join(_compared(closest.measured[budget.profiler], budget) for budget in budgets)
    return InfeasibleError(
        f"Of {len(attempts)} derived network(s) none keeps the budgets as measured, {why}; the closest has {values}. "
        "Relax the budget, or measure again on an idle device.",
        least={b.profiler: closest.measured[b.profiler].value for b in closest.broken(budgets)},
    )


def _compared(measured: Measured, budget: Budget) -> str:
    numbers = (measured.value, measured.upper, budget.limit)
    value, upper, limit = (format_quantity(number, budget.unit) for number in numbers)
    bound = "" if measured.upper == measured.value else f", with 95 % confidence below {upper}"
    return f"{budget.profiler} {value}{bound} (at most {limit})"
