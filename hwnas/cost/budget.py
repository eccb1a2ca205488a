"""Hard upper bounds: as a user writes them, and on a cost of a space."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwnas.arguments import real_number
from hwnas.cost.latency_table import LatencyTable
from hwnas.cost.max_table import MaxTable
from hwnas.cost.quantity import STANDARD_UNITS, format_quantity, parse_quantity
from hwnas.cost.table import CostTable
from hwnas.errors import BudgetError
from hwnas.space import Option

__all__ = ["Budget", "BudgetRequest", "keeps_all", "parse_budget", "relative_excess", "rows_within"]

_BUDGET = re.compile(r"\s*([^\s<>=≤≥!]+)\s*([<>=≤≥!]+)(.*)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Budget:
    """A hard upper bound on one profiler's cost: `cost <= limit`.

    Attributes:
        profiler: whose number it is, "latency" for example.
        limit: in `unit`; a plain float, whatever kind of number it was made from.
        unit: a standard unit ("ms", "bytes", "macs", "params") or a profiler's own.
        cost: in the same unit.
        table: for a latency, the measurements behind the cost: whoever has to keep the budget as measured finds the
            device there.
    """

    profiler: str
    limit: float
    unit: str
    cost: CostTable | MaxTable
    table: LatencyTable | None = dataclasses.field(default=None, hash=False)  # its mappings have no hash

    def __post_init__(self) -> None:
        """Check the limit and the units.

        Raises:
            BudgetError: a limit that is not finite, or a cost in another unit.
        """
        limit = real_number(self.limit)
        if limit is None or not math.isfinite(limit):
            raise BudgetError(
                f"The limit on {self.profiler} must be a finite number, in {self.unit or 'its unit'}; got "
                f'{self.limit!r:.80}. `parse_budget` reads a limit with a unit, as in "params<=4M".'
            )
        object.__setattr__(self, "limit", limit)
        if self.cost.unit and self.cost.unit != self.unit:
            raise BudgetError(
                f"The limit on {self.profiler} is in {self.unit!r} but its cost in {self.cost.unit!r}; convert one."
            )

    def holds(self, architecture: Mapping[str, Option]) -> bool:
        """Whether an architecture keeps the budget.

        Raises:
            ArchitectureError: the space does not allow it.
        """
        return self.cost.value(architecture) <= self.limit

    def __str__(self) -> str:
        return f"{self.profiler} <= {format_quantity(self.limit, self.unit)}"


def keeps_all(architecture: Mapping[str, Option], budgets: Iterable[Budget]) -> bool:
    """Whether an architecture keeps every budget.

    Raises:
        ArchitectureError: the space does not allow it.
    """
    return all(budget.holds(architecture) for budget in budgets)


def rows_within(codes: ArrayLike, budgets: Iterable[Budget]) -> NDArray[np.bool_]:
    """Whether each of the encoded architectures (n, num_choices) keeps every budget, (n,).

    Raises:
        ArchitectureError: codes of the wrong shape or out of range.
    """
    codes = np.asarray(codes)
    kept = np.ones(len(codes), dtype=np.bool_)
    for budget in budgets:
        kept &= budget.cost.values(codes) <= budget.limit
    return kept


def relative_excess(value: float, limit: float) -> float:
    """By how much a value is over its upper limit, as a share of it (of 1 for the limit 0); at most 0: it is kept."""
    return (value - limit) / (abs(limit) or 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BudgetRequest:
    """A budget as it was asked for, before it is known which space it is on.

    Attributes:
        profiler: a key of `STANDARD_UNITS`.
        value: in `unit`, or a fraction of the largest network's if `relative`.
        unit: the profiler's standard unit.
        relative: whether `value` is a fraction.
    """

    profiler: str
    value: float
    unit: str
    relative: bool = False

    def limit(self, largest: float) -> float:
        """The limit in `unit`, given what the largest network of the space has."""
        return self.value * largest if self.relative else self.value

    def __str__(self) -> str:
        """The canonical text; `parse_budget` reads it back to the last bit."""
        suffix = {"ms": "ms", "bytes": "B"}.get(self.unit, "")
        exact = Decimal(repr(float(self.value)))
        number = f"{(exact * 100).normalize():f}%" if self.relative else f"{exact.normalize():f}{suffix}"
        return f"{self.profiler}<={number}"


def parse_budget(text: str) -> BudgetRequest:
    """The budget that a text asks for.

    Args:
        text: `profiler<=limit`: "latency<=5ms" (ns, us, ms, s), "params<=4M", "macs<=300M",
            "memory<=8MB", "size<=16MiB", "macs<=60%" of the largest network. Spaces around the
            parts and the case of the profiler do not matter; the case of units does.

    Raises:
        BudgetError: anything else; the message lists what is known.
    """
    match = _BUDGET.fullmatch(text) if isinstance(text, str) else None  # TOML may hold anything
    if not match:
        raise BudgetError(f"A budget must read profiler<=limit, as in latency<=5ms; got {text!r}.")
    profiler, operator, limit = match[1].lower(), match[2], match[3]
    if profiler not in STANDARD_UNITS:
        raise BudgetError(f"A budget must be on one of {', '.join(STANDARD_UNITS)}; got {match[1]!r} in {text!r}.")
    if operator != "<=":
        raise BudgetError(f"A budget must be an upper bound, written <=; got {operator!r} in {text!r}.")
    unit = STANDARD_UNITS[profiler]
    try:
        value, relative = parse_quantity(limit, unit)
    except BudgetError as error:
        raise BudgetError(f"Budget {text!r}: {error}") from None
    return BudgetRequest(profiler=profiler, value=value, unit=unit, relative=relative)
