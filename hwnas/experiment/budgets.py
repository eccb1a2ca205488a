"""From what the user asked ("latency<=5ms", "macs<=60%") to budgets on profilers, and to one set for each network."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import Callable, Mapping, Sequence

from hwnas.cost import Budget, BudgetRequest, CostTable, LatencyTable, format_quantity, parse_budget
from hwnas.errors import BudgetError
from hwnas.nn import ModelSpace
from hwnas.profiler import (
    CostProfiler,
    FlopsProfiler,
    LatencyProfiler,
    NumParamsProfiler,
    PeakMemoryProfiler,
    SizeProfiler,
)
from hwnas.space import Space

__all__ = ["Profilers", "budget_identity", "budget_sets", "read_budgets", "resolve", "slug"]


_WITHOUT_DEVICE: Mapping[str, Callable[[ModelSpace], CostProfiler]] = {
    "macs": FlopsProfiler,
    "memory": PeakMemoryProfiler,
    "params": NumParamsProfiler,
    "size": SizeProfiler,
}


class Profilers:
    """The profilers of a space by name, each made when it is first asked for.

    Args:
        space: whose architectures are profiled.
        measure: gives the table of measured blocks; called once, and only for the profiler "latency".
    """

    def __init__(self, space: ModelSpace, measure: Callable[[], LatencyTable]) -> None:
        self._space = space
        self._measure = measure
        self._made: dict[str, CostProfiler] = {}

    @functools.cached_property
    def latency_table(self) -> LatencyTable:
        """The table of measured blocks, measured now if it is not yet."""
        return self._measure()

    def __getitem__(self, name: str) -> CostProfiler:
        """The profiler called `name`.

        Raises:
            BudgetError: there is none of that name, or it needs a device and none was given.
        """
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def table(self, name: str) -> CostTable:
        """The cost of a profiler whose cost is a sum: any but "memory".

        Raises:
            BudgetError: as `profilers[name]`.
        """
        cost = self[name].cost
        assert isinstance(cost, CostTable)
        return cost

    def _make(self, name: str) -> CostProfiler:
        if name == "latency":
            # A standard error is added to every measured block, because solvers love what was measured too low.
            return LatencyProfiler(self._space, self.latency_table, z=1.0)
        if name not in _WITHOUT_DEVICE:
            raise BudgetError(f"Nothing is called {name!r}; known are latency, {', '.join(sorted(_WITHOUT_DEVICE))}.")
        return _WITHOUT_DEVICE[name](self._space)


def resolve(request: BudgetRequest, profilers: Profilers) -> Budget:
    """A budget in the profiler's unit; a relative one is a share of the largest architecture's cost."""
    profiler = profilers[request.profiler]
    return profiler.at_most(request.limit(profiler.max() if request.relative else 0.0))


def budget_sets(budgets: Sequence[Budget]) -> list[tuple[Budget, ...]]:
    """One tuple of budgets for every network wanted: several limits on one profiler give several networks."""
    by_profiler: dict[str, list[Budget]] = {}
    for budget in budgets:
        limits = by_profiler.setdefault(budget.profiler, [])
        if budget.limit not in [known.limit for known in limits]:
            limits.append(budget)
    return list(itertools.product(*by_profiler.values()))


def slug(budgets: Sequence[Budget]) -> str:
    """A set of budgets as a name for files: "latency-5ms_params-4M"; "no-budget" without any."""
    texts = [f"{b.profiler}-{format_quantity(b.limit, b.unit).replace('µ', 'u')}" for b in budgets]
    return "_".join(re.sub(r"[^0-9A-Za-z.-]+", "", text) for text in texts) or "no-budget"


def read_budgets(
    space: Space | ModelSpace, budgets: Sequence[Budget | BudgetRequest | str]
) -> list[Budget | BudgetRequest]:
    """The budgets of an experiment, texts among them read.

    Raises:
        BudgetError: no list of budgets, one that cannot be read, two on one quantity, or text without a `ModelSpace`.
    """
    if isinstance(budgets, str) or not isinstance(budgets, Sequence):
        raise BudgetError(f"`budgets` must be a list; got {budgets!s}. Write [...] around a single one.")
    requests = [budget if isinstance(budget, Budget | BudgetRequest) else parse_budget(budget) for budget in budgets]
    names = [request.profiler for request in requests]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BudgetError(f"An experiment has one limit on each quantity; there are several on {twice[0]}. Give one.")
    texts = [request for request in requests if not isinstance(request, Budget)]
    if texts and not isinstance(space, ModelSpace):
        raise BudgetError(
            f"The budget {str(texts[0])!r} is on a network's cost, but a Space has no network. Give a ModelSpace, or a "
            "Budget with a table: CostTable.from_options."
        )
    return requests


def budget_identity(budget: Budget | BudgetRequest) -> str:
    """What tells budgets apart: the limit to its last bit, and a digest of the table that costs are read from."""
    if isinstance(budget, BudgetRequest):
        return str(budget)
    digest = hashlib.sha256()
    for row in [budget.cost] if isinstance(budget.cost, CostTable) else budget.cost.rows:
        digest.update(repr((row.constant, [(term.choices, term.values.tolist()) for term in row.terms])).encode())
    return f"{budget.profiler}<={float(budget.limit)!r} {budget.unit} (table {digest.hexdigest()[:16]})"
