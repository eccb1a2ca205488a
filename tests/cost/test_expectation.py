import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.cost import CostTable, Term
from hwnas.errors import BadInputError
from hwnas.space import Choice, Distribution, Requirement, Space
from tests.space.examples import mobilenet, random_space

from .examples import random_distribution, random_table


def brute_force(table, probabilities):
    """The sum over all architectures of cost * product of the probabilities of their options.

    Also the polynomial off the simplices, which differences need.
    """
    return sum(
        table.value(architecture)
        * np.prod(
            [probabilities[name][table.space.choice(name).index(option)] for name, option in architecture.items()]
        )
        for architecture in table.space.enumerate()
    )


@given(st.integers(0, 10**6))
@settings(max_examples=300, deadline=None)
def test_expectation_is_that_of_brute_force(seed):
    space, rng = random_space(seed), np.random.default_rng(seed)
    table, distribution = random_table(space, rng), random_distribution(space, rng)
    assert table.expected(distribution) == pytest.approx(brute_force(table, distribution), rel=1e-10, abs=1e-10)


@given(st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_gradient_is_that_of_differences(seed):
    # Along the simplices only: from one option to another. A step of 1e-3 is exact for a polynomial
    # that is linear in each choice, up to rounding.
    space, rng = random_space(seed), np.random.default_rng(seed)
    table, distribution = random_table(space, rng), random_distribution(space, rng)
    value, gradient = table.expected_and_gradient(distribution)
    assert value == table.expected(distribution)
    assert list(gradient) == list(space.names)
    for choice in space.choices:
        for code in range(choice.num_options):
            towards = {**distribution, choice.name: np.eye(choice.num_options)[code]}
            slope = table.expected(Distribution(space, towards)) - value
            along = gradient[choice.name] @ (towards[choice.name] - distribution[choice.name])
            assert along == pytest.approx(slope, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_gradient_is_that_of_the_polynomial_off_the_simplices(seed):
    # `Distribution` allows sums a little off 1: enough for a central difference in one probability.
    space, rng = random_space(seed), np.random.default_rng(seed)
    table, step = random_table(space, rng), 5e-5
    distribution = Distribution.uniform(space)
    _, gradient = table.expected_and_gradient(distribution)
    for choice in space.choices:
        for code in range(choice.num_options):
            shift = step * np.eye(choice.num_options)[code]
            up, down = (
                table.expected(Distribution(space, {**distribution, choice.name: distribution[choice.name] + s}))
                for s in (shift, -shift)
            )
            assert gradient[choice.name][code] == pytest.approx((up - down) / (2 * step), rel=1e-7, abs=1e-7)


def test_published_example():
    # algorithms.md 4: three convolutions of 9,000, 25,000 and 49,000 MACs under (0.2, 0.3, 0.5)
    space = Space([Choice("kernel", (3, 5, 7))])
    table = CostTable.from_options(space, {"kernel": {3: 9_000, 5: 25_000, 7: 49_000}})
    value, gradient = table.expected_and_gradient(Distribution(space, {"kernel": [0.2, 0.3, 0.5]}))
    assert value == pytest.approx(33_800)
    assert gradient["kernel"].tolist() == [9_000, 25_000, 49_000]


def test_hardcore_bilinear_form():
    # E = T0 + sum_s [sum_c a_s1c t_s1c + sum_d b_sd sum_{block<=d} sum_c a t]: algorithms.md 2
    space, rng = mobilenet(), np.random.default_rng(0)
    table = CostTable(
        space,
        4.0,
        [Term((c.name,), np.append(rng.random(12), 0)) for c in space.choices if c.num_options == 12],
    )
    p = random_distribution(space, rng)
    times = {term.choices[0]: term.values[:-1] for term in table.terms}
    expected = 4.0
    for stage in range(5):
        means = [p[f"stage{stage}.block{block}"] @ times[f"stage{stage}.block{block}"] for block in range(4)]
        expected += sum(
            beta * sum(means[:depth]) for depth, beta in zip((2, 3, 4), p[f"stage{stage}.depth"], strict=True)
        )
    assert table.expected(p) == pytest.approx(expected, rel=1e-12)


def test_options_that_no_condition_tells_apart_are_one_group():
    # 200 options twice over would be 40,000,000 cells with two more choices; two groups are few.
    space = Space(
        [
            Choice("a", range(200)),
            Choice("b", range(200)),
            Choice("c", range(200), condition=[[Requirement("a", (1,)), Requirement("b", (2, 3))]]),
        ]
    )
    table = CostTable(space, 0, [Term(("c",), np.append(np.ones(200), 0))])
    assert table.expected(Distribution.uniform(space)) == pytest.approx(1 / 200 * 2 / 200)


def test_minus_infinity_has_no_expectation():
    space = Space([Choice("a", (1, 2))])
    table = CostTable(space, 0, [Term(("a",), np.array([1.0, -np.inf, 0.0]))])
    with pytest.raises(BadInputError, match=r"cost with -inf has no expectation; the term over \('a',\)"):
        table.expected(Distribution.uniform(space))


def test_too_many_cells():
    switches = [Choice(f"s{number}", (0, 1)) for number in range(20)]
    pairs = [[Requirement(f"s{number}", (1,)), Requirement(f"s{number + 10}", (1,))] for number in range(10)]
    space = Space([*switches, Choice("last", (1, 2), condition=pairs)])
    table = CostTable(space, 0, [Term(("last",), np.array([1.0, 2.0, 0.0]))])
    with pytest.raises(BadInputError, match=r"needs more than 500,000 cells, because it depends on \['s0', "):
        table.expected(Distribution.uniform(space))


def test_too_many_states():
    switches = [Choice(f"s{number}", (0, 1)) for number in range(40)]
    pairs = [[Requirement(f"s{number}", (1,)), Requirement(f"s{number + 20}", (1,))] for number in range(20)]
    space = Space([*switches, Choice("last", (1, 2), condition=pairs)])
    table = CostTable(space, 0, [Term(("last",), np.array([1.0, 2.0, 0.0]))])
    with pytest.raises(BadInputError, match="needs more than 500,000 cells"):
        table.expected(Distribution.uniform(space))
