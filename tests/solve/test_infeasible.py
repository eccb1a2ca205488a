import dataclasses
import itertools
import sys

import numpy as np
import pytest

from hwnas.cost import Budget, CostTable, MaxTable, Term
from hwnas.errors import BadInputError, InfeasibleError
from hwnas.solve import maximise
from hwnas.solve.infeasible import infeasible
from hwnas.solve.search import Deadline
from hwnas.space import Choice, Space
from hwnas.strategy.feasible import require_feasible

from .random_problems import kept, random_problem


def least_of_each(budgets: list[Budget], codes: np.ndarray) -> dict[str, float]:
    """By brute force: the least of each cost where all others are kept, if they can be."""
    least = {}
    for budget in budgets:
        others = [other for other in budgets if other is not budget]
        allowed = codes[kept(others, codes)] if others else codes
        if len(allowed):
            least[budget.profiler] = float(budget.cost.values(allowed).min())
    return least


def expected_least(budgets: list[Budget], codes: np.ndarray) -> dict[str, float]:
    alone = {b.profiler: float(b.cost.values(codes).min()) for b in budgets}
    alone = {name: value for name, value in alone.items() if value > {b.profiler: b.limit for b in budgets}[name]}
    if alone:
        return alone
    least = least_of_each(budgets, codes)
    if least:
        return least
    groups = (g for n in range(2, len(budgets)) for g in itertools.combinations(budgets, n))
    return next(least_of_each(list(g), codes) for g in reversed(list(groups)) if not kept(list(g), codes).any())


def check_infeasible(seed: int) -> bool:
    """Tighten a random problem until nothing is left, and compare what is said to be achievable."""
    utility, budgets, codes = random_problem(seed)
    tightness = np.random.default_rng(seed).uniform(-0.02, 0.3)
    tight = []
    for budget in budgets:
        values = np.sort(budget.cost.values(codes))
        values = values[np.isfinite(values)]
        if not len(values):
            return False
        limit = float(np.quantile(values, tightness)) if tightness >= 0 else float(values[0]) - 0.5
        tight.append(dataclasses.replace(budget, limit=limit))
    if kept(tight, codes).any():
        return False
    with pytest.raises(InfeasibleError) as caught:
        maximise(utility, tight)
    expected = expected_least(tight, codes)
    assert caught.value.least == pytest.approx(expected, rel=1e-8, abs=1e-8)
    assert all(name in str(caught.value) for name in expected)
    return True


@pytest.mark.parametrize("block", range(4))
def test_the_least_achievable_equals_brute_force(block):
    assert sum(check_infeasible(seed) for seed in range(60 * block, 60 * (block + 1))) >= 10


@pytest.mark.slow
def test_the_least_achievable_equals_brute_force_on_many():
    assert sum(check_infeasible(seed) for seed in range(1000, 3000)) >= 500


SPACE = Space([Choice("a", (0, 1)), Choice("b", (0, 1))])
LATENCY = CostTable.from_options(SPACE, {"a": {0: 1.0, 1: 3.0}, "b": {0: 1.0, 1: 3.0}}, unit="ms")
PARAMS = CostTable.from_options(SPACE, {"a": {0: 9e6, 1: 2e6}, "b": {0: 9e6, 1: 2e6}}, unit="params")


def test_one_budget_alone():
    text = r"keeps latency <= 1.5 ms \(the least achievable is 2 ms\). Raise the limit"
    with pytest.raises(InfeasibleError, match=text) as caught:
        maximise(LATENCY, [Budget("latency", 1.5, "ms", LATENCY), Budget("params", 2e7, "params", PARAMS)])
    assert caught.value.least == {"latency": 2.0}


def test_two_budgets_together():
    text = (
        r"Each budget can be kept alone, but no architecture of the space keeps latency <= 3 ms and params <= 5 M "
        r"params together. While the others hold, latency is at least 6 ms, params is at least 18 M params. Raise one"
    )
    with pytest.raises(InfeasibleError, match=text) as caught:
        maximise(LATENCY, [Budget("latency", 3.0, "ms", LATENCY), Budget("params", 5e6, "params", PARAMS)])
    assert caught.value.least == {"latency": 6.0, "params": 18e6}


def test_a_near_miss_is_not_shown_as_the_limit():
    with pytest.raises(InfeasibleError, match=r"the least achievable is 2 ms, which is 1e-09 ms over the limit\)"):
        maximise(LATENCY, [Budget("latency", 2.0 - 1e-9, "ms", LATENCY)])


def test_when_the_time_is_over_nothing_is_claimed():
    budgets = [Budget("latency", 3.0, "ms", LATENCY), Budget("params", 5e6, "params", PARAMS)]
    deadline = Deadline(1e-9)
    error = infeasible(budgets, deadline)
    assert error.least == {}
    assert "the least achievable is unknown: the time ran out" in str(error)
    assert "latency <= 3 ms and params <= 5 M params together" in str(error)


