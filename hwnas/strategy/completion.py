"""What the choices still to be made will cost at least: masks under which no sample breaks a budget.

The choices are decided in the space's order. For the options of the next one, given those decided before, this file
knows the least cost of any completion. It is exact: variables are eliminated once from the last to the first (as in
`hwnas.cost.elimination`, in this order), and each leaves a table over the earlier choices that it still depends on.
A walk then looks up a few numbers a choice, for many architectures at a time.

Where choices are coupled so tightly that a joint table would be too large, the tables of one variable are minimised
in several groups, and the result is a lower bound: no option is refused that has a completion. Reference: R. Dechter,
I. Rish, Mini-buckets: a general scheme for bounded inference, Journal of the ACM 50 (2003),
https://doi.org/10.1145/636865.636866.

N architectures, n options of the next choice.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwnas.cost import Budget, CostTable, MaxTable
from hwnas.cost.elimination import MAX_CELLS, Factor, FactorGraph, join
from hwnas.space import Space

__all__ = ["BudgetMasks", "Completion", "CompletionWalk", "MaskWalk"]

_ROUNDING = 1e-12
"""How far, relative to the numbers added up, sums in another order may differ."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Turn:
    """One variable, a choice or one that follows from choices, and what is known when it is decided.

    Attributes:
        variable: its number in the graph.
        options: least costs of what depends on this variable; this variable is the last axis.
        waiting: least costs of what comes later and depends on earlier variables, but not on this one.
        rest: least cost of what comes later and depends on nothing decided.
        settled: the cost's own factors that are known once this variable is.
    """

    variable: int
    options: tuple[Factor, ...]
    waiting: tuple[Factor, ...]
    rest: float
    settled: tuple[Factor, ...]


class Completion:
    """The least cost of completing an architecture, compiled once for a cost.

    Attributes:
        space: of the cost.
        rounding: more than what rounding errors can move a least cost by; in the cost's unit.
    """

    def __init__(self, cost: CostTable | MaxTable, *, max_cells: int = MAX_CELLS) -> None:
        """See the class.

        Args:
            cost: any; of a maximum the least is that of the largest row.
            max_cells: of a joint table; where more would be needed, the least costs are lower bounds.
        """
        self.space: Space = cost.space
        graph = FactorGraph(cost.space)
        self._sizes = graph.sizes
        if isinstance(cost, CostTable) and all(np.isfinite(term.values).all() for term in cost.terms):
            self._add: np.ufunc = np.add
            self._constant = cost.constant
            factors = _factors(graph, cost)
        else:  # -inf cannot be added to the +inf of what is impossible, so that each row becomes one factor
            rows = cost.rows if isinstance(cost, MaxTable) else (cost,)
            self._add = np.maximum
            self._constant = max(row.constant if not row.terms else -np.inf for row in rows)
            factors = [
                join(np.add, [Factor(scope=(), values=np.array(row.constant)), *_factors(graph, row)])
                for row in rows
                if row.terms and _cells(graph.sizes, _factors(graph, row)) <= max_cells
            ]
        self.rounding = _ROUNDING * (_magnitude(self._constant) + sum(_magnitude(f.values) for f in factors))
        self._turns = self._compile(graph, factors, max_cells)

    def _compile(self, graph: FactorGraph, factors: Sequence[Factor], max_cells: int) -> list[_Turn]:
        add = self._add
        neutral = 0.0 if add is np.add else -np.inf
        conditions = [Factor(scope=f.scope, values=np.where(f.values, neutral, np.inf)) for f in graph.allowed]
        messages: list[Factor] = []
        rest = neutral
        turns = []
        for variable in reversed(_decision_order(graph)):
            settled, factors = _split(factors, variable)
            required, conditions = _split(conditions, variable)
            received, messages = _split(messages, variable)
            options, sent = [], []
            for group in _groups([*settled, *required, *received], graph.sizes, max_cells):
                joined = join(add, group)
                axis = joined.scope.index(variable)
                scope = joined.scope[:axis] + joined.scope[axis + 1 :]
                options.append(Factor(scope=scope, values=np.moveaxis(joined.values, axis, -1)))
                sent.append(Factor(scope=scope, values=joined.values.min(axis=axis)))
            turns.append(
                _Turn(
                    variable=variable,
                    options=tuple(options),
                    waiting=tuple(messages),
                    rest=rest,
                    settled=tuple(settled),
                )
            )
            messages += [message for message in sent if message.scope]
            for message in sent:
                rest = rest if message.scope else float(add(rest, message.values))
        return turns[::-1]

    def walk(self, num: int) -> CompletionWalk:
        """`num` architectures of which nothing is decided yet."""
        return CompletionWalk(self, num)


