"""Denormal numbers count as zero while something is measured, and only then.

Processors may take many times as long for a denormal (subnormal) number as for any other, so that the weights would
change a latency. Whether they are flushed to zero is a setting of each thread, which new threads inherit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

__all__ = ["denormals_flushed"]

_DENORMAL = 1e-40


@contextlib.contextmanager
def denormals_flushed() -> Iterator[None]:
    """Denormals are zero in this thread and in those that it starts, and afterwards in this thread as before."""
    before = bool(np.float32(_DENORMAL) * np.float32(1.0) == 0.0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
