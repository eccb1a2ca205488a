"""A problem as a mixed-integer linear program.

One binary column for every slot of every choice (the last slot, "inactive", is fixed to 0 where the choice
is always active), so that latency and an additive utility are linear although depths are chosen too. A
choice is active exactly where its condition holds, which is linear in the columns of the earlier choices.
A term over several choices gets a column for each of its cells, tied to the choices by marginals; these
columns are integral by themselves. Rows and objective are scaled: HiGHS works with absolute tolerances.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import linprog

from hwnas.cost.elimination import CodedLiteral, Factor, clauses_of
from hwnas.solve.problem import Problem, Row

__all__ = ["Program"]

Vector = npt.NDArray[np.float64]
Expression = tuple[tuple[int, float], ...]
"""A linear expression: columns and their coefficients."""

_SCALE = 1e4  # the spread of every scaled row, so that HiGHS' absolute 1e-6 is 1e-10 of it
_TOLERANCE = 1e-6
_QUICK = {"presolve": False}
_EXACT = {**_QUICK, "primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearRows:
    """Rows `matrix @ x <= upper`."""

    matrix: sparse.csr_array
    upper: Vector


class Program:
    """The columns, constraints and objective of a problem.

    Attributes:
        objective: to be *minimised*: minus the utility, times `objective_scale`.
        objective_scale: scaled per unit of utility.
        upper: of each column; the lower bounds are 0, or -inf for a free column.
        num_binary: the first columns are the slots of the choices and binary.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._sizes = problem.graph.sizes[: problem.graph.num_choices]
        self._first = np.concatenate([[0], np.cumsum(self._sizes)]).tolist()
        self.num_binary: int = self._first[-1]
        self._upper = [1.0] * self.num_binary
        self._equal: list[tuple[Expression, float]] = []
        self._less: list[tuple[Expression, float]] = []
        self._joint: dict[tuple[int, ...], int] = {}
        for position in range(len(self._sizes)):
            self._equal.append((tuple((column, 1.0) for column in self._columns(position)), 1.0))
            clauses = clauses_of(problem.utility.space, position)
            if clauses:
                self._activate(position, clauses)
            else:
                self._upper[self._columns(position)[-1]] = 0.0
        terms = [factor for row in problem.rows for factor in row.factors]
        for factor in (*problem.objective, *problem.masks, *terms):
            self._add_joint(factor.scope)
        for mask in problem.masks:
            self._forbid(mask)
        for excluded in problem.excluded:
            self.cut_off(excluded)
        self._first_row = len(self._less)
        self._row_scales = [_SCALE / max(sum(np.ptp(f.values) for f in row.factors), 1e-300) for row in problem.rows]
        for row, scale in zip(problem.rows, self._row_scales, strict=True):
            self._less.append(self._scaled(row, scale))
        self.objective_scale = _SCALE / problem.scale if problem.scale > 0 else 1.0

    @property
    def num_columns(self) -> int:
        """How many columns there are."""
        return len(self._upper)

    @property
    def upper(self) -> Vector:
        """The upper bounds of the columns; the lower are 0."""
        return np.array(self._upper)

    @property
    def objective(self) -> Vector:
        """The coefficients to minimise: minus the utility, scaled."""
        coefficients = np.zeros(self.num_columns)
        for factor in self.problem.objective:
            for column, value in self._cells(factor):
                coefficients[column] -= value * self.objective_scale
        return coefficients

    @property
    def equal(self) -> LinearRows:
        """The rows that hold with equality."""
        return self._assemble(self._equal)

    @property
    def less(self) -> LinearRows:
        """The rows `<=`; the problem's own rows come last but for later cuts."""
        return self._assemble(self._less)

    def cut_off(self, codes: npt.NDArray[np.int64]) -> None:
        """Forbid one encoded architecture: not all of its active options at once."""
        chosen = [self._first[position] + code for position, code in enumerate(codes.tolist()) if code >= 0]
        self._less.append((tuple((column, 1.0) for column in chosen), len(chosen) - 1.0))

    def codes(self, x: Vector) -> npt.NDArray[np.int64]:
        """The encoded architecture of a solution, shape `(1, num_choices)`."""
        slots = [int(np.argmax(x[self._first[p] : self._first[p + 1]])) for p in range(len(self._sizes))]
        return self.problem.graph.codes(np.array([slots]))

    def multipliers(self) -> Vector | None:
        """The price of each of the problem's rows in the linear relaxation, utility per unit of cost.

        Where there is no utility, the prices are those of keeping the rows by as much as possible, to a common factor.

        Returns:
            None where already the relaxation is infeasible.
        """
        less, equal = self.less, self.equal
        objective, upper = self.objective, less.upper
        bounds = np.column_stack([np.zeros(self.num_columns), self.upper])
        rows = slice(self._first_row, self._first_row + len(self.problem.rows))
        matrices = [less.matrix, equal.matrix]
        flat = len(self.problem.rows) > 0 and not self.problem.scale
        if flat:
            # Without an objective all prices would be 0, which says nothing about where the budgets are kept. They are
            # those of the excess over the limits instead, one column more, of the scaled row that has most of it.
            excess = np.zeros((len(upper), 1))
            excess[rows] = -1.0
            none = sparse.csr_array((len(equal.upper), 1))
            matrices = [sparse.hstack([less.matrix, sparse.csr_array(excess)]), sparse.hstack([equal.matrix, none])]
            objective = np.append(objective, 1.0)
            bounds = np.vstack([bounds, [-np.inf, np.inf]])
        for options in (_QUICK, _EXACT):
            result = linprog(  # type: ignore[call-overload]  # the stubs do not know sparse matrices
                objective, A_ub=matrices[0], b_ub=upper, A_eq=matrices[1], b_eq=equal.upper,
                bounds=bounds, method="highs", options=options,
            )  # fmt: skip
            if not (flat and result.status == 0 and result.fun > _TOLERANCE):
                break  # else an excess that there may not be: HiGHS has called 1.7e-4 the least where it is 0
        if result.status == 2 or (flat and result.status == 0 and result.fun > _TOLERANCE):
            return None
        if result.status != 0:  # any prices give a valid bound
            return np.zeros(len(self.problem.rows))
        marginals = np.asarray(result.ineqlin.marginals)[rows]
        prices = -marginals * np.array(self._row_scales) / self.objective_scale
        return np.asarray(np.maximum(prices, 0.0), dtype=np.float64)

    def _columns(self, position: int) -> range:
        return range(self._first[position], self._first[position + 1])

    def _literal(self, position: int, codes: Iterable[int]) -> Expression:
        """1 exactly where the choice is active with one of the options."""
        return tuple((self._first[position] + code, 1.0) for code in codes)

    def _activate(self, position: int, clauses: list[list[CodedLiteral]]) -> None:
        """The choice is active exactly where one of the clauses holds."""
        active = self._literal(position, range(self._sizes[position] - 1))
        places = {place for clause in clauses for place, _ in clause}
        if len(places) == 1 and all(len(clause) == 1 for clause in clauses):
            codes = {code for clause in clauses for _, codes in clause for code in codes}
            self._equal.append((_minus(active, self._literal(places.pop(), sorted(codes))), 0.0))
            return
        conjunctions = [self._all_of([self._literal(*literal) for literal in clause]) for clause in clauses]
        for conjunction in conjunctions:
            self._less.append((_minus(conjunction, active), 0.0))
        self._less.append((_minus(active, *conjunctions), 0.0))

    def _all_of(self, literals: list[Expression]) -> Expression:
        """A column that is 1 exactly where all literals are."""
        if len(literals) == 1:
            return literals[0]
        both: Expression = ((self._new_column(), 1.0),)
        for literal in literals:
            self._less.append((_minus(both, literal), 0.0))
        self._less.append((_minus(_plus(*literals), both), len(literals) - 1.0))
        return both

    def _add_joint(self, scope: tuple[int, ...]) -> None:
        """Columns for the cells of a scope of several choices, with marginals; the first of them is kept."""
        if len(scope) < 2 or scope in self._joint:
            return
        shape = [self._sizes[position] for position in scope]
        first = self.num_columns
        self._joint[scope] = first
        self._upper.extend([1.0] * math.prod(shape))
        cells = np.arange(first, first + math.prod(shape)).reshape(shape)
        for axis, position in enumerate(scope):
            for slot, column in enumerate(self._columns(position)):
                marginal = tuple((int(cell), 1.0) for cell in np.take(cells, slot, axis=axis).ravel())
                self._equal.append((_minus(marginal, ((column, 1.0),)), 0.0))

    def _cells(self, factor: Factor) -> Iterable[tuple[int, float]]:
        if not factor.scope:
            return ()
        first = self._first[factor.scope[0]] if len(factor.scope) == 1 else self._joint[factor.scope]
        return enumerate(factor.values.ravel().tolist(), start=first)

    def _forbid(self, mask: Factor) -> None:
        if not mask.scope and not mask.values.all():
            self._less.append(((), -1.0))
        for column, allowed in self._cells(mask):
            if not allowed:
                self._upper[column] = 0.0

    def _scaled(self, row: Row, scale: float) -> tuple[Expression, float]:
        cells = _plus(*(tuple(self._cells(factor)) for factor in row.factors))
        return tuple((column, value * scale) for column, value in cells), row.limit * scale

    def _new_column(self) -> int:
        self._upper.append(1.0)
        return self.num_columns - 1

    def _assemble(self, rows: Sequence[tuple[Expression, float]]) -> LinearRows:
        lengths = [len(expression) for expression, _ in rows]
        entries = [entry for expression, _ in rows for entry in expression]
        columns = np.array([column for column, _ in entries], dtype=np.int64)
        values = np.array([value for _, value in entries], dtype=np.float64)
        where = (values, (np.repeat(np.arange(len(rows)), lengths), columns))
        matrix = sparse.csr_array(where, shape=(len(rows), self.num_columns))
        return LinearRows(matrix=matrix, upper=np.array([upper for _, upper in rows], dtype=np.float64))


def _plus(*expressions: Expression) -> Expression:
    return tuple(entry for expression in expressions for entry in expression)


def _minus(left: Expression, *right: Expression) -> Expression:
    return _plus(left, *(tuple((column, -value) for column, value in expression) for expression in right))
