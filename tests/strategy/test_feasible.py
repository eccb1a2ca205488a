import numpy as np
import pytest

from hwnas.cost import Budget, CostTable, Term
from hwnas.errors import InfeasibleError
from hwnas.space import Choice, Space
from hwnas.strategy.feasible import FeasibleDraws, relative_costs, repair, sample_feasible
from tests.strategy.planted import budget_at, planted_space, random_table

SPACE = planted_space(2)
LATENCY = random_table(SPACE, 2, positive=True)


def test_rejection_is_uniform_over_the_feasible_ones():
    budget = budget_at(SPACE, LATENCY, 0.3)
    num_feasible = sum(budget.holds(a) for a in SPACE.enumerate())
    drawn = sample_feasible(SPACE, [budget], 4000, np.random.default_rng(0))
    counts = np.unique([a.uid for a in drawn], return_counts=True)[1]
    assert all(budget.holds(a) for a in drawn)
    expected = 4000 / num_feasible
    chi2 = float(((counts - expected) ** 2 / expected).sum() + (num_feasible - len(counts)) * expected)
    assert abs(chi2 - num_feasible) < 5 * np.sqrt(2 * num_feasible)


def test_rare_feasible_architectures_are_found():
    space = planted_space(6)
    latency = random_table(space, 2, positive=True)
    budget = Budget("latency", latency.minimum().value + 0.5, "ms", latency)
    drawn = sample_feasible(space, [budget], 5, np.random.default_rng(0))
    assert len(drawn) == 5
    assert all(budget.holds(a) for a in drawn)


def test_what_cannot_be_drawn_is_repaired_with_a_warning():
    # Two budgets that one architecture in 2^26 keeps together.
    space = Space([Choice(f"c{n:02d}", (0, 1)) for n in range(26)])
    weights = 2.0 ** np.arange(26)
    up = CostTable(space, 0.0, [Term((n,), np.array([0.0, w, 0.0])) for n, w in zip(space.names, weights, strict=True)])
    middle = float(weights.sum() // 2)
    budgets = [Budget("up", middle, "", up), Budget("down", -middle, "", -up)]
    with pytest.warns(UserWarning, match="too rare to be drawn.*repaired, and so no longer uniform"):
        (found,) = sample_feasible(space, budgets, 1, np.random.default_rng(0))
    assert up.value(found) == middle


def test_draws_are_a_function_of_seed_and_place():
    budget = budget_at(SPACE, LATENCY, 0.3)
    forward, other = FeasibleDraws(SPACE, [budget], 1), FeasibleDraws(SPACE, [budget], 1)
    drawn = [forward[n] for n in range(130)]
    assert [other[n] for n in reversed(range(130))] == drawn[::-1]
    assert all(budget.holds(a) for a in drawn)
    assert drawn[:5] != [FeasibleDraws(SPACE, [budget], 2)[n] for n in range(5)]


def test_repair_changes_as_few_choices_as_possible():
    budget = budget_at(SPACE, LATENCY, 0.3)
    rng = np.random.default_rng(0)
    for _ in range(5):
        wanted = SPACE.sample(rng)
        repaired = repair(SPACE, wanted, [budget])

        def agreement(other, wanted=wanted):
            return sum(wanted.get(name) == option for name, option in other.items())

        assert agreement(repaired) == max(agreement(a) for a in SPACE.enumerate() if budget.holds(a))


def test_infeasible():
    budget = Budget("latency", LATENCY.minimum().value * 0.5, "ms", LATENCY)
    with pytest.raises(InfeasibleError, match="latency"):
        sample_feasible(SPACE, [budget], 1, np.random.default_rng(0))


def test_relative_costs_without_budgets_are_zero():
    assert relative_costs(SPACE.sample_codes(3, np.random.default_rng(0)), ()).tolist() == [0.0, 0.0, 0.0]


def test_a_limit_of_zero_has_no_ratio():
    codes = SPACE.enumerate_codes()
    cheapest = LATENCY.minimum().value
    budget = Budget("latency", 0.0, "ms", LATENCY - cheapest)
    below = Budget("latency", -1.0, "ms", LATENCY - cheapest)
    relative = relative_costs(codes, [budget])
    assert set(relative.tolist()) == {1.0, np.inf}
    assert ((relative <= 1.0) == [budget.holds(a) for a in SPACE.decode(codes)]).all()
    assert (relative_costs(codes, [below]) == np.inf).all()
