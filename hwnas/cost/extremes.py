"""The exact smallest and largest cost of a space, and an architecture that has it.

Cheap where choices are coupled in small groups, as in every space of stages and blocks: 5.9e21
networks take a millisecond or two.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hwnas.cost.elimination import (
    MAX_CELLS,
    Bucket,
    Factor,
    FactorGraph,
    Semiring,
    eliminate,
    elimination_order,
    join,
)
from hwnas.cost.term import Sum
from hwnas.errors import BadInputError
from hwnas.space import Architecture, Space

__all__ = ["Extreme", "maximum", "maximum_of_rows", "minimum", "minimum_of_rows"]

_MAX_ROW_CELLS = 2_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extreme:
    """The smallest or largest cost in a space, and an architecture that has it."""

    value: float
    architecture: Architecture


def minimum(table: Sum) -> Extreme:
    """The smallest cost of any architecture.

    Raises:
        BadInputError: where the choices are coupled too tightly for a joint table (`MAX_CELLS`).
    """
    return _extreme(table, 1.0)


def maximum(table: Sum) -> Extreme:
    """The largest cost of any architecture.

    Raises:
        BadInputError: where the choices are coupled too tightly for a joint table (`MAX_CELLS`).
    """
    return _extreme(table, -1.0)


def minimum_of_rows(space: Space, rows: Sequence[Sum]) -> Extreme:
    """The smallest "largest row" of any architecture: of a peak, such as peak memory.

    A row's terms are joined into one factor, so each row must couple few choices.

    Raises:
        BadInputError: where a row, or the rows together, couple too many choices for a joint table.
    """
    graph = FactorGraph(space)
    factors = [_joined_row(graph, row) for row in rows]
    architecture = _argmin(graph, factors, "max")
    return Extreme(value=_largest(rows, architecture), architecture=architecture)


def maximum_of_rows(space: Space, rows: Sequence[Sum]) -> Extreme:
    """The largest "largest row" of any architecture: the largest of the rows' maxima.

    Raises:
        BadInputError: where a row couples too many choices for a joint table.
    """
    best = max((maximum(row) for row in rows), key=lambda extreme: extreme.value)
    return Extreme(value=_largest(rows, best.architecture), architecture=best.architecture)


def _extreme(table: Sum, sign: float) -> Extreme:
    """The architecture that minimises `sign` times the cost; -inf is below every sum of finite cells."""
    graph = FactorGraph(table.space)
    factors = graph.factors((term.choices, term.values) for term in table.terms)
    finite = [np.where(np.isneginf(factor.values), 0.0, factor.values) for factor in factors]
    below = -1.0 - 2.0 * sum(float(np.abs(values).max()) for values in finite)
    signed = [
        Factor(scope=factor.scope, values=sign * np.where(np.isneginf(factor.values), below, factor.values))
        for factor in factors
    ]
    architecture = _argmin(graph, signed, "sum")
    return Extreme(value=table.value(architecture), architecture=architecture)


def _argmin(graph: FactorGraph, factors: Sequence[Factor], semiring: Semiring) -> Architecture:
    order, cells = elimination_order(graph.sizes, [factor.scope for factor in (*factors, *graph.allowed)])
    if cells > MAX_CELLS:
        raise BadInputError(
            f"An exact extreme needs a joint table of at most {MAX_CELLS:,} cells; the choices of this table are "
            f"coupled so tightly that it needs {cells:,}. Use terms over fewer choices, or hwnas.solve.maximise."
        )
    _, buckets = eliminate(graph, factors, order, semiring)
    return graph.space.decode(graph.codes(_back_substitute(graph, buckets)))[0]


def _back_substitute(graph: FactorGraph, buckets: Sequence[Bucket]) -> npt.NDArray[np.int64]:
    slots = np.zeros((1, len(graph.sizes)), dtype=np.int64)
    for bucket in reversed(buckets):
        slots[0, bucket.variable] = np.argmin(bucket.table[tuple(slots[0, list(bucket.scope)])])
    return slots


def _joined_row(graph: FactorGraph, row: Sum) -> Factor:
    factors = graph.factors((term.choices, term.values) for term in row.terms)
    variables = {variable for factor in factors for variable in factor.scope}
    cells = math.prod(graph.sizes[variable] for variable in variables)
    if cells > _MAX_ROW_CELLS:
        names = ", ".join(graph.space.names[variable] for variable in sorted(variables))
        raise BadInputError(
            f"The smallest peak needs each row as one table of at most {_MAX_ROW_CELLS:,} cells; a row over the "
            f"choices {names} has {cells:,}. Use rows over fewer choices, or hwnas.solve with a budget."
        )
    return join(np.add, [Factor(scope=(), values=np.array(row.constant)), *factors])


def _largest(rows: Sequence[Sum], architecture: Architecture) -> float:
    return max(row.value(architecture) for row in rows)
