"""The peak memory of every network: a maximum over the points of the program."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hwnas.cost import CostTable, MaxTable, Term
from hwnas.nn import Inputs, ModelSpace
from hwnas.nn.operators import MacFormulas
from hwnas.profiler.cost_profiler import CostProfiler, model_space_of
from hwnas.profiler.liveness import Liveness, Point
from hwnas.space import Space
from hwnas.trace import Guard, Trace, simplified

__all__ = ["PeakMemoryProfiler"]

_MAX_CELLS = 50_000

_Table = tuple[tuple[str, ...], NDArray[np.float64]]
"""Choices, and a value for each joint option; the last slot of an axis is "inactive"."""


class PeakMemoryProfiler(CostProfiler):
    """Bytes of live activations at the worst moment, at the batch size of the example inputs.

    A tensor lives from its creation to its last use; views share memory; operators run in eager order; the network's
    inputs and outputs count, weights do not.

    Attributes:
        exact: whether the table is exact; otherwise it bounds the peak of some networks from above.
    """

    def __init__(
        self,
        space: ModelSpace | nn.Module,
        example_inputs: Inputs | None = None,
        *,
        operators: MacFormulas | None = None,
    ) -> None:
        """See `FlopsProfiler`."""
        space = model_space_of(space, example_inputs)
        cost, self.exact = peak_memory_table(space.trace(operators=operators), space.space)
        super().__init__("memory", space.space, cost, is_whole=True)


def peak_memory_table(trace: Trace, space: Space) -> tuple[MaxTable, bool]:
    """The peak memory of every network in bytes, and whether it is exact and not a bound from above."""
    liveness = Liveness(trace, space)
    dense: dict[tuple[str, ...], NDArray[np.float64]] = {}
    sparse: dict[tuple[object, ...], list[_Table]] = {}
    exact = True
    for point in liveness.points():
        tables, kept = _tables(point, space)
        exact = exact and kept
        if len(tables) == 1:
            names, values = tables[0]
            dense[names] = np.maximum(dense[names], values) if names in dense else values
        else:
            sparse[tuple((names, values.tobytes()) for names, values in tables)] = tables
    rows = [
        CostTable(space, 0.0, [Term(names, values)], unit="bytes")
        if names
        else CostTable(space, float(values), unit="bytes")
        for names, values in _undominated(dense)
    ]
    rows += [CostTable(space, 0.0, (Term(*table) for table in tables), unit="bytes") for tables in sparse.values()]
    return MaxTable(rows), exact and liveness.is_exact


def _tables(point: Point, space: Space) -> tuple[list[_Table], bool]:
    """The bytes at a point as tables that add up, -inf where it is not reached; and whether that is exact."""
    reached = simplified(point.guard, space)
    live = [(simplified(guard, space), size) for guard, size in point.live]
    names = _sorted({name for guard, _ in [(reached, 0), *live] for name in guard.choices}, space)
    if _num_cells(names, space) <= _MAX_CELLS:
        values = _filled(names, live, space)
        values[_filled(names, [(reached, 1)], space) == 0] = -math.inf
        return [(names, values)], True
    exact = True
    own = _sorted(set(reached.choices), space)
    result = [(own, np.where(_filled(own, [(reached, 1)], space) > 0, 0.0, -math.inf))]
    for guard, size in live:
        for box in guard.boxes:
            part, cells = [], 1
            for name, codes in box:  # what does not fit is left out: then it lives in more networks
                cells *= space.choice(name).num_options + 1
                if cells <= _MAX_CELLS:
                    part.append((name, codes))
            exact = exact and len(part) == len(box)
            few = _sorted({name for name, _ in part}, space)
            result.append((few, _filled(few, [(Guard((tuple(part),)), size)], space)))
    return result, exact


def _filled(names: tuple[str, ...], quantities: Iterable[tuple[Guard, int]], space: Space) -> NDArray[np.float64]:
    """The sum of quantities under guards for each joint option of some choices."""
    values = np.zeros([space.choice(name).num_options + 1 for name in names])
    for guard, quantity in quantities:
        for box in guard.boxes:
            codes: Mapping[str, tuple[int, ...]] = dict(box)
            axes = [codes.get(name, range(size)) for name, size in zip(names, values.shape, strict=True)]
            values[np.ix_(*axes)] += quantity
    return values


def _undominated(dense: Mapping[tuple[str, ...], NDArray[np.float64]]) -> list[_Table]:
    """The tables without those that are nowhere above another one over some of their choices."""
    result = []
    for names, values in dense.items():
        others = ((other, table) for other, table in dense.items() if set(other) < set(names))
        if not any((values <= _broadcast(table, other, names)).all() for other, table in others):
            result.append((names, values))
    return result


def _broadcast(values: NDArray[np.float64], own: tuple[str, ...], names: tuple[str, ...]) -> NDArray[np.float64]:
    """A table over some of the choices as one over all of them (both in the space's order)."""
    shape = [values.shape[own.index(name)] if name in own else 1 for name in names]
    return values.reshape(shape)


def _sorted(names: set[str], space: Space) -> tuple[str, ...]:
    return tuple(sorted(names, key=space.position))


def _num_cells(names: Iterable[str], space: Space) -> int:
    return math.prod(space.choice(name).num_options + 1 for name in names)
