"""Arguments of the wrong kind or out of range, refused by name: the one place where they are checked.

NumPy's numbers, and arrays and tensors of one number, are numbers; texts, booleans and what is masked are none: `True`
where a number is expected is a mistake, and not 1.
"""

from __future__ import annotations

import math
import numbers
import operator
import os
from pathlib import Path

import numpy as np

from hwnas.errors import ConfigError

__all__ = ["LARGEST", "finite_number", "integer", "path", "real_number", "truth", "whole_number"]

LARGEST = 2**63 - 1
"""The largest whole number that SQLite keeps, and that PyTorch takes for a seed."""


def whole_number(name: str, value: object, *, at_least: int, at_most: int | None = None, otherwise: str = "") -> int:
    """The whole number that was given.

    Args:
        name: of the argument, for the message.
        value: as it was given.
        at_least: the least allowed.
        at_most: the largest allowed; None: any.
        otherwise: what else may be given, for the message: "or None for no limit".

    Raises:
        ConfigError: no whole number (2.0 is none), or one out of range.
    """
    number = integer(value)
    if number is None or number < at_least:
        raise _refusal(name, value, f"a whole number of at least {at_least}", otherwise)
    if at_most is not None and number > at_most:
        raise _refusal(name, value, f"a whole number of at most {at_most}", otherwise)
    return number


def finite_number(
    name: str,
    value: object,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    otherwise: str = "",
) -> float:
    """The finite number that was given.

    Args:
        name: of the argument, for the message.
        value: as it was given.
        above, at_least, below, at_most: its range; None: no such end.
        otherwise: what follows the range in the message: what else may be given, "or None for no limit", or what its
            end is, "the `epochs`".

    Raises:
        ConfigError: no number, NaN, an infinity, or one out of range.
    """
    number = real_number(value)
    ends = [
        f"above {above:g}" if above is not None else f"of at least {at_least:g}" if at_least is not None else "",
        f"below {below:g}" if below is not None else f"at most {at_most:g}" if at_most is not None else "",
    ]
    if (
        number is None
        or not math.isfinite(number)
        or (above is not None and not number > above)
        or (at_least is not None and not number >= at_least)
        or (below is not None and not number < below)
        or (at_most is not None and not number <= at_most)
    ):
        rule = " and ".join(filter(None, ends))
        raise _refusal(name, value, f"a finite number{rule and ' '}{rule}", otherwise)
    return number


def truth(name: str, value: object) -> bool:
    """The truth value that was given.

    Raises:
        ConfigError: something else, a text or 0 or 1 for example.
    """
    if not isinstance(value, bool | np.bool_):
        raise _refusal(name, value, "True or False", "")
    return bool(value)


def path(name: str, value: object) -> Path:
    """The path that was given.

    Raises:
        ConfigError: neither a text nor a `pathlib.Path`, or one that no file can have.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise _refusal(name, value, "a path, a text or a Path of pathlib", "")
    return Path(text)


def integer(value: object) -> int | None:
    """The whole number that something is; None: no number, or 2.0."""
    if isinstance(value, bool | np.bool_) or not hasattr(value, "__index__") or np.ma.is_masked(value):
        return None
    try:
        return operator.index(value)
    except TypeError:  # an array of several
        return None


def real_number(value: object) -> float | None:
    """The number that something is, perhaps NaN or an infinity (what is too large for a float too); None: no number."""
    if not isinstance(value, numbers.Real) and getattr(value, "ndim", None) == 0:  # an array or a tensor of one number
        value = None if np.ma.is_masked(value) else value.item()  # type: ignore[attr-defined]
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]  # numbers.Real has no order for mypy


def _refusal(name: str, value: object, rule: str, otherwise: str) -> ConfigError:
    return ConfigError(f"`{name}` must be {rule}{otherwise and ', '}{otherwise}; got {_shown(value)}.")


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # Python writes no number of more than 4,300 digits
        text = f"a {type(value).__name__} that cannot be written"
    return text if len(text) <= 80 else f"{text[:77]}..."
