import numpy as np
import pytest

from hwnas.cost import CostTable, MaxTable, Term
from hwnas.cost.extremes import maximum, minimum
from hwnas.errors import BadInputError
from hwnas.space import Choice, Requirement, Space
from tests.solve.random_problems import block_table, random_peak, random_space, random_table, stages


@pytest.mark.parametrize("block", range(3))
def test_equal_brute_force(block):
    for seed in range(100 * block, 100 * (block + 1)):
        rng = np.random.default_rng(seed)
        space = random_space(rng)
        absent = 0.3 if seed % 3 == 0 else 0.0
        for table in (random_table(space, rng, absent=absent), random_peak(space, rng)):
            values = table.values(space.enumerate_codes())
            for extreme, expected in ((table.minimum(), values.min()), (table.maximum(), values.max())):
                assert extreme.value == pytest.approx(expected, rel=1e-12)
                assert table.value(extreme.architecture) == extreme.value


def test_the_large_space():
    """Closed form: blocks are chosen apart, and a cheapest (dearest) stage has depth 2 (4)."""
    space = stages()
    table = block_table(space, np.random.default_rng(0))
    options = {term.choices[0]: term.values[:-1] for term in table.terms}
    low = 1.0 + sum(values.min() for name, values in options.items() if name[-1] in "01")
    high = 1.0 + sum(values.max() for values in options.values())
    assert minimum(table).value == pytest.approx(low, rel=1e-12)
    assert maximum(table).value == pytest.approx(high, rel=1e-12)


def test_a_condition_on_many_choices_needs_no_large_table():
    parents = [Choice(f"x{i}", tuple(range(9))) for i in range(12)]
    anded = [Requirement(parent.name, (0, 1)) for parent in parents]
    ored = [[Requirement(parent.name, (8,))] for parent in parents]
    for condition, minimal in (([anded], 11), (ored, 12)):
        space = Space([*parents, Choice("y", ("off", "on"), condition=condition)])
        costs = [Term((parent.name,), np.array([2.0, 2.0, *[1.0] * 7, 0.0])) for parent in parents]
        bonus = Term(("y",), np.array([0.0, -100.0, 0.0]))
        table = CostTable(space, 0.0, [*costs, bonus])
        extreme = table.minimum()
        assert extreme.architecture["y"] == "on"
        assert extreme.value == (24.0 if minimal == 11 else 12.0) - 100.0


def test_too_tightly_coupled():
    space = Space([Choice(f"x{i}", tuple(range(9))) for i in range(8)])
    pairs = [(f"x{i}", f"x{j}") for i in range(8) for j in range(i)]
    table = CostTable(space, 0.0, [Term(pair, np.ones((10, 10))) for pair in pairs])
    for extreme in (table.minimum, table.maximum):
        with pytest.raises(BadInputError, match=r"at most 5,000,000 cells; .* that it needs 100,000,000. Use terms"):
            extreme()


def test_a_row_over_too_many_choices():
    space = Space([Choice(f"x{i}", tuple(range(9))) for i in range(7)])
    row = CostTable(space, 0.0, [Term((name,), np.arange(10.0)) for name in space.names])
    with pytest.raises(BadInputError, match=r"a row over the choices x0, x1, .*, x6 has 10,000,000. Use rows over"):
        MaxTable([row]).minimum()
    assert MaxTable([row]).maximum().value == 56.0
