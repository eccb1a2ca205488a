"""A utility and its budgets as one problem: hard masks, and the finite linear rows that can bind."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from hwnas.cost import Budget, CostTable, MaxTable, rows_within
from hwnas.cost.elimination import Factor, FactorGraph
from hwnas.errors import BadInputError
from hwnas.space import Architecture

__all__ = ["Problem", "Row"]

Codes = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A linear constraint: the sum of `factors`, finite with smallest cells 0, is at most `limit`.

    `rounding` is more than what rounding errors can move the sum by.
    """

    factors: tuple[Factor, ...]
    limit: float
    rounding: float


class Problem:
    """Maximise `utility` over the architectures that keep `budgets` and are not in `exclude`.

    A budget on a `CostTable` is one row; on a `MaxTable` one for each of its rows that can bind. A row of
    one term is no row but a mask. Cells of -inf ("this program point does not exist here") become the
    largest finite value with which the row cannot bind.

    Attributes:
        graph: variables and conditions of the space.
        utility: the table to maximise.
        objective: its terms as factors, the largest cell of each at 0.
        constant: what the utility is more than the sum of these.
        budgets: as given.
        masks: boolean factors; an architecture that breaks one breaks a budget.
        rows: the constraints that masks cannot say.
        excluded: encoded architectures, shape `(n, num_choices)`.
        scale: the spread that the utility can have at most; what its tolerances are relative to.
    """

    def __init__(
        self,
        utility: CostTable,
        budgets: Sequence[Budget],
        exclude: Iterable[Architecture] = (),
    ) -> None:
        for budget in budgets:
            if budget.cost.space != utility.space:
                raise BadInputError(
                    f"The utility and every budget must be over one space; the budget on {budget.profiler!r} is over "
                    "another. Build both tables from the same `Space`."
                )
        if not all(np.isfinite(term.values).all() for term in utility.terms) or not np.isfinite(utility.constant):
            raise BadInputError(
                "Every cell of a utility must be finite; got -inf. Forbid an option with a budget, not with -inf."
            )
        self.graph = FactorGraph(utility.space)
        self.utility = utility
        self.budgets = tuple(budgets)
        given = self.graph.factors((term.choices, term.values) for term in utility.terms)
        largest = [float(factor.values.max()) for factor in given]
        self.objective = tuple(
            Factor(scope=factor.scope, values=factor.values - top) for factor, top in zip(given, largest, strict=True)
        )
        self.constant = utility.constant + sum(largest)
        self.scale = sum(float(np.ptp(term.values)) for term in utility.terms)
        self.excluded = utility.space.encode(list(exclude)).reshape(-1, self.graph.num_choices).astype(np.int64)
        masks: list[Factor] = []
        rows: list[Row] = []
        for budget in self.budgets:
            for table in budget.cost.rows if isinstance(budget.cost, MaxTable) else (budget.cost,):
                self._constrain(table, budget.limit, masks, rows)
        self.masks = tuple(masks)
        self.rows = tuple(rows)

    def _constrain(self, table: CostTable, limit: float, masks: list[Factor], rows: list[Row]) -> None:
        factors = self.graph.factors((term.choices, term.values) for term in table.terms)
        rhs = limit - table.constant
        if len(factors) <= 1:
            values = factors[0].values if factors else np.zeros(())
            mask = Factor(scope=factors[0].scope if factors else (), values=table.constant + values <= limit)
            if not mask.values.all():
                masks.append(mask)
            return
        largest = [float(factor.values.max()) for factor in factors]
        if sum(largest) <= rhs:  # also where a factor is -inf everywhere
            return
        finite, shift, magnitude = [], 0.0, abs(limit) + abs(table.constant)
        for factor, own in zip(factors, largest, strict=True):
            harmless = min(own, rhs - (sum(largest) - own))
            values = np.where(np.isneginf(factor.values), harmless, factor.values)
            least = float(values.min())
            shift += least
            magnitude += float(np.abs(values).max())
            finite.append(Factor(scope=factor.scope, values=values - least))
        rows.append(Row(factors=tuple(finite), limit=rhs - shift, rounding=1e-12 * magnitude))

    def kept(self, codes: Codes) -> npt.NDArray[np.bool_]:
        """Whether each encoded architecture keeps every budget, exactly as the tables say, and is not excluded."""
        kept = rows_within(codes, self.budgets)
        if len(self.excluded):
            excluded = {row.tobytes() for row in self.excluded}
            kept[kept] = [row.tobytes() not in excluded for row in codes[kept]]
        return kept

    def costs(self, architecture: Architecture) -> tuple[float, ...]:
        """The architecture's value under each budget."""
        return tuple(budget.cost.value(architecture) for budget in self.budgets)
