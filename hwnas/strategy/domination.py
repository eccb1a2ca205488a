"""Constrained domination, fronts and crowding: what NSGA-II compares outcomes by.

K. Deb, A. Pratap, S. Agarwal, T. Meyarivan: A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II.
IEEE Transactions on Evolutionary Computation 6 (2002), https://doi.org/10.1109/4235.996017. Sections III-A
(sorting), III-B (crowding distance), VI-A (constrained domination).

One outcome dominates another if its violation is less, or if neither violates anything and it is no worse in any
objective and better in one. Here two of equal objectives are told apart by what decides ties (`Outcome.tie`).

n outcomes, m objectives, of which larger is better.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.strategy.protocol import Outcome

__all__ = ["crowding_distances", "domination", "front_numbers", "objectives_of"]

Floats = NDArray[np.float64]


def objectives_of(outcome: Outcome) -> tuple[float, ...]:
    """The objectives, the score alone where there are no others."""
    return outcome.objectives or (outcome.score,)


def domination(first: Sequence[Outcome], second: Sequence[Outcome]) -> NDArray[np.bool_]:
    """Which outcomes dominate which.

    Returns:
        Shape (len(first), len(second)): whether the one of the row dominates the one of the column.
    """
    violation_i, tie_i, objectives_im = _arrays(first)
    violation_j, tie_j, objectives_jm = _arrays(second)
    no_worse = np.ones((len(first), len(second)), dtype=np.bool_)
    better = tie_i[:, None] > tie_j
    for m in range(objectives_im.shape[1]):
        no_worse &= objectives_im[:, None, m] >= objectives_jm[:, m]
        better |= objectives_im[:, None, m] > objectives_jm[:, m]
    within = (violation_i[:, None] == 0.0) & (violation_j == 0.0)
    dominates: NDArray[np.bool_] = np.where(within, no_worse & better, violation_i[:, None] < violation_j)
    return dominates


def front_numbers(outcomes: Sequence[Outcome]) -> NDArray[np.intp]:
    """The fast non-dominated sort: 0 for the outcomes that none dominates, 1 for those that only they dominate, ...

    Returns:
        Shape (n,).
    """
    dominates_nn = domination(outcomes, outcomes)
    num_left = dominates_nn.sum(axis=0)  # the paper's n_p: how many dominate p, outside the fronts found
    numbers = np.full(len(outcomes), -1, dtype=np.intp)
    number = 0
    while (numbers < 0).any():
        front = (num_left == 0) & (numbers < 0)
        numbers[front] = number
        num_left -= dominates_nn[front].sum(axis=0)
        number += 1
    return numbers


def crowding_distances(outcomes: Sequence[Outcome]) -> Floats:
    """How far the neighbours of each outcome in one front are apart, over all objectives, each relative to its span.

    The outermost of an objective are infinitely far. An objective in which all are alike, or without a finite span,
    does not count.

    Returns:
        Shape (n,).
    """
    _, _, objectives_nm = _arrays(outcomes)
    distances = np.zeros(len(outcomes))
    for values in objectives_nm.T:
        order = np.argsort(values, kind="stable")
        least, most = values[order[0]], values[order[-1]]
        if least == most or not np.isfinite([least, most]).all():
            continue
        span = most - least
        distances[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / span
        distances[order[[0, -1]]] = np.inf
    return distances


def _arrays(outcomes: Sequence[Outcome]) -> tuple[Floats, Floats, Floats]:
    """Violations (n,), ties (n,) and objectives (n, m); m is 0 where n is."""
    violations = np.array([outcome.violation for outcome in outcomes], dtype=np.float64)
    ties = np.array([outcome.tie for outcome in outcomes], dtype=np.float64)
    objectives = np.array([objectives_of(outcome) for outcome in outcomes], dtype=np.float64)
    return violations, ties, objectives.reshape(len(outcomes), -1 if outcomes else 0)
