import time

import numpy as np
import pytest

from hwnas.cost import Budget, CostTable, MaxTable, Term
from hwnas.errors import BadInputError, HwnasError, InfeasibleError
from hwnas.solve import k_best, maximise
from hwnas.solve.beam import Beam
from hwnas.solve.problem import Problem
from hwnas.solve.program import Program
from hwnas.solve.search import Deadline, Pool, branch_and_bound
from hwnas.space import Choice, Space

from .random_problems import block_table, kept, random_problem, random_space, random_table, stages


def check_k_best(seed: int, k: int) -> None:
    """Brute force: same utilities in the same order, every budget kept to the last bit."""
    utility, budgets, codes = random_problem(seed)
    feasible = codes[kept(budgets, codes)]
    if not len(feasible):
        with pytest.raises(InfeasibleError):
            k_best(utility, budgets, k)
        return
    expected = np.sort(utility.values(feasible))[::-1][:k]
    solutions = k_best(utility, budgets, k)
    assert [s.certificate.objective for s in solutions] == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-9)
    assert len({s.architecture for s in solutions}) == len(solutions)
    for solution in solutions:
        assert all(budget.holds(solution.architecture) for budget in budgets)
        assert solution.costs == tuple(budget.cost.value(solution.architecture) for budget in budgets)
        assert solution.certificate.objective == utility.value(solution.architecture)
        assert (solution.certificate.status, solution.certificate.gap) == ("optimal", 0.0)
        assert solution.certificate.bound == solution.certificate.objective


@pytest.mark.parametrize("block", range(10))
def test_equals_brute_force(block):
    for seed in range(40 * block, 40 * (block + 1)):
        check_k_best(seed, 1 + seed % 7)


@pytest.mark.slow
def test_equals_brute_force_on_many():
    for seed in range(1000, 6000):
        check_k_best(seed, 1 + seed % 30)


def check_branch_and_bound(seed: int, k: int) -> None:
    utility, budgets, codes = random_problem(seed)
    expected = np.sort(utility.values(codes[kept(budgets, codes)]))[::-1][:k]
    problem = Problem(utility, budgets)
    pool = Pool(problem, k)
    branch_and_bound(pool, problem, Program(problem), Deadline(None))
    assert pool.complete
    assert pool.utilities.tolist() == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("block", range(5))
def test_the_integer_program_alone_equals_brute_force(block):
    for seed in range(20 * block, 20 * (block + 1)):
        check_branch_and_bound(seed, 1 + seed % 3)


def test_a_case_that_the_presolve_of_highs_gets_wrong():
    check_branch_and_bound(1921, 2)


@pytest.mark.slow
def test_the_integer_program_alone_equals_brute_force_on_many():
    for seed in range(1000, 2500):
        check_branch_and_bound(seed, 1 + seed % 5)


def test_three_budgets_on_the_large_space_are_kept_and_proven():
    space, rng = stages(), np.random.default_rng(0)
    budgets = []
    for number in range(3):
        cost = block_table(space, rng, unit="ms")
        low, high = cost.minimum().value, cost.maximum().value
        budgets.append(Budget(f"cost{number}", low + 0.4 * (high - low), "ms", cost))
    utility = block_table(space, rng)
    solution = maximise(utility, budgets)
    assert solution.certificate.status == "optimal"
    assert all(budget.holds(solution.architecture) for budget in budgets)
    problem = Problem(utility, budgets)
    pool = Pool(problem, 1)
    branch_and_bound(pool, problem, Program(problem), Deadline(None))  # the other way to the optimum
    assert solution.certificate.objective == pytest.approx(pool.utilities[0], rel=1e-9)
    assert maximise(utility, budgets) == solution


