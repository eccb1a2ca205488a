import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.cost import CostTable, MaxTable, Term
from hwnas.errors import ArchitectureError, BadInputError
from hwnas.space import Choice, Distribution, Requirement, Space
from tests.space.examples import mobilenet, random_space

from .examples import random_table

SPACE = Space([Choice("depth", (1, 2)), Choice("block", (3, 5), condition=[[Requirement("depth", (2,))]])])
STEM = CostTable(SPACE, 10, unit="bytes")
BLOCK = CostTable(SPACE, 0, [Term(("block",), np.array([9.0, 30.0, -np.inf]))], unit="bytes")


def test_a_row_that_does_not_run_does_not_count():
    peak = MaxTable([STEM, BLOCK])
    assert peak.unit == "bytes"
    assert peak.value({"depth": 1}) == 10
    assert peak.value({"depth": 2, "block": 3}) == 10
    assert peak.value({"depth": 2, "block": 5}) == 30


@given(st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_values_extremes_and_json(seed):
    space, rng = random_space(seed), np.random.default_rng(seed)
    rows = [random_table(space, rng, num_terms=2) for _ in range(3)]
    peak, codes = MaxTable(rows), space.enumerate_codes()
    expected = np.max([row.values(codes) for row in rows], axis=0)
    assert (peak.values(codes) == expected).all()
    assert [peak.value(architecture) for architecture in space.decode(codes[:20])] == expected[:20].tolist()
    assert peak.minimum().value == pytest.approx(expected.min(), rel=1e-12)
    assert peak.maximum().value == pytest.approx(expected.max(), rel=1e-12)
    assert peak.value(peak.minimum().architecture) == peak.minimum().value
    back = MaxTable.from_json(space, json.loads(json.dumps(peak.to_json(), allow_nan=False)))
    assert (back.values(codes) == expected).all()


def test_no_expectation():
    uniform = Distribution.uniform(SPACE)
    for method in (MaxTable([STEM]).expected, MaxTable([STEM]).expected_and_gradient):
        with pytest.raises(BadInputError, match=r"is not additive and has no exact expectation. Use it as a budget"):
            method(uniform)


def test_at_least_one_row():
    with pytest.raises(BadInputError, match="must have at least one row; got none"):
        MaxTable([])


@pytest.mark.parametrize("other", [CostTable(mobilenet(), unit="bytes"), CostTable(SPACE, unit="ms")])
def test_rows_of_one_kind(other):
    with pytest.raises(BadInputError, match="rows of a maximum must be over one space and in one unit"):
        MaxTable([STEM, other])


def test_value_validates():
    with pytest.raises(ArchitectureError, match="Choice 'depth' is missing"):
        MaxTable([STEM]).value({})


@pytest.mark.parametrize("value", [None, {}, {"rows": 3}, {"rows": [], "more": 1}])
def test_foreign_json(value):
    with pytest.raises(BadInputError, match="A maximum in JSON must be an object with the list rows; got"):
        MaxTable.from_json(SPACE, value)
