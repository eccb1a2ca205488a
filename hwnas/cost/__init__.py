"""Costs as numbers over a space: sums of small tables, budgets on them, exact extremes.

    table          CostTable: a constant plus a sum of terms
    expectation    the expectation of a term under a distribution, with its gradient
    max_table      MaxTable: the maximum over rows (peak memory)
    extremes       the smallest and the largest cost (elimination: how)

Nothing here looks inside a network, and nothing imports torch.
"""

from hwnas.cost.extremes import Extreme
from hwnas.cost.max_table import MaxTable
from hwnas.cost.table import CostTable, Term

__all__ = ["CostTable", "Extreme", "MaxTable", "Term"]
