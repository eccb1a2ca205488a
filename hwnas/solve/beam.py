"""Best-first search under a Lagrangian bound, with a proof of what it has not seen.

The budgets are priced into the objective: for multipliers `lambda >= 0`

    L(a) = utility(a) + sum_i lambda_i (limit_i - cost_i(a))  >=  utility(a)  for every a within budget.

L is a sum of small tables, so variable elimination gives its exact maximum, and for every partial
architecture the exact maximum over its completions. Deciding the variables in reverse order of
elimination, an option costs the *regret* by which that maximum falls. The beam keeps the partial
architectures of least regret, but for those whose cheapest completion is over a budget; the least regret
that it ever dropped bounds everything it never saw. Where the k-th best architecture found is no worse than
this bound, the k best are proven.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt

from hwnas.cost.elimination import MAX_CELLS, Bucket, Factor, eliminate, elimination_order
from hwnas.solve.problem import Problem

__all__ = ["Beam"]


class Beam:
    """The compiled bound of a problem.

    Attributes:
        bound: the Lagrangian bound on the utility of every architecture within the budgets; -inf
            where masks alone leave no architecture.
        tolerance: rounding errors of the bound.
    """

    def __init__(self, problem: Problem, bound: float, tolerance: float, tracks: list[_Track]) -> None:
        """See `build`."""
        self._problem = problem
        self._tracks = tracks
        self.bound = bound
        self.tolerance = tolerance

    @classmethod
    def build(cls, problem: Problem, multipliers: npt.NDArray[np.float64]) -> Beam | None:
        """The beam of a problem.

        Args:
            problem: utility and budgets.
            multipliers: for each of the problem's rows, at least 0, in utility per unit of cost.

        Returns:
            None where the tables are coupled too tightly to be eliminated.
        """
        factors = [Factor(scope=factor.scope, values=-factor.values) for factor in problem.objective]
        constant = problem.constant
        for row, multiplier in zip(problem.rows, multipliers.tolist(), strict=True):
            if multiplier > 0:
                constant += multiplier * row.limit
                factors += [Factor(scope=f.scope, values=multiplier * f.values) for f in row.factors]
        magnitude = abs(constant) + sum(float(np.abs(factor.values).max()) for factor in factors)
        masks = [Factor(scope=mask.scope, values=np.where(mask.values, 0.0, np.inf)) for mask in problem.masks]
        factors += masks
        scopes = [factor.scope for factor in (*factors, *problem.graph.allowed)]
        order, cells = elimination_order(problem.graph.sizes, scopes)
        if cells > MAX_CELLS:
            return None
        least, buckets = eliminate(problem.graph, factors, order)
        tracks = [_Track(buckets=buckets, allowance=np.inf)]
        for row in itertools.compress(problem.rows, multipliers > 0):
            cheapest, buckets = eliminate(problem.graph, [*row.factors, *masks], order)
            tracks.append(_Track(buckets=buckets, allowance=row.limit - cheapest + row.rounding))
        return cls(problem, constant - least, 1e-12 * magnitude, tracks)

    def search(self, width: int, at_least: float = -np.inf) -> tuple[npt.NDArray[np.int64], float]:
        """The architectures that a beam of `width` meets, and what it has missed.

        Args:
            width: partial architectures kept after each decision.
            at_least: utilities below this are of no interest.

        Returns:
            Encoded architectures, budgets not checked, shape `(n <= width, num_choices)`, and a bound on
            the utility of every other architecture within the budgets; -inf where there is no other.
        """
        if self.bound == -np.inf:
            return np.zeros((0, self._problem.graph.num_choices), dtype=np.int64), -np.inf
        missed = self.bound - at_least + self.tolerance
        allowances = [missed, *(track.allowance for track in self._tracks[1:])]
        slots = np.zeros((1, len(self._problem.graph.sizes)), dtype=np.int16)
        spent = [np.zeros(1) for _ in self._tracks]
        for step in reversed(range(slots.shape[1])):
            raised = [
                before[:, None] + track.regrets(step, slots) for before, track in zip(spent, self._tracks, strict=True)
            ]
            within = raised[0] < np.inf
            for after, allowance in zip(raised, allowances, strict=True):
                within &= after <= allowance
            parents, options = np.nonzero(within)
            regrets = raised[0][parents, options]
            if len(regrets) > width:
                cut = float(np.partition(regrets, width)[width])
                missed = min(missed, cut)
                ties = np.flatnonzero(regrets == cut)[: width - np.count_nonzero(regrets < cut)]
                kept = np.sort(np.concatenate([np.flatnonzero(regrets < cut), ties]))
                parents, options = parents[kept], options[kept]
            spent = [after[parents, options] for after in raised]
            slots = slots[parents]
            slots[:, self._tracks[0].buckets[step].variable] = options
        return self._problem.graph.codes(slots), self.bound - missed


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Track:
    """A sum of tables that is followed while the variables are decided.

    Attributes:
        buckets: of its elimination; all tracks have one order.
        allowance: how far an architecture within the budgets can lie above the sum's minimum.
    """

    buckets: list[Bucket]
    allowance: float

    def regrets(self, step: int, slots: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
        """By how much each option of a step's variable raises the minimum, shape `(n, slots of the variable)`.

        inf where the option is not allowed.
        """
        bucket = self.buckets[step]
        message = np.where(np.isfinite(bucket.message), bucket.message, 0.0)
        return np.asarray((bucket.table - message[..., None])[tuple(slots[:, list(bucket.scope)].T)])
