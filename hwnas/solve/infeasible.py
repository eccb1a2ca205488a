"""Why no architecture keeps the budgets, and what could be achieved."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from hwnas.cost import Budget, CostTable, format_quantity
from hwnas.errors import BadInputError, InfeasibleError
from hwnas.solve.problem import Problem
from hwnas.solve.search import Deadline, Pool, k_best_of
from hwnas.space import Space

__all__ = ["check_each_alone", "infeasible"]

_PRECISION = 1e-9

_Least = list[tuple[Budget, float]]


def check_each_alone(budgets: Sequence[Budget], deadline: Deadline) -> None:
    """Raise where a budget cannot be kept even alone, which is quick to see.

    Raises:
        InfeasibleError: naming every such budget and its least achievable value.
    """
    least = []
    for budget in budgets:
        try:
            value: float | None = budget.cost.minimum().value
        except BadInputError:  # coupled too tightly for elimination
            value = _least(budget, (), deadline)
        if value is not None and value > budget.limit and not _is_kept_nearly(budget, value, deadline):
            least.append((budget, value))
    if least:
        described = "; ".join(f"{budget} (the least achievable is {_shown(value, budget)})" for budget, value in least)
        raise InfeasibleError(
            f"No architecture of the space keeps {described}. Raise the limit, or offer cheaper options.",
            least={budget.profiler: value for budget, value in least},
        )


def infeasible(budgets: Sequence[Budget], deadline: Deadline) -> InfeasibleError:
    """The error for budgets that can be kept one by one, but not together.

    Each budget is named with the least that its cost can be while all others are kept. Where the others
    contradict each other as well, only a smallest contradicting group is named.
    """
    group = list(budgets)
    least = _least_of_each(group, deadline)
    if not least:
        for budget in budgets:
            rest = [other for other in group if other is not budget]
            pool = _feasible(rest, budget.cost.space, deadline)
            if pool.complete and not len(pool.codes):
                group = rest
        least = _least_of_each(group, deadline)
    achievable = ", ".join(f"{budget.profiler} is at least {_shown(value, budget)}" for budget, value in least)
    return InfeasibleError(
        f"Each budget can be kept alone, but no architecture of the space keeps {' and '.join(map(str, group))} "
        f"together. While the others hold, {achievable or 'the least achievable is unknown: the time ran out'}. "
        "Raise one of the limits.",
        least={budget.profiler: value for budget, value in least},
    )


def _least_of_each(budgets: Sequence[Budget], deadline: Deadline) -> _Least:
    values = [(b, _least(b, [other for other in budgets if other is not b], deadline)) for b in budgets]
    return [(budget, value) for budget, value in values if value is not None]


def _least(budget: Budget, others: Sequence[Budget], deadline: Deadline) -> float | None:
    """The least cost while the other budgets hold; None where they do not, or where the time ran out."""
    cost = budget.cost
    if isinstance(cost, CostTable) and all(np.isfinite(term.values).all() for term in cost.terms):
        pool = k_best_of(Problem(-cost, others), 1, deadline)
        return float(cost.values(pool.codes)[0]) if pool.complete and len(pool.codes) else None
    # A maximum over rows is no objective for the solver: close in on the smallest limit that can be kept.
    pool = _feasible(others, cost.space, deadline)
    if not len(pool.codes):
        return None
    low, high = budget.limit, float(cost.values(pool.codes)[0])
    while high - low > _PRECISION * abs(high) and pool.complete:
        middle = (low + high) / 2
        pool = _feasible([*others, dataclasses.replace(budget, limit=middle)], cost.space, deadline)
        if len(pool.codes):
            high = float(cost.values(pool.codes)[0])
        else:
            low = middle
    return high if pool.complete else None


def _is_kept_nearly(budget: Budget, least: float, deadline: Deadline) -> bool:
    """Whether one costs less than the `least` by rounding: which of several sums is least depends on their order."""
    if least - budget.limit > _PRECISION * abs(least):
        return False
    pool = _feasible((budget,), budget.cost.space, deadline)
    return bool(len(pool.codes)) or not pool.complete


def _feasible(budgets: Sequence[Budget], space: Space, deadline: Deadline) -> Pool:
    """Any architecture within the budgets."""
    return k_best_of(Problem(CostTable(space), budgets), 1, deadline)


def _shown(value: float, budget: Budget) -> str:
    """The value for people; with its distance where four digits would make it look like the limit."""
    text = format_quantity(value, budget.unit)
    if text != format_quantity(budget.limit, budget.unit):
        return text
    return f"{text}, which is {value - budget.limit:.2g} {budget.unit} over the limit"