def test_without_a_utility_any_architecture_within_the_budgets():
    """Equal to brute force; where nothing is worth more than something else, all that keeps the budgets is best."""
    for seed in range(60):
        _, budgets, codes = random_problem(seed)
        space = budgets[0].cost.space
        num_kept = int(kept(budgets, codes).sum())
        if not num_kept:
            with pytest.raises(InfeasibleError):
                maximise(CostTable(space, 3.0), budgets)
            continue
        solutions = k_best(CostTable(space, 3.0), budgets, 4)
        assert len({s.architecture for s in solutions}) == min(4, num_kept)
        assert all(budget.holds(s.architecture) for s in solutions for budget in budgets)
        assert all((s.certificate.status, s.certificate.bound) == ("optimal", 3.0) for s in solutions)


@pytest.mark.parametrize("num_budgets", [2, 3])
def test_the_narrowest_beam_finds_what_is_left_at_the_bottom_of_several_budgets(num_budgets):
    # 1.001 times the costs of the network whose costs have the least sum, of 5.9e21; without prices no beam finds one.
    space = stages()
    rng = np.random.default_rng(1)
    costs = [block_table(space, rng) for _ in range(num_budgets)]
    least = sum(costs[1:], costs[0]).minimum().architecture
    budgets = [Budget(f"cost{n}", 1.001 * cost.value(least), "", cost) for n, cost in enumerate(costs)]
    problem = Problem(CostTable(space), budgets)
    prices = Program(problem).multipliers()
    codes, _ = Beam.build(problem, prices).search(500)
    assert problem.kept(codes).any()
    blind, _ = Beam.build(problem, np.zeros(num_budgets)).search(500)
    assert not problem.kept(blind).any()


def test_without_budgets_the_maximum():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        utility = random_table(random_space(rng), rng)
        assert maximise(utility).certificate.objective == pytest.approx(utility.maximum().value, rel=1e-12)


def test_ties_everywhere_end_at_once_and_alike():
    utility = CostTable(stages())
    first, second = (k_best(utility, (), 20) for _ in range(2))
    assert first == second
    assert len({solution.architecture for solution in first}) == 20
    assert {solution.certificate.objective for solution in first} == {0.0}


def test_fewer_than_k_where_there_are_fewer():
    space = Space([Choice("a", (0, 1, 2))])
    utility = CostTable.from_options(space, {"a": {0: 1.0, 1: 3.0, 2: 2.0}})
    assert [s.architecture["a"] for s in k_best(utility, (), 9)] == [1, 2, 0]


def test_excluded_architectures_do_not_come_back():
    for seed in range(40):
        utility, budgets, codes = random_problem(seed)
        if kept(budgets, codes).sum() < 3:
            continue
        first, second, third = k_best(utility, budgets, 3)
        gone = [first.architecture, second.architecture]
        objective = maximise(utility, budgets, exclude=gone).certificate.objective
        assert objective == pytest.approx(third.certificate.objective, rel=1e-9, abs=1e-9)


def test_everything_excluded():
    space = Space([Choice("a", (0, 1))])
    with pytest.raises(InfeasibleError, match="All architectures within the budgets are among the 2 of `exclude`"):
        maximise(CostTable(space), exclude=space.enumerate())


def test_a_limit_that_is_met_exactly_is_kept():
    space = stages()
    cost = block_table(space, np.random.default_rng(3), unit="ms")
    least = cost.minimum()
    solution = maximise(cost, [Budget("latency", least.value, "ms", cost)])
    assert solution.architecture == least.architecture


def test_over_budget_by_less_than_a_solver_sees_is_over_budget():
    """Two options that differ in cost by 1e-12: HiGHS' tolerance of 1e-6 cannot tell them apart."""
    space = Space([Choice("a", (0, 1)), Choice("b", (0, 1))])
    cost = CostTable.from_options(space, {"a": {0: 0.5, 1: 0.5 + 1e-12}, "b": {0: 0.5, 1: 0.25}}, unit="ms")
    utility = CostTable.from_options(space, {"a": {0: 0.0, 1: 1.0}, "b": {0: 2.0, 1: 0.0}})
    budget = Budget("latency", 1.0, "ms", cost)
    assert maximise(utility, [budget]).architecture == {"a": 0, "b": 0}
    problem = Problem(utility, [budget])
    pool = Pool(problem, 1)
    branch_and_bound(pool, problem, Program(problem), Deadline(None))
    assert space.decode(pool.codes) == [{"a": 0, "b": 0}]