def test_an_explanation_takes_its_time_and_no_more(monkeypatch):
    monkeypatch.setattr(sys.modules["hwnas.solve.maximise"], "_EXPLAINING_SECONDS", 1e-9)  # the function has the name
    budgets = [Budget("latency", 3.0, "ms", LATENCY), Budget("params", 5e6, "params", PARAMS)]
    with pytest.raises(InfeasibleError, match="the least achievable is unknown: the time ran out") as caught:
        maximise(LATENCY, budgets)
    assert caught.value.least == {}


def test_choices_coupled_too_tightly_for_elimination_are_left_to_the_integer_program():
    """Every pair of seven choices has a term, x_i + x_j; closed form: each choice is in six pairs."""
    space = Space([Choice(f"x{i}", tuple(range(9))) for i in range(7)])
    pairs = [
        Term((f"x{i}", f"x{j}"), np.add.outer(np.arange(1.0, 11.0), np.arange(10.0)))
        for i in range(7)
        for j in range(i)
    ]
    cost = CostTable(space, 0.0, pairs, unit="ms")
    with pytest.raises(BadInputError, match="coupled so tightly"):
        cost.minimum()
    solution = maximise(cost.with_unit(""), [Budget("latency", 21.0 + 6 * 10, "ms", cost)])
    assert solution.certificate.objective == 21.0 + 6 * 10
    with pytest.raises(InfeasibleError, match=r"latency <= 20 ms \(the least achievable is 21 ms\)"):
        maximise(cost.with_unit(""), [Budget("latency", 20.0, "ms", cost)])


def test_a_budget_that_one_architecture_keeps_by_rounding():
    """The least of a cost depends, in its last digit, on the order of the sum; what keeps the budget counts."""
    space = Space([Choice("kernel", (3, 5)), Choice("width", (16, 32)), Choice("depth", (2, 3))])
    tables = {
        "kernel": {3: 0.2, 5: 0.4},
        "depth": {2: 0.2, 3: 0.3},
        ("kernel", "width"): {(3, 16): 0.7, (3, 32): 0.4, (5, 16): 0.8, (5, 32): 0.2},
        ("width", "depth"): {(16, 2): 0.7, (16, 3): 0.9, (32, 2): 0.7, (32, 3): 0.1},
    }
    costs = [CostTable.from_options(space, tables, unit="ms", constant=n / 10) for n in range(1, 10)]
    least = [min(cost.value(architecture) for architecture in space.enumerate()) for cost in costs]
    assert any(cost.minimum().value > value for cost, value in zip(costs, least, strict=True))
    for cost, value in zip(costs, least, strict=True):
        budget = Budget("latency", value, "ms", cost)
        assert budget.holds(require_feasible(space, [budget]))
        with pytest.raises(InfeasibleError, match="No architecture of the space keeps"):
            require_feasible(space, [dataclasses.replace(budget, limit=value * (1 - 1e-12))])


def test_budgets_that_one_architecture_keeps_exactly():
    """HiGHS without presolve holds an excess of 1.7e-4 for the least here, where it is 0."""
    space = Space([Choice("a", (0, 1)), Choice("b", (0, 1, 2, 3)), Choice("c", (0, 1)), Choice("d", (0,))])
    i = 0.0  # where a choice is inactive, which none is
    first = [Term(("b",), np.array([5e6, 0, 64e3, 1, i]))]
    second = [
        Term(("a", "d"), np.array([[0, i], [3e7, i], [i, i]])),
        Term(("b", "c"), np.array([[1, 3e7, i], [100, 1e6, i], [1000, 1, i], [1000, 1000, i], [i, i, i]])),
        Term(("b", "d"), np.array([[0, i], [10, i], [1, i], [10, i], [i, i]])),
        Term(("d",), np.array([3e7, i])),
    ]
    third = [
        Term(("a",), np.array([1e6, 1e6, i])),
        Term(("a", "c"), np.array([[0, 100, i], [1000, 1000, i], [i, i, i]])),
        Term(("a", "c", "d"), np.array([[[64e3, i], [3e7, i], [i, i]], [[10, i], [100, i], [i, i]], [[i, i]] * 3])),
        Term(("c",), np.array([1001e3 + 64e3, 3e7, i])),
    ]
    fourth = [
        Term(("a", "b"), np.array([[5e6, 100, 1000, 1e6, i], [1000, 5e6, 3e7, 1, i], [i] * 5])),
        Term(("a", "c"), np.array([[3e7, 10, i], [64e3, 5e6, i], [i, i, i]])),
    ]
    costs = [
        CostTable(space, 0.0, first),
        CostTable(space, 1001.0, second),
        MaxTable([CostTable(space, 64e3, third), CostTable(space, 10.0, fourth)]),
    ]
    only = space.validate({"a": 1, "b": 0, "c": 0, "d": 0})
    budgets = [Budget(name, cost.value(only), "", cost) for name, cost in zip("xyz", costs, strict=True)]
    assert [one for one in space.enumerate() if all(budget.holds(one) for budget in budgets)] == [only]
    assert require_feasible(space, budgets) == only
