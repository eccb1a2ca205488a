"""Linear programs and nearest points over a product of simplices under a few linear rows.

A point is a flat vector: the probabilities of the options of one choice, then those of the next. N of them, R rows.
Every row is first brought to one scale: what it cannot fall below is subtracted from both sides (a choice's
probabilities sum to 1), and the rest divided by the most that it can reach, so that tolerances mean the same for
milliseconds and for MACs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

__all__ = ["Simplices"]

Vector = NDArray[np.float64]

_LP_SCALE = 1e4  # HiGHS works with an absolute 1e-7: so it is 1e-11 of what a row can reach
_PRECISION = 1e-13  # of what a row can reach
_KEPT = 1e-12  # a row is kept that is over by less
_NUM_SWEEPS = 500
_NUM_HALVINGS = 200


@dataclasses.dataclass(frozen=True)
class Simplices:
    """The points x >= 0 whose parts, of these sizes, each sum to 1, with `matrix_RN @ x <= limits_R`.

    Attributes:
        sizes: of the parts.
        matrix_RN: the rows; R may be 0.
        limits_R: their upper bounds.
    """

    sizes: Sequence[int]
    matrix_RN: Vector
    limits_R: Vector

    def minimise(self, objective_N: Vector) -> Vector | None:
        """A vertex at which the objective is least; None if no point keeps the rows."""
        matrix, limits = self._scaled()
        sums = np.repeat(np.eye(len(self.sizes)), self.sizes, axis=1)
        largest = np.abs(objective_N).max(initial=0.0) or 1.0
        result = linprog(
            objective_N / largest,
            A_ub=_LP_SCALE * matrix if len(matrix) else None,
            b_ub=_LP_SCALE * limits if len(matrix) else None,
            A_eq=sums,
            b_eq=np.ones(len(self.sizes)),
            method="highs",
        )
        if not result.success:
            return None
        vertex = np.maximum(np.asarray(result.x), 0.0)
        return np.asarray(vertex / np.repeat(sums @ vertex, self.sizes), dtype=np.float64)

    def nearest(self, point_N: Vector) -> Vector | None:
        """The point of least Euclidean distance to another; None if no point keeps the rows.

        With multipliers m >= 0 of the rows it is P(point - matrix' m), P the projection onto the simplices, and a row's
        value falls as its multiplier rises: bisection finds the multiplier at which the row just holds. Several rows
        take turns until all hold; what then is left of a violation is removed on the way to a vertex that keeps all.
        """
        matrix, limits = self._scaled()
        inside = self.minimise(np.sum(matrix, axis=0))
        if inside is None:
            return None
        multipliers = np.zeros(len(matrix))
        nearest = self._project(point_N)
        for _ in range(_NUM_SWEEPS if len(matrix) > 1 else 1):
            for row in range(len(matrix)):
                multipliers[row] = self._multiplier(point_N, matrix, limits, multipliers, row)
            nearest = self._project(point_N - multipliers @ matrix)
            over = matrix @ nearest - limits
            if np.all(np.where(multipliers > 0.0, np.abs(over), over) <= _KEPT):  # optimal
                break
        over, slack = matrix @ nearest - limits, limits - matrix @ inside
        shares = [a / (a + max(b, 0.0)) for a, b in zip(over, slack, strict=True) if a > _KEPT]
        share = max(shares, default=0.0)
        return np.asarray((1.0 - share) * nearest + share * inside, dtype=np.float64)

    def _multiplier(self, point: Vector, matrix: Vector, limits: Vector, multipliers: Vector, row: int) -> float:
        """The least multiplier of one row with which it holds, the others as they are."""

        def holds(multiplier: float) -> bool:
            at = multipliers.copy()
            at[row] = multiplier
            return bool(matrix[row] @ self._project(point - at @ matrix) <= limits[row])

        if holds(0.0):
            return 0.0
        low, high = 0.0, 1.0
        for _ in range(_NUM_HALVINGS):
            if holds(high):
                break
            low, high = high, 2.0 * high
        for _ in range(_NUM_HALVINGS):
            middle = (low + high) / 2.0
            if not low < middle < high:
                break
            low, high = (low, middle) if holds(middle) else (middle, high)
        return high

    def _project(self, point: Vector) -> Vector:
        """The nearest point of the simplices, without regard to the rows: each part minus a number, cut off at 0."""
        return np.concatenate([_on_simplex(part) for part in np.split(point, np.cumsum(self.sizes)[:-1])])

    def _scaled(self) -> tuple[Vector, Vector]:
        """The rows that can bind, with values from 0 to 1."""
        starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.intp)
        least = np.minimum.reduceat(self.matrix_RN, starts, axis=1)
        most = np.maximum.reduceat(self.matrix_RN, starts, axis=1)
        spread = (most - least).sum(1)
        limits = self.limits_R - least.sum(1)
        binding = limits < spread
        # A row without spread that does not hold keeps a limit below 0: no point.
        scale = np.where(spread > 0.0, spread, np.maximum(np.abs(self.limits_R), 1e-300))[binding]
        matrix = (self.matrix_RN - np.repeat(least, self.sizes, axis=1))[binding] / scale[:, None]
        scaled = limits[binding] / scale
        # A limit that is the least possible must not become infeasible by rounding.
        rounding = _PRECISION * (1.0 + np.abs(self.limits_R[binding]) / scale)
        return matrix, np.where(np.abs(scaled) <= rounding, 0.0, scaled)


def _on_simplex(point: Vector) -> Vector:
    """Held, Wolfe, Crowder 1974: the largest k with k * (k-th largest) > (sum of the k largest) - 1."""
    descending: Vector = np.sort(point)[::-1]
    excess = np.cumsum(descending) - 1.0
    counts = np.arange(1, len(point) + 1)
    last = int(np.flatnonzero(counts * descending > excess)[-1])
    return np.asarray(np.maximum(point - excess[last] / counts[last], 0.0))
