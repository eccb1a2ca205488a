"""The best architectures under hard budgets, with certificates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hwnas.cost import Budget, CostTable
from hwnas.errors import BadInputError, InfeasibleError
from hwnas.solve.infeasible import check_each_alone, infeasible
from hwnas.solve.problem import Problem
from hwnas.solve.search import Deadline, k_best_of
from hwnas.solve.solution import Solution
from hwnas.space import Architecture

__all__ = ["k_best", "maximise"]

_EXPLAINING_SECONDS = 5.0
"""That budgets contradict each other is proven first; the least of each cost may each be as hard a problem again."""


def maximise(
    utility: CostTable,
    budgets: Sequence[Budget] = (),
    *,
    time_limit_seconds: float | None = None,
    exclude: Iterable[Architecture] = (),
) -> Solution:
    """The architecture of largest utility among those that keep every budget, exactly.

    The problem is a mixed-integer linear program. Its relaxation prices the budgets; under these prices a
    beam search usually finds and proves the optimum in milliseconds, and HiGHS solves what it leaves open.
    Whether a budget holds is decided by the cost tables themselves, never by a solver's tolerance.

    Args:
        utility: to be maximised; over the space of the budgets.
        budgets: hard upper bounds, any number.
        time_limit_seconds: when it passes, the best architecture so far is returned, and its certificate
            has the status "time_limit" and the gap that is left. None for no limit.
        exclude: architectures that are not to be returned.

    Returns:
        The architecture, its costs, and the certificate. The same input gives the same output, unless the
        time limit is hit.

    Raises:
        InfeasibleError: no architecture keeps the budgets (names them and the least achievable, as far as that is
            found within seconds), or all that do are in `exclude`.
        BadInputError: tables over different spaces, a time limit that is not positive, or one too short to
            find any architecture.
    """
    return k_best(utility, budgets, 1, time_limit_seconds=time_limit_seconds, exclude=exclude)[0]


def k_best(
    utility: CostTable,
    budgets: Sequence[Budget],
    k: int,
    *,
    time_limit_seconds: float | None = None,
    exclude: Iterable[Architecture] = (),
) -> list[Solution]:
    """The k architectures of largest utility among those that keep every budget, best first.

    Ties are broken by the architectures' codes among those that were found; a tie with the k-th
    that was never looked at may be left out.

    Args:
        utility: as for `maximise`.
        budgets: as for `maximise`.
        k: how many, at least 1.
        time_limit_seconds: for all k together.
        exclude: as for `maximise`.

    Returns:
        k solutions; fewer only where fewer architectures keep the budgets, or where the time limit was
        hit. The i-th certificate is about all architectures but the i-1 before it.

    Raises:
        InfeasibleError: no architecture keeps the budgets; names them and the least achievable.
        BadInputError: as `maximise`, or a k below 1.
    """
    if k < 1:
        raise BadInputError(f"`k` must be at least 1; got {k}.")
    if time_limit_seconds is not None and not time_limit_seconds > 0:
        raise BadInputError(f"`time_limit_seconds` must be positive, or None for no limit; got {time_limit_seconds}.")
    deadline = Deadline(time_limit_seconds)
    excluded = list(exclude)
    check_each_alone(budgets, deadline)
    pool = k_best_of(Problem(utility, budgets, excluded), k, deadline)
    if len(pool.codes):
        return pool.solutions()
    if not pool.complete:
        raise BadInputError(
            f"No architecture within the budgets was found in `time_limit_seconds` = {time_limit_seconds}, nor a proof "
            "that there is none. Give it more time."
        )
    if excluded and len(k_best_of(Problem(utility, budgets), 1, deadline).codes):
        raise InfeasibleError(
            f"All architectures within the budgets are among the {len(excluded)} of `exclude`. Exclude fewer, or raise "
            "a limit."
        )
    raise infeasible(budgets, Deadline(min(deadline.remaining, _EXPLAINING_SECONDS)))
