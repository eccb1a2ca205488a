"""Costs as numbers over a space: sums of small tables, budgets on them, exact extremes.

    table          CostTable: a constant plus a sum of terms (term: one of them; table_json: as JSON)
    expectation    the expectation of a term under a distribution, with its gradient
    max_table      MaxTable: the maximum over rows (peak memory)
    extremes       the smallest and the largest cost (elimination: how)
    latency_table  LatencyTable: measured milliseconds of every block
    guarded        from quantities under guards (the traced pass) to a table; block_sum, latency_cost
    budget         Budget: a hard upper bound, who keeps all; parse_budget reads "latency<=5ms"
    quantity       numbers with units, read and written

Nothing here looks inside a network, and nothing imports torch.
"""

from hwnas.cost.budget import Budget, BudgetRequest, keeps_all, parse_budget, relative_excess, rows_within
from hwnas.cost.extremes import Extreme
from hwnas.cost.guarded import block_sum, guarded_sum, latency_cost
from hwnas.cost.latency_table import Calibration, LatencyTable
from hwnas.cost.max_table import MaxTable
from hwnas.cost.quantity import STANDARD_UNITS, format_quantity
from hwnas.cost.table import CostTable
from hwnas.cost.term import Term

__all__ = [
    "STANDARD_UNITS",
    "Budget",
    "BudgetRequest",
    "Calibration",
    "CostTable",
    "Extreme",
    "LatencyTable",
    "MaxTable",
    "Term",
    "block_sum",
    "format_quantity",
    "guarded_sum",
    "keeps_all",
    "latency_cost",
    "parse_budget",
    "relative_excess",
    "rows_within",
]