def test_a_peak_that_is_absent_does_not_bind():
    space = Space([Choice("a", (0, 1)), Choice("b", (0, 1))])
    row = CostTable(
        space, 0.0,
        [Term(("a",), np.array([-np.inf, 5.0, 0.0])), Term(("b",), np.array([1.0, 9.0, 0.0]))], unit="bytes",
    )  # fmt: skip
    utility = CostTable.from_options(space, {"a": {0: 0.0, 1: 1.0}, "b": {0: 0.0, 1: 5.0}})
    budget = Budget("memory", 6.0, "bytes", MaxTable([row]))
    assert maximise(utility, [budget]).architecture == {"a": 0, "b": 1}


def market_split(num_choices: int = 40, num_budgets: int = 6) -> tuple[CostTable, list[Budget]]:
    """Cornuéjols and Dawande's market split: equalities as pairs of budgets, out of reach of branch and bound."""
    rng = np.random.default_rng(7)
    space = Space([Choice(f"x{i}", (0, 1)) for i in range(num_choices)])
    weights = rng.integers(1, 100, (num_budgets, num_choices)).astype(float)
    tables = [
        CostTable(space, 0.0, [Term((f"x{i}",), np.array([0.0, w, 0.0])) for i, w in enumerate(row)]) for row in weights
    ]
    budgets = [
        Budget(f"w{i}", float(row.sum() // 2), "", table)
        for i, (row, table) in enumerate(zip(weights, tables, strict=True))
    ]
    total = sum(tables[1:], tables[0])
    return total, budgets


def test_a_time_limit_is_never_called_optimal():
    utility, budgets = market_split()
    start = time.monotonic()
    solution = maximise(utility, budgets, time_limit_seconds=1.0)
    assert time.monotonic() - start < 60
    certificate = solution.certificate
    assert all(budget.holds(solution.architecture) for budget in budgets)
    assert certificate.objective == utility.value(solution.architecture)
    assert certificate.status == "time_limit"
    assert certificate.gap == certificate.bound - certificate.objective > 0


def test_no_time_at_all():
    utility, budgets = market_split()
    with pytest.raises(
        BadInputError, match="No architecture within the budgets was found in `time_limit_seconds` = 1e-09"
    ):
        maximise(utility, budgets, time_limit_seconds=1e-9)


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_time_limits_are_positive(seconds):
    with pytest.raises(BadInputError, match="`time_limit_seconds` must be positive, or None"):
        maximise(CostTable(stages()), time_limit_seconds=seconds)


def test_k_is_positive():
    with pytest.raises(BadInputError, match="`k` must be at least 1; got 0"):
        k_best(CostTable(stages()), (), 0)


def test_one_space():
    utility, other = CostTable(stages(1)), CostTable(stages(2))
    with pytest.raises(BadInputError, match="the budget on 'latency' is over another"):
        maximise(utility, [Budget("latency", 1.0, "ms", other)])


def test_utilities_are_finite():
    space = Space([Choice("a", (0, 1))])
    with pytest.raises(BadInputError, match=r"Every cell of a utility must be finite; got -inf"):
        maximise(CostTable(space, 0.0, [Term(("a",), np.array([1.0, -np.inf, 0.0]))]))


def test_a_solver_that_fails_says_so():
    class Unbounded(Program):
        """A program with one column more, which lowers the objective without end."""

        def __init__(self, problem: Problem) -> None:
            super().__init__(problem)
            self._upper.append(np.inf)

        @property
        def objective(self):
            return np.append(super().objective[:-1], -1.0)

    problem = Problem(CostTable(stages(1)), ())
    with pytest.raises(HwnasError, match="HiGHS failed on a program of"):
        branch_and_bound(Pool(problem, 1), problem, Unbounded(problem), Deadline(None))
