"""The k best architectures under hard budgets: a beam with a proof, then branch and bound.

The linear relaxation prices the budgets. A beam under the resulting Lagrangian bound nearly always finds
and proves the k best within milliseconds; where it does not (hard knapsacks, tightly coupled choices),
HiGHS goes on from what it found. Both keep one invariant, the *pool*: feasible architectures that are
known, and an upper bound on the utility of every feasible one outside of it.
"""

from __future__ import annotations

import math
import time

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp

from hwnas.errors import HwnasError
from hwnas.solve.beam import Beam
from hwnas.solve.problem import Problem
from hwnas.solve.program import Program
from hwnas.solve.solution import Certificate, Solution

__all__ = ["Deadline", "Pool", "branch_and_bound", "k_best_of"]

_WIDTHS = (500, 5_000, 50_000, 400_000)
_BEAM_TOLERANCE = 1e-12
_MILP_TOLERANCE = 1e-9


class Deadline:
    """A moment after which no new work is begun; never, for None."""

    def __init__(self, seconds: float | None) -> None:
        self._end = math.inf if seconds is None else time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left, at least 0; inf where there is no limit."""
        return max(0.0, self._end - time.monotonic())


class Pool:
    """Known feasible architectures, and what is proven about all others.

    Attributes:
        codes: encoded, best first, ties in the order of their codes; at most k.
        utilities: theirs, descending.
        bound: no feasible architecture that is not among `codes` has a larger utility, unless it is worse
            than all k of them.
    """

    def __init__(self, problem: Problem, k: int) -> None:
        self._problem = problem
        self._k = k
        self.codes: npt.NDArray[np.int64] = np.zeros((0, problem.graph.num_choices), dtype=np.int64)
        self.utilities: npt.NDArray[np.float64] = np.zeros(0)
        self.bound = problem.constant  # all terms of the objective are at most 0
        self.tolerance = 0.0

    def add(self, codes: npt.NDArray[np.int64]) -> None:
        """Take those of the encoded architectures that keep the budgets and are not excluded."""
        kept = codes[self._problem.kept(codes)]
        if self._k and len(kept) > 4 * self._k:  # only the best need sorting
            utilities = self._problem.utility.values(kept)
            kept = kept[utilities >= np.partition(utilities, -self._k)[-self._k]]
        known = np.unique(np.concatenate([self.codes, kept]), axis=0)
        utilities = self._problem.utility.values(known)
        order = np.argsort(-utilities, kind="stable")[: self._k]
        self.codes, self.utilities = known[order], utilities[order]

    @property
    def threshold(self) -> float:
        """The k-th best utility; -inf while there are fewer."""
        return float(self.utilities[-1]) if len(self.utilities) == self._k else -math.inf

    def num_proven(self) -> int:
        """How many of the pool are proven to be the best of all, in order."""
        slack = self.tolerance * np.maximum(np.abs(self.utilities), self._problem.scale)
        return int(np.count_nonzero(self.utilities >= self.bound - slack))

    @property
    def complete(self) -> bool:
        """Whether the k best, or all that there are, are known and proven."""
        return self.bound == -math.inf or self.num_proven() == self._k

    def solutions(self) -> list[Solution]:
        """The pool, best first, each with what is proven about it."""
        proven = len(self.codes) if self.complete else self.num_proven()
        found = []
        for rank, architecture in enumerate(self._problem.utility.space.decode(self.codes)):
            objective = float(self.utilities[rank])
            certificate = Certificate.optimal(objective)
            if rank >= proven:
                bound = max(self.bound, objective)
                certificate = Certificate(objective=objective, bound=bound, gap=bound - objective, status="time_limit")
            costs = self._problem.costs(architecture)
            found.append(Solution(architecture=architecture, costs=costs, certificate=certificate))
        return found


def k_best_of(problem: Problem, k: int, deadline: Deadline) -> Pool:
    """The k best architectures of a problem; complete unless the deadline passed.

    A complete pool without architectures means that the problem is infeasible.
    """
    pool = Pool(problem, k)
    program = Program(problem)
    prices = program.multipliers()
    if prices is None:
        pool.bound = -math.inf
        return pool
    beam = Beam.build(problem, prices)
    if beam is not None:
        for width in _WIDTHS:
            if pool.complete or deadline.remaining == 0.0:
                return pool
            codes, bound = beam.search(max(width, 4 * k), at_least=pool.threshold)
            pool.add(codes)
            pool.bound = min(pool.bound, bound)
            pool.tolerance = _BEAM_TOLERANCE
    branch_and_bound(pool, problem, program, deadline)
    return pool


def branch_and_bound(pool: Pool, problem: Problem, program: Program, deadline: Deadline) -> None:
    """Solve the MILP again and again, each time without the points that are known already.

    A point is cut off once HiGHS has returned it: it is in the pool, or over budget by rounding. Its presolve
    is off: with it, HiGHS now and then calls a worse point optimal (https://github.com/ERGO-Code/HiGHS/issues/3073;
    a test has such a case), and it saves little time here.
    """
    pool.tolerance = max(pool.tolerance, _MILP_TOLERANCE)
    for codes in pool.codes[: pool.num_proven()]:
        program.cut_off(codes)
    while not pool.complete and deadline.remaining > 0.0:
        less, equal = program.less, program.equal
        result = milp(
            program.objective,
            integrality=(np.arange(program.num_columns) < program.num_binary).astype(np.int64),
            bounds=Bounds(0.0, program.upper),
            constraints=[
                LinearConstraint(less.matrix, -np.inf, less.upper),
                LinearConstraint(equal.matrix, equal.upper, equal.upper),
            ],
            options={"mip_rel_gap": 0.0, "time_limit": min(deadline.remaining, 1e9), "presolve": False},
        )
        if result.status == 2:
            pool.bound = -math.inf
            return
        if result.mip_dual_bound is not None and math.isfinite(result.mip_dual_bound):
            bound = problem.constant - result.mip_dual_bound / program.objective_scale
            pool.bound = min(pool.bound, bound)
        if result.status not in (0, 1):
            raise HwnasError(f"HiGHS failed on a program of {program.num_columns} columns: {result.message}")
        if result.x is not None:
            codes = program.codes(result.x)
            pool.add(codes)
            program.cut_off(codes[0])
