"""Quantities with units: read from text without rounding surprises, and written for people.

A standard unit names what a number counts: milliseconds, bytes, multiply-accumulates, parameters.
K, M and G are decimal everywhere (also kB, MB, GB), Ki, Mi and Gi binary.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from hwnas.errors import BudgetError

__all__ = ["STANDARD_UNITS", "format_quantity", "parse_quantity"]

STANDARD_UNITS: Mapping[str, str] = MappingProxyType(
    {"latency": "ms", "macs": "macs", "memory": "bytes", "params": "params", "size": "bytes"}
)
"""The unit of every known profiler's numbers."""

_COUNT = {"": "1", "K": "1e3", "k": "1e3", "M": "1e6", "G": "1e9"}
_SCALES: Mapping[str, Mapping[str, str]] = {
    "ms": {"ns": "1e-6", "us": "1e-3", "µs": "1e-3", "ms": "1", "s": "1e3"},
    "bytes": {"B": "1", "K": "1e3", "kB": "1e3", "KB": "1e3", "M": "1e6", "MB": "1e6", "G": "1e9", "GB": "1e9"}
    | {"KiB": str(2**10), "MiB": str(2**20), "GiB": str(2**30)},
    "macs": _COUNT,
    "params": _COUNT,
}
_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*(.*)", re.DOTALL)

# For people: (suffix, size), the largest first.
_SHOWN: Mapping[str, tuple[tuple[str, float], ...]] = {
    "ms": (("s", 1e3), ("ms", 1.0), ("µs", 1e-3), ("ns", 1e-6)),
    "bytes": (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)),
    "macs": (("G MACs", 1e9), ("M MACs", 1e6), ("k MACs", 1e3), ("MACs", 1.0)),
    "params": (("G params", 1e9), ("M params", 1e6), ("k params", 1e3), ("params", 1.0)),
}


def parse_quantity(text: str, unit: str) -> tuple[float, bool]:
    """A positive quantity in a standard unit.

    Args:
        text: a number and its unit, or a percentage: "5 ms", "4M", "8 MiB", "60%".
        unit: the standard unit to convert to.

    Returns:
        The number, and whether it is relative (a fraction; "60%" is 0.6).

    Raises:
        BudgetError: no positive finite number, no unit where one is needed, an unknown unit.
    """
    match = _NUMBER.fullmatch(text.strip())
    if not match:
        raise BudgetError(f"A limit must be a positive number with its unit, as in {_example(unit)}; got {text!r}.")
    suffix = match[2].strip().replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}")
    if unit in ("macs", "params") and suffix.lower().endswith(unit):  # "3 M MACs", as `format_quantity` writes it
        suffix = suffix[: -len(unit)].strip()
    scales = {**_SCALES[unit], "%": "1e-2"}
    if suffix not in scales:
        rule = "needs a unit" if not suffix else f"has the unknown unit {suffix!r}"
        known = ", ".join(name or "none" for name in _SCALES[unit])
        raise BudgetError(f"The limit {text!r} {rule}; known here: {known}, or % of the largest network.")
    value = float(match[1])
    if 0 < value < math.inf:  # then the decimal product below cannot overflow
        value = float(Decimal(match[1]) * Decimal(scales[suffix]))
    if not 0 < value < math.inf:
        raise BudgetError(f"A limit must be a positive finite number, as in {_example(unit)}; got {text!r}.")
    return value, suffix == "%"


def format_quantity(value: float, unit: str) -> str:
    """A number of a standard unit for people, with four digits: "5.26 M params", "8 MB", "250 µs".

    A number of another unit is written with that.
    """
    rounded = float(f"{value:.4g}")
    shown = _SHOWN.get(unit)
    if shown is None:
        return f"{rounded:.6g} {unit}".rstrip()
    suffix, scale = next((pair for pair in shown if abs(rounded) >= pair[1]), shown[-1])
    if rounded == 0:
        suffix, scale = next(pair for pair in shown if pair[1] == 1)
    return f"{rounded / scale:.4g} {suffix}"


def _example(unit: str) -> str:
    return {"ms": "5ms", "bytes": "8MB"}.get(unit, "4M")
