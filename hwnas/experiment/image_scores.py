"""The scores of every image as bytes, small enough to keep for every trial."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["packed", "unpacked"]


def packed(scores: NDArray[np.float32] | None) -> bytes | None:
    """Bits where all scores are 0 or 1, else single-precision numbers; the length tells which."""
    if scores is None:
        return None
    if np.isin(scores, (0.0, 1.0)).all():
        return np.packbits(scores.astype(np.bool_)).tobytes()
    return scores.astype("<f4").tobytes()


def unpacked(content: bytes | None, num: int) -> NDArray[np.float32] | None:
    """The inverse of `packed`, for `num` scores."""
    if content is None:
        return None
    if len(content) == 4 * num:
        return np.frombuffer(content, dtype="<f4").astype(np.float32)
    return np.unpackbits(np.frombuffer(content, dtype=np.uint8), count=num).astype(np.float32)
