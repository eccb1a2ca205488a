"""Ranges are held against brute force over small spaces."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

from hwnas.cost import Budget, CostTable, MaxTable
from hwnas.errors import ConfigError, InfeasibleError
from hwnas.space import Choice, Space
from hwnas.strategy import Filter, RangeProfilerFilter
from hwnas.strategy.filters import accepted, check_filter, limits_of
from tests.cost.examples import random_table as random_joint_table
from tests.space.examples import random_space
from tests.strategy.planted import budget_at, planted_space, random_table

SPACE = planted_space(2)
COST = random_table(SPACE, 2, positive=True)
THREE = Space([Choice("conv", ("k3", "k5", "k7"))])
MACS = CostTable.from_options(THREE, {"conv": {"k3": 9_000.0, "k5": 25_000.0, "k7": 49_000.0}}, unit="macs")


class TableProfiler:
    """A profiler with a table."""

    def __init__(self, cost, name="latency"):
        self.cost = cost
        self.name = name

    def profile(self, architecture):
        return self.cost.value(architecture)


class OwnProfiler:
    """A user's profiler, a function without a table."""

    def profile(self, architecture):
        return COST.value(architecture)


def drawer(space, seed=0):
    rng = np.random.default_rng(seed)
    return lambda: space.sample(rng)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1))
def test_a_range_is_the_same_as_its_limits(seed, low, high):
    space = random_space(seed)
    cost = random_joint_table(space, np.random.default_rng(seed))
    values = np.sort(cost.values(space.enumerate_codes()))
    low, high = (float(values[int(share * (len(values) - 1))]) for share in sorted((low, high)))
    inside = RangeProfilerFilter(TableProfiler(cost), low, high)
    for architecture in space.enumerate():
        is_inside = low <= cost.value(architecture) <= high
        assert inside(architecture) == is_inside == all(budget.holds(architecture) for budget in inside.limits())
    inside.check(space, "enas")  # something is in it: its ends


def test_both_ends_belong_to_the_range():
    inside = RangeProfilerFilter(TableProfiler(MACS, "macs"), 9_000, 25_000)
    assert [inside(architecture) for architecture in THREE.enumerate()] == [True, True, False]
    assert [str(budget) for budget in inside.limits()] == ["macs <= 25 k MACs", "-macs <= -9 k MACs"]


def test_one_end():
    upper = RangeProfilerFilter(TableProfiler(MACS), max=25_000)
    lower = RangeProfilerFilter(TableProfiler(MACS), 49_000)
    assert [upper(architecture) for architecture in THREE.enumerate()] == [True, True, False]
    assert [lower(architecture) for architecture in THREE.enumerate()] == [False, False, True]
    assert [budget.limit for budget in (*upper.limits(), *lower.limits())] == [25_000, -49_000]
    assert accepted(drawer(THREE), lower, space=THREE)["conv"] == "k7"


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (10_000, 20_000, r"macs >= 10 k MACs and <= 20 k MACs; .*9 k MACs to 49 k.*nearest .* 9 k MACs and 25 k MACs"),
        (50_000, None, r"macs >= 50 k MACs; achievable are values from 9 k MACs to 49 k MACs. Widen"),
        (None, 8_000, r"macs <= 8 k MACs; achievable are values from 9 k MACs to 49 k MACs. Widen"),
    ],
)
def test_a_range_that_nothing_meets_names_what_is_achievable(low, high, message):
    inside = RangeProfilerFilter(TableProfiler(MACS, "macs"), low, high)
    with pytest.raises(InfeasibleError, match=message) as caught:
        inside.check(THREE, "enas")
    assert caught.value.least == {"macs": 9_000}
    with pytest.raises(InfeasibleError):
        accepted(drawer(THREE), inside, space=THREE)


def test_a_maximum_has_a_limit_for_its_upper_end_only():
    other = CostTable.from_options(THREE, {"conv": {"k3": 30_000.0, "k5": 1.0, "k7": 1.0}}, unit="macs")
    peak = TableProfiler(MaxTable([MACS, other]), "peak")  # 30,000, 25,000 and 49,000
    inside = RangeProfilerFilter(peak, 26_000, 40_000)
    assert [budget.limit for budget in inside.limits()] == [40_000]
    assert [inside(architecture) for architecture in THREE.enumerate()] == [True, False, False]
    inside.check(THREE, "enas")
    with pytest.raises(InfeasibleError, match=r"peak >= 50 k MACs; achievable are values from 25 k MACs to 49 k MACs"):
        RangeProfilerFilter(peak, 50_000).check(THREE, "enas")


