import numpy as np
import pytest

from hwnas.cost import CostTable, Term
from hwnas.errors import BadInputError, InfeasibleError
from hwnas.solve import merging, pareto_front
from hwnas.space import Choice, Space

from .random_problems import block_table, random_space, random_table, stages


def brute_force(utility: CostTable, cost: CostTable) -> tuple[np.ndarray, np.ndarray]:
    """By looking at everything: ascending cost, and only what has more utility than all before."""
    codes = utility.space.enumerate_codes()
    points = sorted(zip(cost.values(codes).tolist(), (-utility.values(codes)).tolist(), strict=True))
    front: list[tuple[float, float]] = []
    for price, loss in points:
        if not front or -loss > front[-1][1] + 1e-9:
            if front and price - front[-1][0] < 1e-9:
                front.pop()  # the same cost but for rounding
            front.append((price, -loss))
    return np.array(front).T


def check_front(seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = random_space(rng)
    utility, cost = random_table(space, rng), random_table(space, rng, unit="ms")
    front = pareto_front(utility, cost)
    assert (np.diff(front.costs) > 0).all()
    assert (np.diff(front.utilities) > 0).all()
    assert (cost.values(front.codes) == front.costs).all()
    assert (utility.values(front.codes) == front.utilities).all()
    assert len(space.decode(front.codes)) == len(front)
    costs, utilities = brute_force(utility, cost)
    dearer = np.diff(front.costs, append=np.inf) > 1e-9  # differences by rounding are no points of brute force
    better = np.diff(front.utilities, prepend=-np.inf) > 1e-9
    apart = dearer & better
    assert front.costs[apart] == pytest.approx(costs, rel=1e-9, abs=1e-9)
    assert front.utilities[apart] == pytest.approx(utilities, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("block", range(5))
def test_equals_brute_force(block):
    for seed in range(40 * block, 40 * (block + 1)):
        check_front(seed)


@pytest.mark.slow
def test_equals_brute_force_on_many():
    for seed in range(1000, 5000):
        check_front(seed)


def test_a_point_is_a_solution():
    space = stages()
    rng = np.random.default_rng(1)
    utility, cost = block_table(space, rng), block_table(space, rng, unit="ms")
    front = pareto_front(utility, cost)
    assert front.costs[0] == pytest.approx(cost.minimum().value)
    assert front.utilities[-1] == pytest.approx(utility.maximum().value)
    middle = len(front) // 2
    solution = front.best_under(float(front.costs[middle]))
    assert solution == front[middle]
    assert solution.costs == (cost.value(solution.architecture),)
    assert solution.certificate.objective == utility.value(solution.architecture)
    assert front.best_under(np.nextafter(front.costs[middle], 0)) == front[middle - 1]
    assert (pareto_front(utility, cost).codes == front.codes).all()


def test_under_the_least():
    space = Space([Choice("a", (0, 1))])
    cost = CostTable.from_options(space, {"a": {0: 2.0, 1: 3.0}}, unit="ms")
    with pytest.raises(InfeasibleError, match="costs at most 1 ms; the least achievable is 2 ms") as caught:
        pareto_front(cost.with_unit(""), cost).best_under(1.0)
    assert caught.value.least == {}


def test_a_front_that_explodes_is_an_error_not_a_part(monkeypatch):
    monkeypatch.setattr(merging, "MAX_POINTS", 100)
    space = Space([Choice(f"x{i}", (0, 1)) for i in range(8)])
    table = CostTable(space, 0.0, [Term((f"x{i}",), np.array([0.0, 2.0**i, 0.0])) for i in range(8)])
    with pytest.raises(BadInputError, match=r"has more than 100 points on the way. Round the cost"):
        pareto_front(table, table)


def test_choices_that_are_coupled_too_tightly():
    space = Space([Choice(f"x{i}", tuple(range(9))) for i in range(7)])
    rng = np.random.default_rng(0)
    pairs = [(f"x{i}", f"x{j}") for i in range(7) for j in range(i)]
    table = CostTable(space, 0.0, [Term(pair, rng.random((10, 10))) for pair in pairs])
    with pytest.raises(BadInputError, match=r"a Pareto set for each joint setting of the choices x0, x1, .*10,000,000"):
        pareto_front(table, table)


def test_one_space():
    with pytest.raises(BadInputError, match="The utility and the cost must be over one space"):
        pareto_front(CostTable(stages(1)), CostTable(stages(2)))


def test_finite():
    space = Space([Choice("a", (0, 1))])
    table = CostTable(space, 0.0, [Term(("a",), np.array([1.0, -np.inf, 0.0]))])
    with pytest.raises(BadInputError, match="Every cell of the utility and of the cost of a front must be finite"):
        pareto_front(CostTable(space), table)
