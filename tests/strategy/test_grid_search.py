"""Grid search against `Space.enumerate` and a filter."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.cost import Budget, CostTable, MaxTable
from hwnas.errors import InfeasibleError
from hwnas.nn.families import family
from hwnas.profiler import FlopsProfiler
from hwnas.space import Choice, Space
from hwnas.strategy import GridSearch
from tests.cost.examples import random_table as coupled_table
from tests.space.examples import random_space
from tests.strategy.planted import planted_space


def visited(strategy):
    return [proposal.architecture for proposals in iter(lambda: strategy.ask(7), []) for proposal in proposals]


@given(st.integers(0, 10**6), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
@settings(max_examples=60, deadline=None)
def test_it_visits_what_a_filter_leaves_in_the_same_order(seed, first, second):
    """Random conditions and couplings; a sum, and the maximum of two sums."""
    space, rng = random_space(seed), np.random.default_rng(seed)
    rows = [coupled_table(space, rng, num_terms=3) for _ in range(3)]
    codes, budgets = space.enumerate_codes(), []
    for cost, share in ((rows[0], first), (MaxTable(rows[1:]), second)):
        budgets.append(Budget("cost", float(np.quantile(cost.values(codes), share, method="lower")), "", cost))
    expected = [a for a in space.enumerate() if all(budget.holds(a) for budget in budgets)]
    if not expected:
        return  # that this is an error is in the contract suite
    assert visited(GridSearch(space, budgets)) == expected


def test_without_budgets_it_is_the_enumeration():
    space = planted_space(1)
    assert visited(GridSearch(space)) == list(space.enumerate())


def test_what_breaks_a_budget_is_not_walked_through():
    """Of 5.9e21 networks the 396 that need at most 0.1 % more than the least, as a filter of larger ones finds them."""
    flops = FlopsProfiler(family("mobilenet_v3"))
    found, more = (visited(GridSearch(flops.space, [flops.at_most(share * flops.min())])) for share in (1.001, 1.002))
    tight = flops.at_most(1.001 * flops.min())
    assert found == [architecture for architecture in more if tight.holds(architecture)]
    assert len(found) == len(set(found)) == 396 < len(more)
    assert flops.space.encode(found).tolist() == sorted(flops.space.encode(found).tolist())


def test_budgets_that_exclude_each_other():
    """Each can be kept, but not both."""
    space = Space([Choice(f"c{number}", (0, 1)) for number in range(4)])
    ones = CostTable.from_options(space, {name: {0: 0.0, 1: 1.0} for name in space.names})
    few, many = Budget("few", 1.0, "", ones), Budget("many", -3.0, "", ones * -1.0)
    with pytest.raises(InfeasibleError, match="together"):
        GridSearch(space, [few, many]).ask(1)