def test_a_profiler_without_a_table_is_tried():
    costs = COST.values(SPACE.enumerate_codes())
    inside = RangeProfilerFilter(OwnProfiler(), float(np.quantile(costs, 0.4)), float(np.quantile(costs, 0.6)))
    inside.check(SPACE, "enas")
    assert inside.limits() == ()
    found = accepted(drawer(SPACE), inside, space=SPACE)
    assert inside.min <= COST.value(found) <= inside.max


def test_the_profiler_of_another_space():
    with pytest.raises(ConfigError, match="filter of enas must have a profiler of the space"):
        RangeProfilerFilter(TableProfiler(MACS), max=1e9).check(SPACE, "enas")


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (None, None, "needs `min`, `max` or both; got neither"),
        (math.nan, None, "`min` must be a finite number, in the profiler's unit, or None; got nan"),
        (None, math.inf, "`max` must be a finite number, .*got inf"),
        (None, "5ms", "`max` must be a finite number, .*got '5ms'"),
        (2, 1, r"`min` must be at most `max` \(1\); got 2"),
    ],
)
def test_arguments_out_of_range(low, high, message):
    with pytest.raises(ConfigError, match=message):
        RangeProfilerFilter(TableProfiler(MACS), low, high)


def test_no_profiler():
    for wrong in (TableProfiler, Budget("macs", 1.0, "macs", MACS)):
        with pytest.raises(ConfigError, match=r"`profiler` of a RangeProfilerFilter must be a profiler, .*; got "):
            RangeProfilerFilter(wrong, 1.0)


def test_checking_any_filter():
    check_filter(None, THREE, "enas")
    check_filter(lambda architecture: True, THREE, "enas")
    with pytest.raises(InfeasibleError):
        check_filter(RangeProfilerFilter(TableProfiler(MACS), max=1.0), THREE, "enas")
    with pytest.raises(ConfigError, match=r"filter of enas must be a RangeProfilerFilter, a function .*got 5"):
        check_filter(5, THREE, "enas")
    with pytest.raises(ConfigError, match=r"got Filter\(.*\. That is middleware, for a Chain: give its fun"):
        check_filter(Filter(lambda architecture: True), THREE, "enas")


def test_limits_of_any_filter():
    inside = RangeProfilerFilter(TableProfiler(MACS), max=10_000)
    assert limits_of(inside) == inside.limits()
    assert limits_of(None) == limits_of(lambda architecture: False) == ()


def test_the_first_draw_is_accepted_without_a_filter():
    expected = drawer(SPACE)()
    assert accepted(drawer(SPACE), None, space=SPACE) == expected


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1))
def test_what_is_accepted_is_in_the_range_and_within_budget(seed, low, high):
    other = random_table(SPACE, 7, positive=True)
    low, high = sorted((budget_at(SPACE, COST, low).limit, budget_at(SPACE, COST, high).limit))
    budget = budget_at(SPACE, other, 0.5)
    inside = RangeProfilerFilter(TableProfiler(COST), low, high)
    assume(any(inside(a) and budget.holds(a) for a in SPACE.enumerate()))
    found = accepted(drawer(SPACE, seed), inside, space=SPACE, budgets=[budget])
    assert inside(found)
    assert budget.holds(found)


def test_a_rare_architecture_is_found_by_repair():
    space = planted_space(6)
    cost = random_table(space, 2, positive=True)
    inside = RangeProfilerFilter(TableProfiler(cost), max=cost.minimum().value)
    draws = []
    draw = drawer(space)
    found = accepted(lambda: draws.append(draw()) or draws[-1], inside, space=space)
    assert cost.value(found) == cost.minimum().value
    assert len(draws) == 100
    assert not any(map(inside, draws))


def test_a_function_that_refuses_everything():
    asked = []
    with pytest.raises(ConfigError, match=r"of 100 that were drawn it refused 100, and 0 were out of the limits"):
        accepted(drawer(SPACE), lambda architecture: bool(asked.append(architecture)), space=SPACE)
    assert len(asked) == 100


def test_a_function_that_refuses_everything_within_budget():
    budget = Budget("latency", COST.minimum().value, "", COST)
    with pytest.raises(ConfigError, match=r"refused 0, and 100 were out of the limits, of which it refused 10"):
        accepted(drawer(SPACE), lambda architecture: False, space=SPACE, budgets=[budget])


def test_budgets_that_nothing_keeps():
    budget = Budget("latency", COST.minimum().value / 2, "", COST)
    with pytest.raises(InfeasibleError, match="latency"):
        accepted(drawer(SPACE), lambda architecture: True, space=SPACE, budgets=[budget])
