import numpy as np
import pytest

from hwnas.cost import Budget, CostTable, MaxTable, Term
from hwnas.errors import InfeasibleError, StrategyError
from hwnas.space import Choice, Distribution, Requirement, Space
from hwnas.strategy.budgeted_points import BudgetedPoints
from tests.strategy.planted import budget_at, planted_space, random_table

SPACE = planted_space(3)
UNIFORM = Distribution.uniform(SPACE)


def distance(a, b):
    return np.sqrt(sum(((a[name] - b[name]) ** 2).sum() for name in a))


def excess(point, budgets):
    """The most that an expected cost is over its limit, relative to the limit."""
    return max(b.cost.expected(Distribution(SPACE, point)) / b.limit - 1 for b in budgets)


def test_the_blocks_are_blocks_and_depths():
    alpha, beta = BudgetedPoints(SPACE, ()).blocks
    assert beta == ["s0.depth", "s1.depth", "s2.depth"]
    assert sorted(alpha + beta) == sorted(SPACE.names)
    flat = Space([Choice("a", (1, 2)), Choice("b", (1, 2))])
    assert BudgetedPoints(flat, ()).blocks == [["a", "b"]]


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.25])
def test_near_keeps_the_budgets(share):
    budgets = [budget_at(SPACE, random_table(SPACE, 1, positive=True), share)]
    found = BudgetedPoints(SPACE, budgets).near(UNIFORM)
    assert abs(excess(found, budgets)) < 1e-12  # on the boundary: no farther than it must


@pytest.mark.parametrize("seed", range(4))
def test_near_keeps_several_budgets(seed):
    """Two costs that contradict each other: what one finds dear, the other finds cheap."""
    first = random_table(SPACE, seed, positive=True)
    second = first.maximum().value - first * 0.9 + random_table(SPACE, seed + 50, positive=True) * 0.1
    best = second.value(first.minimum().architecture), first.minimum().value
    budgets = [Budget("latency", 1.5 * best[1], "ms", first), Budget("energy", 0.99 * best[0], "mJ", second)]
    found = BudgetedPoints(SPACE, budgets).near(UNIFORM)
    assert -1e-2 < excess(found, budgets) < 1e-11


def test_a_point_within_the_budgets_stays():
    budgets = [budget_at(SPACE, random_table(SPACE, 1, positive=True), 0.9)]
    found = BudgetedPoints(SPACE, budgets).near(UNIFORM)
    assert all(np.array_equal(found[name], UNIFORM[name]) for name in SPACE.names)


def test_near_moves_alpha_alone_where_that_is_enough():
    """And then no other alpha that keeps the budget is nearer: those on the way to 500 random ones are not."""
    budget = budget_at(SPACE, random_table(SPACE, 1, positive=True), 0.3)
    points = BudgetedPoints(SPACE, [budget])
    found = points.near(UNIFORM)
    alpha, beta = points.blocks
    assert all(np.array_equal(found[name], UNIFORM[name]) for name in beta)
    rng = np.random.default_rng(0)
    for _ in range(500):
        other = {
            name: rng.dirichlet(np.full(len(found[name]), 0.3)) if name in alpha else found[name] for name in found
        }
        step = {name: found[name] + 0.05 * (other[name] - found[name]) for name in found}
        if points.keeps(step):
            assert distance(step, UNIFORM) >= distance(found, UNIFORM) - 1e-12


def test_a_vertex_has_at_most_one_fractional_choice_a_budget():
    """Theorem of the paper; a basic solution has as many nonzeros as rows: one a simplex and one a budget."""
    rng = np.random.default_rng(0)
    for num_budgets in (0, 1, 2):
        tables = [random_table(SPACE, seed, positive=True) for seed in range(num_budgets)]
        points = BudgetedPoints(SPACE, [budget_at(SPACE, table, 0.4) for table in tables])
        start = points.near(UNIFORM)
        fractional = []
        for block in points.blocks * 10:
            slopes = {name: rng.normal(size=3) for name in block}
            vertex = points.least(slopes, block, start)
            fractional.append(sum((values > 1e-9).sum() - 1 for values in vertex.values()))
        assert max(fractional) <= num_budgets
        assert (max(fractional) > 0) == (num_budgets > 0)


def test_a_maximum_is_left_to_the_derivation():
    peak = MaxTable([random_table(SPACE, 1, positive=True), random_table(SPACE, 2, positive=True)])
    points = BudgetedPoints(SPACE, [Budget("memory", peak.minimum().value, "bytes", peak)])
    assert points.keeps(UNIFORM)
    impossible = Budget("memory", peak.minimum().value - 1, "bytes", peak)
    with pytest.raises(InfeasibleError, match="No architecture of the space keeps memory"):
        BudgetedPoints(SPACE, [impossible]).near(UNIFORM)


def test_budgets_that_nothing_keeps():
    cost = random_table(SPACE, 1, positive=True)
    impossible = Budget("latency", cost.minimum().value - 1e-3, "ms", cost)
    with pytest.raises(InfeasibleError, match="No architecture of the space keeps latency") as error:
        BudgetedPoints(SPACE, [impossible]).near(UNIFORM)
    assert error.value.least["latency"] == pytest.approx(cost.minimum().value)


def test_choices_of_one_block_that_multiply_are_refused():
    width = Space([Choice("left", (1, 2)), Choice("right", (1, 2))])
    shared = CostTable(width, 0.0, [Term(("left", "right"), np.arange(9.0).reshape(3, 3))])
    with pytest.raises(StrategyError, match="in latency <= 9 ms, 'left' and 'right' multiply"):
        BudgetedPoints(width, [Budget("latency", 9.0, "ms", shared)])

    outer = Choice("outer", (1, 2))
    inner = Choice("inner", (1, 2), condition=[[Requirement("outer", (2,))]])
    block = Choice("block", ("a", "b"), condition=[[Requirement("inner", (2,))]])
    nested = Space([outer, inner, block])
    cost = CostTable(nested, 0.0, [Term(("block",), np.array([1.0, 2.0, 0.0]))])
    with pytest.raises(StrategyError, match="'outer' and 'inner' multiply"):
        BudgetedPoints(nested, [Budget("latency", 2.0, "ms", cost)])
    assert BudgetedPoints(nested, ()).blocks == [["block"], ["outer", "inner"]]
