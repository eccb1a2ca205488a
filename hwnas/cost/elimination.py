"""Variable elimination over the choices of a space: the exact engine under extremes, fronts and bounds.

Every choice is a variable with one slot an option and a last slot, "inactive". A condition is a hard
factor: the inactive slot is taken if and only if the condition is false, and a requirement holds only
where its choice is active with one of the options. Wide conditions are split with auxiliary yes/no
variables, so that no factor is larger than what its own requirements couple.

Eliminating a variable joins the factors that hold it into one table (a *bucket*) and reduces the variable
away; the rest is a *message* to the remaining variables. The work is exponential only in how tightly the
choices are coupled, not in their number. Reference: R. Dechter, Bucket elimination: a unifying framework
for reasoning, Artificial Intelligence 113 (1999), https://doi.org/10.1016/S0004-3702(99)00059-4.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hwnas.space import Space

__all__ = [
    "MAX_CELLS",
    "Bucket",
    "Factor",
    "FactorGraph",
    "Semiring",
    "clauses_of",
    "eliminate",
    "elimination_order",
    "join",
]

MAX_CELLS = 5_000_000
"""The largest joint table, in cells, that elimination builds (40 MB)."""

_MAX_CONDITION_CELLS = 1024

CodedLiteral = tuple[int, tuple[int, ...]]
"""The position of a choice, and the codes of the options that fulfil a requirement on it."""

Semiring = Literal["sum", "max"]
"""How factors combine before a variable is minimised away: added, or the largest of them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Factor:
    """A table over a few variables.

    Attributes:
        scope: the variables' numbers, ascending.
        values: one axis for each variable of the scope, as long as the variable has slots.
    """

    scope: tuple[int, ...]
    values: npt.NDArray[Any]

    @classmethod
    def over(cls, variables: Sequence[int], values: npt.NDArray[Any]) -> Factor:
        """A factor whose axes stand in the order of `variables`, brought into ascending order."""
        order = sorted(range(len(variables)), key=variables.__getitem__)
        return cls(scope=tuple(variables[axis] for axis in order), values=values.transpose(order))

    def aligned(self, scope: Sequence[int]) -> npt.NDArray[Any]:
        """The values with an axis for every variable of the ascending `scope`, ready to broadcast."""
        length = dict(zip(self.scope, self.values.shape, strict=True))
        return self.values.reshape([length.get(variable, 1) for variable in scope])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bucket:
    """What one elimination left behind.

    Attributes:
        variable: the eliminated variable.
        scope: the variables it was joined with, ascending; eliminated later.
        table: the joined values, axes `(*scope, variable)`.
        message: `table` minimised over the variable, axes `scope`.
    """

    variable: int
    scope: tuple[int, ...]
    table: npt.NDArray[np.float64]
    message: npt.NDArray[np.float64]


