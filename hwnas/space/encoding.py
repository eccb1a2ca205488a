"""Architectures as rows of integers: checking and enumerating them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.space.choices import Choices
from hwnas.space.layers import INACTIVE

__all__ = ["check_codes", "enumerate_codes", "enumerate_rows", "require_consistent"]

MAX_ENUMERATED = 2_000_000


def check_codes(space: Choices, codes: ArrayLike) -> NDArray[np.integer]:
    """The codes as an integer array, each in the range of its choice; see `Space.check_codes`."""
    array = np.asarray(codes)
    if array.ndim != 2 or array.shape[1] != len(space.choices) or not np.issubdtype(array.dtype, np.integer):
        raise ArchitectureError(
            f"Codes must be integers of the shape (n, {len(space.choices)}); got {array.dtype} of the shape "
            f"{array.shape}. `Space.encode` makes them."
        )
    if len(array):
        low, high = array.min(axis=0), array.max(axis=0)
        for choice, least, most in zip(space.choices, low.tolist(), high.tolist(), strict=True):
            if least < INACTIVE or most >= choice.num_options:
                raise ArchitectureError(
                    f"The codes of {choice.name!r} must be from -1 (inactive) to {choice.num_options - 1}; got "
                    f"{least if least < INACTIVE else most}."
                )
    return array


def require_consistent(space: Choices, codes: NDArray[np.integer]) -> None:
    """Raise unless exactly the inactive choices have the code -1; see `Space.decode`."""
    for position, choice in enumerate(space.choices):
        active = space.active(position, codes)
        wrong = (codes[:, position] != INACTIVE) != active
        if wrong.any():
            row = int(wrong.argmax())
            raise ArchitectureError(
                f"Choice {choice.name!r} is {'active' if active[row] else 'inactive'} in row {row}, but its code is "
                f"{codes[row, position]}. The code of an inactive choice, and only that, is -1."
            )


def enumerate_codes(space: Choices) -> NDArray[np.int32]:
    """All architectures, the last choice changing fastest; see `Space.enumerate_codes`."""
    if space.size > MAX_ENUMERATED:
        raise SpaceError(
            f"Only spaces of at most {MAX_ENUMERATED:,} architectures are enumerated at once; this one has "
            f"{space.size:,}. Use `sample_codes`, or iterate over `enumerate`."
        )
    codes = np.full((1, len(space.choices)), INACTIVE, dtype=np.int32)
    for position, choice in enumerate(space.choices):
        active = space.active(position, codes)
        repeats = np.where(active, choice.num_options, 1)
        ends = np.cumsum(repeats)
        column = np.arange(ends[-1]) - np.repeat(ends - repeats, repeats)
        codes = np.repeat(codes, repeats, axis=0)
        codes[:, position] = np.where(np.repeat(active, repeats), column, INACTIVE)
    return np.asfortranarray(codes)


def enumerate_rows(space: Choices) -> Iterator[Sequence[int]]:
    """All architectures one by one, in the same order; the row is the same list each time."""
    codes = [INACTIVE] * len(space.choices)

    def allowed(position: int) -> Iterator[int]:
        active = space.is_active(position, codes)
        return iter(range(space.choices[position].num_options) if active else (INACTIVE,))

    untried = [allowed(0)]
    while untried:
        position = len(untried) - 1
        code = next(untried[-1], None)
        if code is None:
            untried.pop()
            continue
        codes[position] = code
        if position + 1 == len(codes):
            yield codes
        else:
            untried.append(allowed(position + 1))
