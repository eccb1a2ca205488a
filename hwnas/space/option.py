"""What an option of a choice may be: a JSON scalar, or a tuple of integers (a list in JSON)."""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np

__all__ = ["JsonOption", "Option", "as_option", "canonical_uid", "option_to_json"]

Option = str | int | float | bool | tuple[int, ...]
JsonOption = str | int | float | bool | list[int]


def as_option(value: object) -> Option | None:
    """The option that `value` stands for, or None where it stands for none.

    Lists become tuples and numpy scalars Python's; NaN and infinities are refused, because they
    have no JSON and a NaN is never equal to itself.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        entries = [entry.item() if isinstance(entry, np.generic) else entry for entry in value]
        whole = [entry for entry in entries if isinstance(entry, int) and not isinstance(entry, bool)]
        return tuple(whole) if len(whole) == len(entries) else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int) else None


def option_to_json(option: Option) -> JsonOption:
    """The option as a JSON value."""
    return list(option) if isinstance(option, tuple) else option


def canonical_uid(value: object) -> str:
    """SHA-256 of the canonical JSON of `value`: sorted keys, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