class FactorGraph:
    """The variables of a space and the hard factors that its conditions put on them.

    Attributes:
        space: the space.
        num_choices: variables below this number are the choices, in the space's order; the others are
            auxiliary and follow from them.
        sizes: the number of slots of each variable.
        allowed: boolean factors; an assignment is an architecture if and only if all of them hold.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.num_choices = len(space.choices)
        self._sizes = [choice.num_options + 1 for choice in space.choices]
        self._allowed: list[Factor] = []
        for position in range(self.num_choices):
            active = np.arange(self._sizes[position]) < self._sizes[position] - 1
            clauses = clauses_of(space, position)
            if not clauses:
                self._allowed.append(Factor(scope=(position,), values=active))
                continue
            conjunctions = [self._fold(np.logical_and, map(self._literal, clause)) for clause in clauses]
            holds = self._fold(np.logical_or, conjunctions)
            self._allowed.append(Factor.over((*holds.scope, position), holds.values[..., None] == active))
        self.sizes = tuple(self._sizes)
        self.allowed = tuple(self._allowed)

    def factors(self, terms: Iterable[tuple[tuple[str, ...], npt.NDArray[np.float64]]]) -> list[Factor]:
        """Tables over named choices, last slots inactive, as factors of this graph."""
        return [Factor.over([self.space.position(name) for name in names], values) for names, values in terms]

    def codes(self, slots: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
        """Encoded architectures, inactive = -1, from slots of shape `(n, at least num_choices)`."""
        codes = slots[:, : self.num_choices].astype(np.int64)
        codes[codes == np.array(self.sizes[: self.num_choices]) - 1] = -1
        return codes

    def _literal(self, literal: CodedLiteral) -> Factor:
        position, codes = literal
        return Factor(scope=(position,), values=np.isin(np.arange(self._sizes[position]), codes))

    def _fold(self, operator: np.ufunc, parts: Iterable[Factor]) -> Factor:
        return functools.reduce(lambda left, right: self._named(join(operator, (left, right))), parts)

    def _named(self, factor: Factor) -> Factor:
        """The same truth value, read from a new auxiliary variable where the factor is large."""
        if factor.values.size <= _MAX_CONDITION_CELLS:
            return factor
        variable = len(self._sizes)
        self._sizes.append(2)
        truth = np.array([False, True])
        self._allowed.append(Factor(scope=(*factor.scope, variable), values=factor.values[..., None] == truth))
        return Factor(scope=(variable,), values=truth)


def clauses_of(space: Space, position: int) -> list[list[CodedLiteral]]:
    """The condition of a choice, an OR of ANDs of literals in one fixed order; empty if it always holds."""
    condition = space.coded_conditions[position]
    if frozenset() in condition:
        return []
    return sorted(sorted((place, tuple(sorted(codes))) for place, codes in clause) for clause in condition)


def join(operator: np.ufunc, factors: Sequence[Factor]) -> Factor:
    """One factor over all variables of `factors`, their values combined by `operator`."""
    scope = tuple(sorted({variable for factor in factors for variable in factor.scope}))
    values = functools.reduce(operator, (factor.aligned(scope) for factor in factors))
    return Factor(scope=scope, values=values)


def elimination_order(sizes: Sequence[int], scopes: Iterable[tuple[int, ...]]) -> tuple[list[int], int]:
    """A greedy order: always the variable whose joint table is smallest, then the earliest.

    Returns:
        The order, and the cells of the largest table that elimination in this order builds.
    """
    neighbours: list[set[int]] = [{variable} for variable in range(len(sizes))]
    for scope in scopes:
        for variable in scope:
            neighbours[variable].update(scope)
    cells = {variable: math.prod(sizes[n] for n in neighbours[variable]) for variable in range(len(sizes))}
    order: list[int] = []
    largest = 1
    while cells:
        variable = min(cells, key=lambda v: (cells[v], v))
        largest = max(largest, cells.pop(variable))
        order.append(variable)
        rest = neighbours[variable] - {variable}
        for other in rest:
            neighbours[other] |= rest
            neighbours[other].discard(variable)
            cells[other] = math.prod(sizes[n] for n in neighbours[other])
    return order, largest


def eliminate(
    graph: FactorGraph, factors: Sequence[Factor], order: Sequence[int], semiring: Semiring = "sum"
) -> tuple[float, list[Bucket]]:
    """Minimise the combined factors over all architectures of the graph.

    Args:
        graph: variables and conditions.
        factors: the tables to combine; finite, or -inf in the semiring "max" only.
        order: from `elimination_order`, over the scopes of `factors` and of `graph.allowed`.
        semiring: "sum" minimises the factors' sum, "max" the largest of them.

    Returns:
        The minimum (0, or -inf for "max", without factors), and a bucket for each variable in `order`.
    """
    operator: np.ufunc = np.add if semiring == "sum" else np.maximum
    neutral = 0.0 if semiring == "sum" else -np.inf
    pending = [
        *factors,
        *(Factor(scope=f.scope, values=np.where(f.values, neutral, np.inf)) for f in graph.allowed),
    ]
    buckets = []
    for variable in order:
        held = [factor for factor in pending if variable in factor.scope]
        pending = [factor for factor in pending if variable not in factor.scope]
        if not held:
            held = [Factor(scope=(variable,), values=np.full(graph.sizes[variable], neutral))]
        joined = join(operator, held)
        axis = joined.scope.index(variable)
        scope = joined.scope[:axis] + joined.scope[axis + 1 :]
        table = np.moveaxis(joined.values, axis, -1)
        message = table.min(axis=-1)
        buckets.append(Bucket(variable=variable, scope=scope, table=table, message=message))
        pending.append(Factor(scope=scope, values=message))
    return float(functools.reduce(operator, (factor.values for factor in pending), neutral)), buckets
