import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.cost import Budget, CostTable, Term
from hwnas.space import Choice, Requirement, Space
from hwnas.strategy.completion import BudgetMasks, Completion
from tests.cost.examples import random_table as mixed_scopes
from tests.solve.random_problems import block_table, random_peak, random_problem, random_space, random_table, stages

SEEDS = st.integers(0, 2**32 - 1)


def brute_least(cost, codes, prefix, num_options):
    """For each option the least cost among all architectures that begin with the prefix and it."""
    begins = (codes[:, : len(prefix)] == prefix).all(axis=1)
    values = cost.values(codes)
    options = range(num_options)
    return np.array([values[begins & (codes[:, len(prefix)] == o)].min(initial=np.inf) for o in options])


def compare(cost, rng, check):
    """Walk down some architectures, checking the least costs of every option on the way."""
    space = cost.space
    codes = space.enumerate_codes()
    walked = codes[rng.integers(len(codes), size=3)]
    walk = Completion(cost).walk(len(walked))
    for position, choice in enumerate(space.choices):
        least = walk.least()
        assert least.shape == (len(walked), choice.num_options)
        for row, found in zip(walked, least, strict=True):
            check(found, brute_least(cost, codes, row[:position], choice.num_options))
        stays, walk = walk, walk.fork()
        walk.decide(walked[:, position])
        assert (stays.least() == least).all()


def nearly_equal(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS)
def test_least_costs_of_a_sum_equal_brute_force(seed):
    rng = np.random.default_rng(seed)
    compare(mixed_scopes(random_space(rng), rng), rng, nearly_equal)


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS)
def test_whole_numbers_are_exact(seed):
    rng = np.random.default_rng(seed)
    compare(mixed_scopes(random_space(rng), rng, integral=True), rng, np.testing.assert_array_equal)


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, peak=st.booleans())
def test_least_costs_of_a_maximum_and_of_absent_points_equal_brute_force(seed, peak):
    rng = np.random.default_rng(seed)
    space = random_space(rng)
    compare(random_peak(space, rng) if peak else random_table(space, rng, absent=0.3), rng, nearly_equal)


def test_wide_conditions_are_followed_through_their_auxiliary_variables():
    parents = [Choice(f"p{i}", tuple(range(3))) for i in range(7)]
    ors = [[Requirement(parent.name, (0,))] for parent in parents]
    ands = [[Requirement(parent.name, (0, 1)) for parent in parents]]
    space = Space([*parents, Choice("any", ("a", "b"), condition=ors), Choice("all", ("a", "b"), condition=ands)])
    rng = np.random.default_rng(0)
    cost = mixed_scopes(space, rng, num_terms=12)
    assert len(Completion(cost)._sizes) > len(space.choices)  # 3^7 cells are more than a condition's factor has
    compare(cost, rng, nearly_equal)


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, max_cells=st.integers(1, 60))
def test_small_tables_give_lower_bounds(seed, max_cells):
    rng = np.random.default_rng(seed)
    space = random_space(rng)
    cost = random_peak(space, rng) if rng.random() < 0.3 else mixed_scopes(space, rng, num_terms=6)
    codes = space.enumerate_codes()
    row = codes[rng.integers(len(codes))]
    exact, bound = Completion(cost).walk(1), Completion(cost, max_cells=max_cells).walk(1)
    for code in row:
        assert (bound.least() <= exact.least() + 1e-9).all()
        exact.decide(np.array([code]))
        bound.decide(np.array([code]))


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS)
def test_an_option_is_allowed_iff_each_budget_has_a_completion(seed):
    _, drawn, codes = random_problem(seed)
    # Off the costs themselves, on which quantiles fall: masks leave room for rounding.
    budgets = [dataclasses.replace(budget, limit=budget.limit + 1e-7) for budget in drawn]
    space = budgets[0].cost.space
    rng = np.random.default_rng(seed)
    kept = [budget.cost.values(codes) <= budget.limit for budget in budgets]
    feasible = codes[np.all(kept, axis=0)]
    if not len(feasible):
        return
    row = feasible[rng.integers(len(feasible))]
    walk = BudgetMasks(space, budgets).walk(1)
    for position, choice in enumerate(space.choices):
        begins = (codes[:, :position] == row[:position]).all(axis=1)
        expected = [
            all((begins & k & (codes[:, position] == code)).any() for k in kept) for code in range(choice.num_options)
        ]
        if row[position] >= 0:
            assert walk.allowed(choice.num_options).tolist() == [expected]
        walk.decide(row[[position]])


def test_a_dead_end_allows_everything():
    space = Space([Choice("a", (0, 1)), Choice("b", (0, 1))])
    rises = CostTable(space, 0.0, [Term(("a", "b"), np.array([[1, 0, 0], [0, 0, 0], [0, 0, 0]]))])
    falls = CostTable(space, 0.0, [Term(("a", "b"), np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]]))])
    walk = BudgetMasks(space, [Budget("x", 0.5, "", rises), Budget("y", 0.5, "", falls)]).walk(2)
    assert walk.allowed(2).all()  # a = 0 is within each budget, with another b
    walk.decide(np.array([0, 1]))
    assert walk.allowed(2).all()  # after a = 0 no b is within both
    one = BudgetMasks(space, [Budget("x", 0.5, "", rises)]).walk(2)
    one.decide(np.array([0, 1]))
    assert one.allowed(2).tolist() == [[False, True], [True, True]]


def test_without_budgets_everything_is_allowed():
    assert BudgetMasks(Space([Choice("a", (0, 1))]), ()).walk(3).allowed(2).all()


def test_an_architecture_exactly_at_the_limit_is_not_refused():
    space = Space([Choice(f"c{i}", (0, 1)) for i in range(12)])
    rng = np.random.default_rng(0)
    cost = CostTable(space, 0.1, [Term((name,), np.append(rng.random(2), 0.0)) for name in space.names])
    least = cost.minimum()
    walk = BudgetMasks(space, [Budget("latency", least.value, "", cost)]).walk(1)
    for name in space.names:
        code = space.choice(name).index(least.architecture[name])
        assert np.flatnonzero(walk.allowed(2)[0]).tolist() == [code]
        walk.decide(np.array([code]))


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_large_space_is_walked_within_its_budget(share):
    space = stages()
    cost = block_table(space, np.random.default_rng(0), unit="ms")
    low, high = cost.minimum().value, cost.maximum().value
    budget = Budget("latency", low + share * (high - low), "ms", cost)
    rng = np.random.default_rng(1)
    walk = BudgetMasks(space, [budget]).walk(50)
    codes = np.full((50, len(space.choices)), -1)
    for position, choice in enumerate(space.choices):
        active = space.active(position, codes)
        scores = np.where(walk.allowed(choice.num_options), rng.random((50, choice.num_options)), -1.0)
        codes[active, position] = scores.argmax(axis=1)[active]
        walk.decide(codes[:, position])
    assert (cost.values(codes) <= budget.limit).all()
