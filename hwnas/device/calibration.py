"""Blocks add up, up to a line: the fit from the sum over isolated blocks to the latency of a whole network.

A block by itself pays for the call of the runtime and for the change of layout at its borders; a network pays once.
Where blocks take microseconds that is most of their time, and networks of different depth do not lie on one line.
So a third coefficient, for the number of blocks, is fitted where leaving out one network at a time says it predicts
better: latency = a + b * sum of (block - isolation) = a + b * sum - c * number, isolation = c / b.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hwnas.cost import Calibration
from hwnas.errors import BadInputError

__all__ = ["calibrated"]

_LEAST_NETWORKS = 3
_LEAST_FOR_ISOLATION = 6
_LEAST_SPREAD = 1e-3
Vector = npt.NDArray[np.float64]


def calibrated(
    sums_ms: Sequence[float],
    num_blocks: Sequence[int],
    latencies_ms: Sequence[float],
    *,
    most_isolation_ms: float = 0.0,
) -> Calibration:
    """The fit for which the squares of the *relative* errors are least.

    Where the networks do not determine a line that rises (all the same, or noise larger than their differences), the
    fit is through the origin.

    Args:
        sums_ms: over the blocks of each network.
        num_blocks: of each network.
        latencies_ms: of each whole network, corrected.
        most_isolation_ms: what a block by itself may pay at most; no block takes less time than that.

    Raises:
        BadInputError: fewer than three networks.
    """
    x, n, y = (np.asarray(values, dtype=np.float64) for values in (sums_ms, num_blocks, latencies_ms))
    if len(y) < _LEAST_NETWORKS:
        raise BadInputError(
            f"A calibration needs at least {_LEAST_NETWORKS} different networks; got {len(y)}. Raise `calibrate`, "
            "or set it to 0 for a space with fewer."
        )
    isolation = _isolation(x, n, y, most_isolation_ms)
    net = x - isolation * n
    intercept, slope = _line(net, y)
    predicted = intercept + slope * net
    variance = float(np.sum((y - y.mean()) ** 2))
    return Calibration(
        intercept_ms=intercept,
        slope=slope,
        r2=1.0 - float(np.sum((y - predicted) ** 2)) / variance if variance > 0 else 1.0,
        max_relative_error=float(np.max(np.abs(predicted / y - 1.0))),
        num_networks=len(y),
        isolation_ms=isolation,
    )


def _line(x: Vector, y: Vector) -> tuple[float, float]:
    """Intercept and slope, slope positive; rows are weighted by 1 / latency."""
    if np.ptp(x) > _LEAST_SPREAD * np.mean(x):
        (intercept, slope), *_ = np.linalg.lstsq(np.stack([1.0 / y, x / y], axis=1), np.ones_like(y))
        if slope > 0:
            return float(intercept), float(slope)
    return 0.0, float(np.sum(x / y) / np.sum((x / y) ** 2))


def _isolation(x: Vector, n: Vector, y: Vector, most: float) -> float:
    """What each block pays for being alone; 0 where it cannot be told or does not predict better."""
    if len(y) < _LEAST_FOR_ISOLATION or np.ptp(n) == 0 or most <= 0:
        return 0.0
    whole = _best(x, n, y, most)
    everyone = np.arange(len(y))
    errors = {"with": 0.0, "without": 0.0}
    for left_out in everyone:
        rest = everyone != left_out
        for name, isolation in (("with", _best(x[rest], n[rest], y[rest], most)), ("without", 0.0)):
            intercept, slope = _line(x[rest] - isolation * n[rest], y[rest])
            predicted = intercept + slope * (x[left_out] - isolation * n[left_out])
            errors[name] += float((predicted / y[left_out] - 1.0) ** 2)
    return whole if errors["with"] < errors["without"] else 0.0


def _best(x: Vector, n: Vector, y: Vector, most: float) -> float:
    """The isolation of the least-squares fit, within [0, most]."""
    (_, slope, per_block), *_ = np.linalg.lstsq(np.stack([1.0 / y, x / y, -n / y], axis=1), np.ones_like(y))
    return float(np.clip(per_block / slope, 0.0, most)) if slope > 0 else most
