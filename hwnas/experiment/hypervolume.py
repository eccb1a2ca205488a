"""Hypervolume: how much of the space above a reference point a set of points dominates, for any number of objectives.

Up to three objectives: the points are met from the best in the third objective to the worst, and the staircase of those
met so far is kept for the other two (C. M. Fonseca, L. Paquete, M. López-Ibáñez: "An Improved Dimension-Sweep
Algorithm for the Hypervolume Indicator", CEC 2006, https://doi.org/10.1109/CEC.2006.1688440).

More: L. While, L. Bradstreet, L. Barone: "A Fast Way of Calculating Exact Hypervolumes", IEEE Transactions on
Evolutionary Computation 16 (1), 2012, https://doi.org/10.1109/TEVC.2010.2077298 (WFG). What a point adds to others is
its own box less what they dominate of it, which is the hypervolume of the others clipped to that box. As in the paper's
improved form, points go from the best in the last objective to the worst, so that the clipped sets have an objective
less; what differs is that the recursion ends at three objectives, not at two.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["hypervolume"]


def hypervolume(points: Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    """What the points dominate of the space above the reference, in the product of the objectives' units.

    Exact but for rounding. 1,000 points of which none beats another take some milliseconds in three dimensions, a tenth
    of a second in four; from five on the time grows fast with their number, 300 in six take some seconds.

    Args:
        points: objectives, larger is better. Points that are not better than the reference in every one add nothing.
        reference: a value for each objective.
    """
    num_objectives = len(reference)
    gains_PD = np.asarray(points, dtype=float).reshape(-1, num_objectives) - np.asarray(reference, dtype=float)
    gains_PD = gains_PD[(gains_PD > 0).all(axis=1)]
    if not len(gains_PD):
        return 0.0
    _, exponents_D = np.frexp(gains_PD.max(axis=0))  # powers of two: exact, and no product in between overflows
    missing = max(0, 3 - num_objectives)
    with np.errstate(over="ignore", under="ignore"):
        scaled_PD = np.ldexp(gains_PD, -exponents_D)
        scaled_PD = np.pad(scaled_PD, ((0, 0), (0, missing)), constant_values=1.0)  # as thick as one unit
        return float(np.ldexp(_volume(scaled_PD), exponents_D.sum()))


def _volume(points_PD: npt.NDArray[np.float64]) -> float:
    """The hypervolume above 0 of points with positive coordinates, at least three each."""
    points_PD = points_PD[np.argsort(-points_PD[:, -1], kind="stable")]
    if points_PD.shape[1] == 3:
        return _swept(points_PD)
    total = 0.0
    front_FD = np.empty((0, points_PD.shape[1] - 1))  # of the points so far, without their last coordinate
    for point_D, depth in zip(points_PD[:, :-1], points_PD[:, -1], strict=True):
        if (front_FD >= point_D).all(axis=1).any():
            continue
        total += depth * (point_D.prod() - _volume(np.minimum(front_FD, point_D)))
        front_FD = np.vstack([front_FD[(front_FD > point_D).any(axis=1)], point_D])
    return float(total)


def _swept(points_P3: npt.NDArray[np.float64]) -> float:
    """The same in three dimensions, for points in descending order of the third coordinate."""
    xs, ys = [0.0, math.inf], [math.inf, 0.0]  # the staircase from left to right: xs rise, ys fall
    total = 0.0
    for x, y, z in points_P3.tolist():
        right = bisect.bisect_left(xs, x)
        floor = ys[right]
        if floor >= y:
            continue
        left, area = right, 0.0
        while floor < y:  # steps below the new one, from right to left; the last only as far as the new one is high
            left -= 1
            top = min(ys[left], y)
            area += (x - xs[left]) * (top - floor)
            floor = top
        covered = slice(left + 1, right + (xs[right] == x))
        xs[covered], ys[covered] = [x], [y]
        total += z * area
    return total
