"""Blocks add up, up to a line: the fit from the sum over isolated blocks to the latency of a whole network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.cost import Calibration
from hwnas.errors import BadInputError

__all__ = ["calibrated"]


def calibrated(sums_ms: Sequence[float], latencies_ms: Sequence[float]) -> Calibration:
    """Fit latency = a + b * sum, so that the squares of the *relative* errors are least.

    Where the networks do not determine a line that rises (all the same, or noise larger than their differences), the
    fit is through the origin.

    Args:
        sums_ms: over the blocks of each network.
        latencies_ms: of each whole network, corrected.

    Raises:
        BadInputError: fewer than three networks.
    """
    x, y = np.asarray(sums_ms, dtype=np.float64), np.asarray(latencies_ms, dtype=np.float64)
    if len(x) < 3:
        raise BadInputError(f"A calibration needs at least 3 whole networks; got {len(x)}. Raise `calibrate`.")
    design = np.stack([1.0 / y, x / y], axis=1)  # rows weighted by 1 / latency
    (intercept, slope), _, rank, _ = np.linalg.lstsq(design, np.ones_like(y))
    if rank < 2 or slope <= 0 or np.ptp(x) < 1e-3 * np.mean(x):
        intercept, slope = 0.0, float(np.sum(x / y) / np.sum((x / y) ** 2))
    predicted = intercept + slope * x
    variance = float(np.sum((y - y.mean()) ** 2))
    return Calibration(
        intercept_ms=float(intercept),
        slope=float(slope),
        r2=1.0 - float(np.sum((y - predicted) ** 2)) / variance if variance > 0 else 1.0,
        max_relative_error=float(np.max(np.abs(predicted / y - 1.0))),
        num_networks=len(x),
    )
