"""The whole front of utility and one cost, exactly.

Variable elimination in which a message is not a number but a Pareto set: a choice that is coupled to a few
others is joined to one set for each of their settings; independent groups are merged at the end, small ones
first. A stage of a network is thus pruned before it meets the others, and 5.9e21 networks take
milliseconds.
"""

from __future__ import annotations

import dataclasses
import functools
import heapq
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.cost import CostTable, format_quantity
from hwnas.cost.elimination import Factor, FactorGraph, elimination_order
from hwnas.errors import BadInputError, InfeasibleError
from hwnas.solve.merging import ParetoSet, add, join, single, spell_out
from hwnas.solve.solution import Certificate, Solution
from hwnas.space import Space

__all__ = ["Front", "pareto_front"]

_MAX_SETS = 200_000

Message = tuple[tuple[int, ...], dict[tuple[int, ...], ParetoSet]]
"""A scope, and a Pareto set for each of its allowed settings."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Front:
    """All best trade-offs of a utility and a cost, both strictly ascending.

    Attributes:
        space: of the architectures.
        costs: shape `(n,)`, in `unit`.
        utilities: shape `(n,)`.
        codes: encoded architectures, shape `(n, num_choices)`.
        unit: of the costs.
    """

    space: Space
    costs: npt.NDArray[np.float64]
    utilities: npt.NDArray[np.float64]
    codes: npt.NDArray[np.int64]
    unit: str

    def __len__(self) -> int:
        return len(self.costs)

    def __getitem__(self, index: int) -> Solution:
        """A point of the front: optimal among all architectures of at most its cost."""
        (architecture,) = self.space.decode(self.codes[index][None])
        certificate = Certificate.optimal(float(self.utilities[index]))
        return Solution(architecture=architecture, costs=(float(self.costs[index]),), certificate=certificate)

    def best_under(self, limit: float) -> Solution:
        """The architecture of largest utility whose cost is at most `limit`, in `unit`.

        Raises:
            InfeasibleError: every architecture costs more.
        """
        index = int(np.searchsorted(self.costs, limit, side="right")) - 1
        if index < 0:
            least = float(self.costs[0])
            raise InfeasibleError(
                f"No architecture of the space costs at most {format_quantity(limit, self.unit)}; the least achievable "
                f"is {format_quantity(least, self.unit)}. Raise the limit."
            )
        return self[index]


def pareto_front(utility: CostTable, cost: CostTable) -> Front:
    """The exact front: every architecture that none beats in one of utility and cost and equals in the other.

    Of several architectures with the same cost and utility one is kept, always the same.

    Args:
        utility: larger is better.
        cost: smaller is better; over the same space, finite.

    Raises:
        BadInputError: tables over different spaces or with -inf, choices coupled too tightly, or a front of
            more than a million points; never a truncated front.
    """
    if utility.space != cost.space:
        raise BadInputError("The utility and the cost must be over one space. Build both from the same `Space`.")
    if not all(np.isfinite(term.values).all() for term in (*utility.terms, *cost.terms)):
        raise BadInputError("Every cell of the utility and of the cost of a front must be finite; got -inf.")
    graph = FactorGraph(utility.space)
    gains = graph.factors((term.choices, term.values) for term in utility.terms)
    prices = graph.factors((term.choices, term.values) for term in cost.terms)
    front = _merge_all(_eliminate(graph, gains, prices))
    codes = graph.codes(spell_out(front, len(graph.sizes)))
    costs, utilities = cost.values(codes), utility.values(codes)
    order = np.lexsort((-utilities, costs))  # rounding: the tables' own sums have the last word
    best = np.maximum.accumulate(utilities[order])
    kept = order[np.concatenate([[True], best[1:] > best[:-1]])]
    return Front(
        space=utility.space, costs=costs[kept], utilities=utilities[kept], codes=codes[kept], unit=cost.unit
    )  # fmt: skip


def _eliminate(graph: FactorGraph, gains: Sequence[Factor], prices: Sequence[Factor]) -> list[ParetoSet]:
    """Independent Pareto sets whose sum is the front (but for the tables' constants)."""
    scopes = [factor.scope for factor in (*gains, *prices, *graph.allowed)]
    order, _ = elimination_order(graph.sizes, scopes)
    tables = {"gain": list(gains), "price": list(prices), "allowed": list(graph.allowed)}
    messages: list[Message] = []
    finished = []
    for variable in order:
        held = [message for message in messages if variable in message[0]]
        messages = [message for message in messages if variable not in message[0]]
        local = {kind: [f for f in factors if variable in f.scope] for kind, factors in tables.items()}
        tables = {kind: [f for f in factors if variable not in f.scope] for kind, factors in tables.items()}
        message = _decide(graph, variable, local, held)
        if message[0]:
            messages.append(message)
        else:
            finished.append(message[1][()])
    return finished


def _decide(graph: FactorGraph, variable: int, local: dict[str, list[Factor]], held: list[Message]) -> Message:
    """Join everything that holds a variable, and keep for each setting of the others the Pareto set over it."""
    union = {variable}.union(*(f.scope for factors in local.values() for f in factors), *(m[0] for m in held))
    scope = (*sorted(union - {variable}), variable)
    shape = [graph.sizes[v] for v in scope]
    if np.prod(shape, dtype=float) > _MAX_SETS:
        names = ", ".join(graph.space.names[v] for v in sorted(union) if v < graph.num_choices)
        raise BadInputError(
            f"The exact front needs a Pareto set for each joint setting of the choices {names}: {np.prod(shape):,} of "
            f"them, more than {_MAX_SETS:,}. Use terms over fewer choices, or ask `maximise` for single budgets."
        )
    gain, price = (_dense(np.add, local[kind], 0.0, scope, shape) for kind in ("gain", "price"))
    allowed = _dense(np.logical_and, local["allowed"], True, scope, shape)
    lookups = [([scope.index(v) for v in message_scope], sets) for message_scope, sets in held]
    result: dict[tuple[int, ...], ParetoSet] = {}
    for setting in itertools.product(*(range(size) for size in shape[:-1])):
        slots, sets = [], []
        for slot in np.flatnonzero(allowed[setting]).tolist():
            whole = (*setting, slot)
            parts = [sets_of.get(tuple(whole[axis] for axis in axes)) for axes, sets_of in lookups]
            known = [part for part in parts if part is not None]
            if len(known) == len(parts):
                slots.append(slot)
                sets.append(_shifted(known, float(price[whole]), float(gain[whole])))
        if sets:
            result[setting] = join(variable, slots, sets)
    return scope[:-1], result


def _dense(
    operator: np.ufunc, factors: Sequence[Factor], neutral: float, scope: Sequence[int], shape: Sequence[int]
) -> npt.NDArray[Any]:
    """The factors combined, with all axes of `scope`: ascending but for its last."""
    ascending = sorted(scope)
    sizes = dict(zip(scope, shape, strict=True))
    start = np.full([sizes[variable] for variable in ascending], neutral)
    values = functools.reduce(operator, (factor.aligned(ascending) for factor in factors), start)
    return np.moveaxis(values, ascending.index(scope[-1]), -1)


def _shifted(sets: Sequence[ParetoSet], cost: float, utility: float) -> ParetoSet:
    """The sum of the sets and of one more number each."""
    if not sets:
        return single(cost, utility)
    whole = _merge_all(sets)
    return dataclasses.replace(whole, costs=whole.costs + cost, utilities=whole.utilities + utility)


def _merge_all(sets: Sequence[ParetoSet]) -> ParetoSet:
    """The sum of all sets, the two smallest first."""
    queue = [(len(part), number, part) for number, part in enumerate(sets)]
    heapq.heapify(queue)
    for number in itertools.count(len(sets)):
        if len(queue) == 1:
            break
        merged = add(heapq.heappop(queue)[2], heapq.heappop(queue)[2])
        heapq.heappush(queue, (len(merged), number, merged))
    return queue[0][2]
