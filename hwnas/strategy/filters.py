"""Which architectures a one-shot search may sample and hand on: a range of a cost, or any function.

A filter is a function from an architecture to whether it is accepted. What a `RangeProfilerFilter` accepts is known in
advance, as hard budgets, so that the solver finds the best accepted architecture and a range that nothing meets is
refused at once. What a user's own function accepts is found out by trying, a bounded number of times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hwnas.arguments import finite_number
from hwnas.cost import Budget, CostTable, MaxTable, format_quantity, keeps_all
from hwnas.errors import ConfigError, InfeasibleError
from hwnas.profiler import Profiler
from hwnas.solve import maximise
from hwnas.space import Architecture, Space
from hwnas.strategy.feasible import repair, require_feasible
from hwnas.strategy.given import given_profiler
from hwnas.strategy.penalties import require_profiler_of

__all__ = ["Accepts", "RangeProfilerFilter", "accepted", "check_filter", "limits_of"]

Accepts = Callable[[Architecture], bool]
"""Whether a search may use an architecture."""

_MAX_DRAWS = 100
_MAX_REPAIRS = 10


class RangeProfilerFilter:
    """Accepts what costs at least `min` and at most `max`, both included.

    Attributes:
        profiler: as given.
        min: in the profiler's unit; -inf for no lower end.
        max: in the profiler's unit; inf for no upper end.
    """

    def __init__(self, profiler: Profiler, min: float | None = None, max: float | None = None) -> None:
        """See the class.

        Args:
            profiler: of the cost. With a table the range becomes hard budgets, and a search solves under them; without
                one, architectures are only tried.
            min: the least cost, in the profiler's unit; None for no lower end.
            max: the greatest cost, in the profiler's unit; None for no upper end.

        Raises:
            ConfigError: a profiler without a method `profile`, no end at all, ends that are no finite numbers, or in
                the wrong order.
        """
        self.profiler = given_profiler("`profiler` of a RangeProfilerFilter", profiler)
        if min is None and max is None:
            raise ConfigError("RangeProfilerFilter needs `min`, `max` or both; got neither.")
        for name, value in (("min", min), ("max", max)):
            if value is not None:
                finite_number(name, value, otherwise="in the profiler's unit, or None")
        if min is not None and max is not None and min > max:
            raise ConfigError(f"`min` must be at most `max` ({max:g}); got {min:g}.")
        self.min = -math.inf if min is None else float(min)
        self.max = math.inf if max is None else float(max)

    def __call__(self, architecture: Architecture) -> bool:
        """Whether the architecture costs what it may.

        Raises:
            ArchitectureError: the profiler's space does not allow it.
        """
        return self.min <= self.profiler.profile(architecture) <= self.max

    def limits(self) -> tuple[Budget, ...]:
        """The range as hard budgets: the lower end is an upper bound on minus the cost, which no rounding changes.

        Without a table there are none. A maximum, such as peak memory, has none for its lower end, since "at least one
        row is large" is no bound on every row.
        """
        cost = getattr(self.profiler, "cost", None)
        limits = []
        if isinstance(cost, CostTable | MaxTable) and self.max < math.inf:
            limits.append(Budget(self._name, self.max, cost.unit, cost))
        if isinstance(cost, CostTable) and self.min > -math.inf:
            limits.append(Budget(f"-{self._name}", -self.min, cost.unit, -cost))
        return tuple(limits)

    @property
    def _name(self) -> str:
        return str(getattr(self.profiler, "name", type(self.profiler).__name__))

    def check(self, space: Space, strategy: str) -> None:
        """Refuse, before anything has run, a space that the filter is not for, or of which it accepts nothing.

        Raises:
            ConfigError: the profiler is of another space.
            InfeasibleError: no architecture is in the range; the achievable range is named.
        """
        require_profiler_of(self.profiler, space, what="filter", strategy=strategy)
        cost = getattr(self.profiler, "cost", None)
        if not isinstance(cost, CostTable | MaxTable):
            return
        try:
            require_feasible(space, self.limits())
        except InfeasibleError:
            raise self._nothing_in_range(cost) from None
        if isinstance(cost, MaxTable) and self.min > cost.maximum().value:
            raise self._nothing_in_range(cost)

    def _nothing_in_range(self, cost: CostTable | MaxTable) -> InfeasibleError:
        least, greatest = cost.minimum().value, cost.maximum().value
        bounds = [f">= {self._shown(self.min, cost)}"] if self.min > -math.inf else []
        bounds += [f"<= {self._shown(self.max, cost)}"] if self.max < math.inf else []
        achievable = f"from {self._shown(least, cost)} to {self._shown(greatest, cost)}"
        if isinstance(cost, CostTable) and self.min <= greatest and self.max >= least:  # a gap: both ends are given
            upper, lower = self.limits()
            below = cost.value(maximise(cost, [upper]).architecture)
            above = cost.value(maximise(-cost, [lower]).architecture)
            achievable += f", the nearest to the range {self._shown(below, cost)} and {self._shown(above, cost)}"
        return InfeasibleError(
            f"No architecture of the space has {self._name} {' and '.join(bounds)}; achievable are values "
            f"{achievable}. Widen the range.",
            least={self._name: least},
        )

    @staticmethod
    def _shown(value: float, cost: CostTable | MaxTable) -> str:
        return format_quantity(value, cost.unit)


def check_filter(filter: Accepts | None, space: Space, strategy: str) -> None:
    """`RangeProfilerFilter.check`, where the filter is one; of a function nothing is known in advance.

    Raises:
        ConfigError: neither None nor a function; or as there.
        InfeasibleError: as there.
    """
    if isinstance(filter, RangeProfilerFilter):
        filter.check(space, strategy)
    elif filter is not None and not callable(filter):
        middleware = " That is middleware, for a Chain: give its function, or a RangeProfilerFilter."
        remedy = middleware if hasattr(filter, "wrap") else ""
        raise ConfigError(
            f"The filter of {strategy} must be a RangeProfilerFilter, a function from an architecture to whether it "
            f"is accepted, or None; got {filter!r:.80}.{remedy}"
        )


def limits_of(filter: Accepts | None) -> tuple[Budget, ...]:
    """What is known in advance of a filter, as hard budgets: nothing of a function."""
    return filter.limits() if isinstance(filter, RangeProfilerFilter) else ()


def accepted(
    draw: Callable[[], Architecture], filter: Accepts | None, *, space: Space, budgets: Sequence[Budget] = ()
) -> Architecture:
    """A drawn architecture that the filter accepts and that keeps every budget; never loops for ever.

    Up to 100 draws are tried. After that up to ten of those out of the limits are repaired, the exact solver changing
    as few choices as possible.

    Args:
        draw: gives another architecture whenever it is called, from the strategy's own distribution.
        filter: what is accepted; None for everything.
        space: what may vary.
        budgets: hard limits beside the filter.

    Raises:
        InfeasibleError: no architecture keeps the budgets and the filter's range.
        ConfigError: a function that has refused everything.
    """
    limits = (*budgets, *limits_of(filter))
    drawn = []
    for _ in range(_MAX_DRAWS):
        drawn.append(draw())
        if keeps_all(drawn[-1], limits) and (filter is None or filter(drawn[-1])):
            return drawn[-1]
    over = [architecture for architecture in drawn if not keeps_all(architecture, limits)]
    for architecture in over[:_MAX_REPAIRS]:
        repaired = repair(space, architecture, limits)
        if filter is None or filter(repaired):
            return repaired
    raise ConfigError(
        f"The filter must accept some architecture: of {_MAX_DRAWS} that were drawn it refused "
        f"{_MAX_DRAWS - len(over)}, and {len(over)} were out of the limits, of which it refused "
        f"{min(len(over), _MAX_REPAIRS)} that were repaired. Let it accept more."
    )
