"""From what the user asked ("latency<=5ms", "macs<=60%") to budgets on profilers, and to one set for each network."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Mapping, Sequence

from hwnas.cost import Budget, BudgetRequest, CostTable, LatencyTable, format_quantity
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

__all__ = ["Profilers", "budget_sets", "resolve", "slug"]


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
        z: standard errors added to every measured block, because solvers love what was measured too low.
    """

    def __init__(self, space: ModelSpace, measure: Callable[[], LatencyTable], *, z: float = 1.0) -> None:
        self._space = space
        self._measure = measure
        self._z = z
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
            return LatencyProfiler(self._space, self.latency_table, z=self._z)
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
