"""Pareto sets with back-pointers: pruned, added, joined, and read back as architectures.

A *set* stands for many partial architectures: those that no other of them beats in both cost and
utility. Each point remembers how it came about, so that only the points of the final front are ever
spelled out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hwnas.errors import BadInputError

__all__ = ["MAX_POINTS", "ParetoSet", "add", "join", "single", "spell_out"]

MAX_POINTS = 1_000_000
"""The most points that a Pareto set may have."""

_MAX_PAIRS = 2_000_000

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ParetoSet:
    """Points that do not dominate each other, cost and utility both strictly ascending.

    Attributes:
        costs: of the points.
        utilities: of the points.
        variable: the variable that the points decide, or None for a sum of sets.
        parents: the sets that the points come from: two summands, or one for each decided slot.
        origins: shape `(2, n)`: of a sum, each point's index in both summands; of a decision, the slot
            (an index into `parents`) and the index in that slot's set.
        slots: of a decision, the variable's slot that each parent stands for.
    """

    costs: Floats
    utilities: Floats
    variable: int | None = None
    parents: tuple[ParetoSet, ...] = ()
    origins: Indices = dataclasses.field(default_factory=lambda: np.zeros((2, 0), dtype=np.int64))
    slots: Indices = dataclasses.field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.costs)


def single(cost: float, utility: float) -> ParetoSet:
    """The set of one point that decides nothing."""
    return ParetoSet(costs=np.array([cost]), utilities=np.array([utility]))


def add(left: ParetoSet, right: ParetoSet) -> ParetoSet:
    """The front of all sums of a point of one and a point of the other, in bounded memory.

    Raises:
        BadInputError: a front of more than `MAX_POINTS` points.
    """
    costs, utilities, origins = np.zeros(0), np.zeros(0), np.zeros((2, 0), dtype=np.int64)
    step = max(1, _MAX_PAIRS // len(right))
    for start in range(0, len(left), step):
        rows = slice(start, start + step)
        pairs = np.indices((len(left.costs[rows]), len(right))).reshape(2, -1)
        pairs[0] += start
        costs = np.concatenate([costs, np.add.outer(left.costs[rows], right.costs).ravel()])
        utilities = np.concatenate([utilities, np.add.outer(left.utilities[rows], right.utilities).ravel()])
        origins = np.concatenate([origins, pairs], axis=1)
        kept = _undominated(costs, utilities)
        costs, utilities, origins = costs[kept], utilities[kept], origins[:, kept]
    return ParetoSet(costs=costs, utilities=utilities, parents=(left, right), origins=origins)


def join(variable: int, slots: Sequence[int], sets: Sequence[ParetoSet]) -> ParetoSet:
    """The front of all the sets together, each standing for one slot of the variable.

    Raises:
        BadInputError: a front of more than `MAX_POINTS` points.
    """
    costs = np.concatenate([part.costs for part in sets])
    utilities = np.concatenate([part.utilities for part in sets])
    parents = np.repeat(np.arange(len(sets)), [len(part) for part in sets])
    members = np.concatenate([np.arange(len(part)) for part in sets])
    kept = _undominated(costs, utilities)
    return ParetoSet(
        costs=costs[kept],
        utilities=utilities[kept],
        variable=variable,
        parents=tuple(sets),
        origins=np.stack([parents, members])[:, kept],
        slots=np.array(slots, dtype=np.int64),
    )


def spell_out(front: ParetoSet, num_variables: int) -> Indices:
    """The slot of every variable for every point of a set, shape `(len(front), num_variables)`."""
    slots = np.zeros((len(front), num_variables), dtype=np.int64)
    pending = [(front, np.arange(len(front)), np.arange(len(front)))]
    while pending:
        part, rows, points = pending.pop()
        if not part.parents:
            continue
        first, second = part.origins[:, points]
        if part.variable is None:
            pending += [(part.parents[0], rows, first), (part.parents[1], rows, second)]
            continue
        slots[rows, part.variable] = part.slots[first]
        for number in np.unique(first).tolist():
            chosen = first == number
            pending.append((part.parents[number], rows[chosen], second[chosen]))
    return slots


def _undominated(costs: Floats, utilities: Floats) -> Indices:
    """The points that no other dominates, by ascending cost; of equal points the first.

    Raises:
        BadInputError: more than `MAX_POINTS` of them.
    """
    order = np.lexsort((-utilities, costs))
    best = np.maximum.accumulate(utilities[order])
    kept = order[np.concatenate([[True], best[1:] > best[:-1]])] if len(order) else order
    if len(kept) > MAX_POINTS:
        raise BadInputError(
            f"The exact front of this utility and cost has more than {MAX_POINTS:,} points on the way. Round the cost "
            "or the utility to fewer digits, or ask `maximise` for single budgets."
        )
    return kept
