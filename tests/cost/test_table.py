import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.cost import CostTable, Term
from hwnas.errors import ArchitectureError, BadInputError, SpaceError
from hwnas.space import Choice, Distribution, Requirement, Space
from tests.space.examples import mobilenet, random_space

from .examples import random_distribution, random_table

SPACE = Space([Choice("depth", (1, 2)), Choice("block", (3, 5, 7), condition=[[Requirement("depth", (2,))]])])
SEEDS = st.integers(0, 10**6)


def term_by_term(space, constant, terms, architecture):
    """The cost as its definition reads, in exact integers where the values are."""
    total = constant
    for term in terms:
        slots = (
            space.choice(name).index(architecture[name]) if name in architecture else space.choice(name).num_options
            for name in term.choices
        )
        total += term.values[tuple(slots)].item()
    return total


@given(SEEDS)
@settings(max_examples=100, deadline=None)
def test_values_are_the_sum_of_the_terms(seed):
    space, rng = random_space(seed), np.random.default_rng(seed)
    names = space.names
    terms = []
    for size, name in itertools.product((1, 2, 3), names):
        others = rng.permutation([other for other in names if other != name])[: size - 1]
        choices = (name, *map(str, others))
        terms.append(Term(choices, rng.integers(-(10**12), 10**12, [space.choice(c).num_options + 1 for c in choices])))
    table = CostTable(space, 17, terms)
    architectures = list(space.enumerate())
    expected = [term_by_term(space, 17, terms, architecture) for architecture in architectures]
    assert table.values(space.enumerate_codes()).tolist() == expected
    assert [table.value(architecture) for architecture in architectures] == expected
    assert len({frozenset(term.choices) for term in table.terms}) == len(table.terms)


def test_terms_over_one_set_are_merged_with_axes_in_order():
    first = Term(("depth", "block"), np.arange(12.0).reshape(3, 4))
    second = Term(("block", "depth"), np.arange(12.0).reshape(4, 3))
    (merged,) = CostTable(SPACE, 0, [first, second]).terms
    assert merged.choices == ("depth", "block")
    assert (merged.values == first.values + second.values.T).all()


def test_zero_terms_and_terms_over_nothing_leave_no_term():
    table = CostTable(SPACE, 1, [Term(("depth",), np.zeros(3)), Term((), np.array(2.0))])
    assert table.terms == ()
    assert table.constant == 3


def test_value_equals_values_to_the_last_bit():
    space, rng = mobilenet(), np.random.default_rng(0)
    table = CostTable(space, 0.1, [Term((c.name,), rng.normal(size=c.num_options + 1)) for c in space.choices])
    codes = space.sample_codes(50, rng)
    assert [table.value(a) for a in space.decode(codes)] == table.values(codes).tolist()


def test_many_architectures_are_cut_into_chunks():
    space, rng = mobilenet(), np.random.default_rng(0)
    table = CostTable(
        space, 5, [Term((c.name,), np.append(rng.integers(0, 10**6, c.num_options), 0)) for c in space.choices]
    )
    codes = space.sample_codes(40_000, rng)
    loop = 5 + sum(term.values[codes[:, space.position(term.choices[0])]] for term in table.terms)
    assert (table.values(codes) == loop).all()
    assert (table.values(codes.astype(np.int8)) == loop).all()
    assert (table.values(np.ascontiguousarray(codes)) == loop).all()
    assert table.values(codes[:0]).shape == (0,)


def test_values_checks_codes():
    with pytest.raises(ArchitectureError, match=r"codes of 'block' must be from -1 \(inactive\) to 2; got 3"):
        CostTable(SPACE).values([[0, 3]])
    with pytest.raises(ArchitectureError, match=r"must be integers of the shape \(n, 2\)"):
        CostTable(SPACE).values([0, 1])


def test_value_validates():
    with pytest.raises(ArchitectureError, match=r"Choice 'block' is missing"):
        CostTable(SPACE).value({"depth": 2})


def test_shape_of_a_term():
    with pytest.raises(BadInputError, match=r"over \('block',\) must have the shape \(4,\): one slot .* got \(3,\)"):
        CostTable(SPACE, 0, [Term(("block",), np.zeros(3))])