class CompletionWalk:
    """N architectures that are decided choice by choice, in the space's order; made by `Completion.walk`."""

    def __init__(self, completion: Completion, num: int) -> None:
        self._completion = completion
        self._num_turns = 0  # variables that are decided
        self._slots = np.zeros((num, len(completion._sizes)), dtype=np.intp)
        self._settled = np.full(num, completion._constant)  # what is known for certain so far

    def least(self) -> NDArray[np.float64]:
        """For every option of the next choice the least cost of any completion; +inf where the choice is inactive.

        Returns:
            Shape (N, n), in the cost's unit.
        """
        return self._least()[:, :-1]

    def decide(self, codes: NDArray[np.integer[Any]]) -> None:
        """Take these options of the next choice.

        Args:
            codes: shape (N,); -1 (inactive) exactly where the choice is inactive.
        """
        assert self._turn is not None, "every choice is decided"
        self._take(np.where(codes < 0, self._completion._sizes[self._turn.variable] - 1, codes))
        while self._turn is not None and self._turn.variable >= len(self._completion.space.choices):
            self._take(self._least().argmin(axis=1))  # it follows from the choices: only one slot is possible

    def fork(self) -> CompletionWalk:
        """Another walk that has decided the same, and goes on by itself."""
        twin = copy.copy(self)
        twin._slots = self._slots.copy()
        return twin

    @property
    def _turn(self) -> _Turn | None:
        turns = self._completion._turns
        return turns[self._num_turns] if self._num_turns < len(turns) else None

    def _least(self) -> NDArray[np.float64]:
        turn, add = self._turn, self._completion._add
        assert turn is not None, "every choice is decided"
        least: NDArray[np.float64] = add(self._settled, turn.rest)
        for factor in turn.waiting:
            least = add(least, self._look_up(factor))
        least = least[:, None]
        for factor in turn.options:
            least = add(least, self._look_up(factor))
        return least

    def _take(self, slots: NDArray[np.integer[Any]]) -> None:
        assert self._turn is not None
        self._slots[:, self._turn.variable] = slots
        for factor in self._turn.settled:
            self._settled = self._completion._add(self._settled, self._look_up(factor))
        self._num_turns += 1

    def _look_up(self, factor: Factor) -> NDArray[np.float64]:
        """The factor's values for each architecture, (N, ...); (...) where it depends on nothing."""
        found: NDArray[np.float64] = factor.values[tuple(self._slots[:, variable] for variable in factor.scope)]
        return found


class BudgetMasks:
    """Which options of the next choice can still be completed within each budget.

    With one budget a walk within the masks always ends within it, up to rounding and lower bounds (see `Completion`).
    With several, each can be kept but perhaps not all together; so whoever walks checks the end, and repairs it.

    Attributes:
        space: what may vary.
        budgets: the hard limits.
    """

    def __init__(self, space: Space, budgets: Iterable[Budget]) -> None:
        """See the class.

        Args:
            space: what may vary.
            budgets: hard limits over that space; without any, every option is allowed.
        """
        self.space = space
        self.budgets = tuple(budgets)
        self._compiled = [(Completion(budget.cost), budget.limit) for budget in self.budgets]

    def walk(self, num: int) -> MaskWalk:
        """`num` architectures of which nothing is decided yet."""
        return MaskWalk(
            [(completion.walk(num), limit + completion.rounding) for completion, limit in self._compiled], num
        )


class MaskWalk:
    """N architectures that are decided choice by choice under masks; made by `BudgetMasks.walk`."""

    def __init__(self, walks: Sequence[tuple[CompletionWalk, float]], num: int) -> None:
        self._walks = walks
        self._num = num

    def allowed(self, num_options: int) -> NDArray[np.bool_]:
        """Which options of the next choice have, for each budget, a completion that keeps it.

        All of them in a row where the choice is inactive, and in a dead end: where no option is left, since
        decisions that each budget allows are more than all allow together.

        Returns:
            Shape (N, num_options).
        """
        allowed = np.ones((self._num, num_options), dtype=np.bool_)
        for walk, limit in self._walks:
            allowed &= walk.least() <= limit
        allowed[~allowed.any(axis=1)] = True
        return allowed

    def decide(self, codes: NDArray[np.integer[Any]]) -> None:
        """Take these options of the next choice, shape (N,); -1 where it is inactive."""
        for walk, _ in self._walks:
            walk.decide(codes)


def _factors(graph: FactorGraph, table: CostTable) -> list[Factor]:
    return graph.factors((term.choices, term.values) for term in table.terms)


def _cells(sizes: Sequence[int], factors: Iterable[Factor]) -> int:
    return math.prod(sizes[variable] for variable in {variable for factor in factors for variable in factor.scope})


def _magnitude(values: ArrayLike) -> float:
    array = np.asarray(values)
    return float(np.abs(array[np.isfinite(array)]).max(initial=0.0))


def _split(factors: Iterable[Factor], variable: int) -> tuple[list[Factor], list[Factor]]:
    """Those that depend on the variable, and the others."""
    held: list[Factor] = []
    others: list[Factor] = []
    for factor in factors:
        (held if variable in factor.scope else others).append(factor)
    return held, others


def _decision_order(graph: FactorGraph) -> list[int]:
    """The choices in the space's order, each followed by the auxiliary variables that are known with it."""
    known = {position: position for position in range(graph.num_choices)}  # after which choice a variable is known
    for factor in graph.allowed:
        *others, newest = factor.scope
        if newest not in known:  # the first factor over an auxiliary variable is its definition
            known[newest] = max(known[variable] for variable in others)
    return sorted(known, key=lambda variable: (known[variable], variable))


def _groups(held: Sequence[Factor], sizes: Sequence[int], max_cells: int) -> list[list[Factor]]:
    """All factors in one group, or in several where their joint table had more than `max_cells` cells."""
    if _cells(sizes, held) <= max_cells:
        return [list(held)]
    groups: list[list[Factor]] = []
    for factor in sorted(held, key=lambda factor: -factor.values.size):
        for group in groups:
            if _cells(sizes, [*group, factor]) <= max_cells:
                group.append(factor)
                break
        else:
            groups.append([factor])
    return groups
