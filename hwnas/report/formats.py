"""Counts, fractions and durations as people read them; quantities with units are `hwnas.cost.format_quantity`."""

from __future__ import annotations

import math

__all__ = ["format_count", "format_percent", "format_score", "format_seconds", "is_fraction"]

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def format_count(value: int) -> str:
    """An exact integer with thousands separated, or in powers of ten where it is beyond reading."""
    if value < 10**9:
        return f"{value:,}"
    exponent = len(str(value)) - 1
    return f"{value / 10**exponent:.2g} × 10{str(exponent).translate(_SUPERSCRIPTS)}"


def format_percent(fraction: float, standard_error: float | None = None) -> str:
    """A fraction in percent, with the standard error in percentage points."""
    text = f"{100 * fraction:.1f}"
    return f"{text} %" if standard_error is None else f"{text} ± {100 * standard_error:.1f} %"


def is_fraction(score_name: str) -> bool:
    """Whether a task's score is a fraction of examples, and is shown in percent: anybody's accuracy is."""
    return score_name.endswith("accuracy")


def format_score(score: float, standard_error: float | None = None, *, name: str) -> str:
    """A task's mean score, rounded to two digits of its standard error: "97.8 ± 0.2 %", "-0.0553 ± 0.0021".

    Args:
        score: the mean.
        standard_error: of the mean.
        name: what the score is called; an accuracy is shown in percent.
    """
    if is_fraction(name):
        return format_percent(score, standard_error)
    if not standard_error or not math.isfinite(standard_error):
        return f"{score:.4g}"
    decimals = max(0, 1 - math.floor(math.log10(standard_error)))
    return f"{score:.{decimals}f} ± {standard_error:.{decimals}f}"


def format_seconds(seconds: float) -> str:
    """A duration: "0.42 s", "31 s", "4 min 10 s", "2 h 5 min"."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