def test_unknown_choice():
    with pytest.raises(SpaceError, match=r"no choice 'bock' in this space. Did you mean 'block'"):
        CostTable(SPACE, 0, [Term(("bock",), np.zeros(3))])


@pytest.mark.parametrize("constant", [float("nan"), float("inf"), -float("inf")])
def test_constant(constant):
    with pytest.raises(BadInputError, match=r"constant of a cost must be finite; got"):
        CostTable(SPACE, constant)


def test_from_options():
    table = CostTable.from_options(
        SPACE,
        {
            "depth": {1: 10, 2: 20},
            ("block",): {3: 1, 5: 2, 7: 3},
            ("block", "depth"): {**{(k, d): 100 * k * d for k in (3, 5, 7) for d in (1, 2)}, (None, 1): 7},
        },
        constant=1000,
        unit="macs",
    )
    assert table.value({"depth": 1}) == 1000 + 10 + 7
    assert table.value({"depth": 2, "block": 5}) == 1000 + 20 + 2 + 1000
    assert table.unit == "macs"


def test_from_options_with_tuples_as_options():
    space = Space([Choice("pads", ((1, 2), (3, 4)))])
    table = CostTable.from_options(space, {"pads": {(1, 2): 5, (3, 4): 6}})
    assert table.value({"pads": (3, 4)}) == 6


@pytest.mark.parametrize(
    ("tables", "error", "message"),
    [
        ({"block": {3: 1, 7: 1}}, BadInputError, r"must have a value for every option; \(5,\) has none \(and 0 more\)"),
        ({("depth", "block"): {(1, 3): 1}}, BadInputError, r"every option; \(1, 5\) has none \(and 4 more\)"),
        (
            {("depth", "block"): {1: 1}},
            BadInputError,
            r"combination of \('depth', 'block'\) must have 2 options; got 1",
        ),
        ({"block": {9: 1}}, ArchitectureError, "Choice 'block' has no option 9"),
        ({"bock": {9: 1}}, SpaceError, "no choice 'bock'"),
    ],
)
def test_from_options_refuses(tables, error, message):
    with pytest.raises(error, match=message):
        CostTable.from_options(SPACE, tables)


@given(SEEDS)
@settings(max_examples=50, deadline=None)
def test_arithmetic(seed):
    space, rng = random_space(seed), np.random.default_rng(seed)
    one, two = random_table(space, rng, integral=True), random_table(space, rng, integral=True)
    codes = space.enumerate_codes()
    a, b = one.values(codes), two.values(codes)
    for table, expected in [
        (one + two, a + b),
        (one - two, a - b),
        (one + 3, a + 3),
        (3 + one, a + 3),
        (one - 3, a - 3),
        (3 - one, 3 - a),
        (-one, -a),
        (2 * one, 2 * a),
        (one * 2, 2 * a),
        (sum([one, two]), a + b),
    ]:
        assert table.values(codes).tolist() == expected.tolist()


def test_units():
    ms, macs = CostTable(SPACE, 1, unit="ms"), CostTable(SPACE, 2, unit="macs")
    assert (ms * 2 + 1).unit == "ms"
    assert (ms + macs.with_unit("ms")).constant == 3
    with pytest.raises(BadInputError, match=r"Only costs of one unit add; got 'ms' and 'macs'"):
        ms + macs


def test_only_one_space():
    with pytest.raises(BadInputError, match=r"Only costs over one space add"):
        CostTable(SPACE) + CostTable(mobilenet())


def test_distribution_of_another_space():
    with pytest.raises(BadInputError, match=r"distribution must be over the space of the cost"):
        CostTable(SPACE).expected(Distribution.uniform(mobilenet()))


def test_expectation_of_a_constant():
    value, gradient = CostTable(SPACE, 3.0).expected_and_gradient(random_distribution(SPACE, np.random.default_rng(0)))
    assert value == 3
    assert {name: slope.tolist() for name, slope in gradient.items()} == {"depth": [0, 0], "block": [0, 0, 0]}


def test_extremes():
    table = CostTable.from_options(SPACE, {"depth": {1: 10, 2: 20}, "block": {3: -15, 5: 2, 7: 3}})
    assert (table.minimum().value, dict(table.minimum().architecture)) == (5, {"depth": 2, "block": 3})
    assert (table.maximum().value, dict(table.maximum().architecture)) == (23, {"depth": 2, "block": 7})
