import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.cost import CostTable, Term
from hwnas.errors import BadInputError, SpaceError
from hwnas.space import Choice, Space
from tests.space.examples import random_space

from .examples import random_table

SPACE = Space([Choice("a", (1, 2))])


@given(st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_round_trip_to_the_last_bit(seed):
    space, rng = random_space(seed), np.random.default_rng(seed)
    table = random_table(space, rng).with_unit("ms")
    back = CostTable.from_json(space, json.loads(json.dumps(table.to_json(), allow_nan=False)))
    codes = space.enumerate_codes()
    assert back.values(codes).tolist() == table.values(codes).tolist()
    assert back.unit == "ms"


def test_minus_infinity_is_null():
    value = CostTable(SPACE, 0, [Term(("a",), np.array([1.0, -np.inf, 0.0]))]).to_json()
    assert value["terms"] == [{"choices": ["a"], "values": [1.0, None, 0.0]}]
    assert CostTable.from_json(SPACE, value).value({"a": 2}) == -np.inf


def term(**changes):
    return {"unit": "", "constant": 0, "terms": [{"choices": ["a"], "values": [1, 2, 0], **changes}]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "A cost in JSON must be an object with unit, constant and terms; got None"),
        ({"unit": "", "constant": 0}, "A cost in JSON must be an object with unit, constant and terms"),
        ({"unit": 3, "constant": 0, "terms": []}, "a string as unit, a number as constant and a list of terms"),
        ({"unit": "", "constant": "0", "terms": []}, "a string as unit, a number as constant and a list of terms"),
        ({"unit": "", "constant": 0, "terms": {}}, "a string as unit, a number as constant and a list of terms"),
        (
            {"unit": "", "constant": 0, "terms": [3]},
            "A term in JSON must be an object with the list choices, and values",
        ),
        (term(more=1), "A term in JSON must be an object with the list choices, and values"),
        (term(choices="a"), "A term in JSON must be an object with the list choices, and values"),
        (term(choices=[["a"]]), "choices of a term in JSON must be names; got"),
        (term(values=["x", 1, 2]), "values of a term in JSON must be nested lists of numbers; got"),
        (term(values=[[1], 2, 3]), "values of a term in JSON must be nested lists of numbers; got"),
        (term(values=[1, 2]), r"must have the shape \(3,\)"),
    ],
)
def test_foreign_json(value, message):
    with pytest.raises(BadInputError, match=message):
        CostTable.from_json(SPACE, value)


def test_a_term_over_a_choice_of_another_space():
    with pytest.raises(SpaceError, match="no choice 'b'"):
        CostTable.from_json(SPACE, term(choices=["b"]))
