import numpy as np
import pytest

from hwnas.cost import Term
from hwnas.errors import BadInputError


def test_a_read_only_copy():
    values = np.zeros(3)
    term = Term(("a",), values)
    values[0] = 7
    assert term.values.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="read-only"):
        term.values[0] = 7


@pytest.mark.parametrize(("choices", "shape"), [(("a",), (3, 3)), (("a", "b"), (3,)), (("a", "a"), (3, 3))])
def test_one_axis_for_each_choice(choices, shape):
    with pytest.raises(
        BadInputError, match=rf"one axis for each of its choices, and each choice once; got {len(shape)}"
    ):
        Term(choices, np.zeros(shape))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_are_known(value):
    with pytest.raises(BadInputError, match=r"must be numbers or -inf; the term over \('a',\) has NaN or inf"):
        Term(("a",), np.array([0.0, value]))


def test_minus_infinity_is_allowed():
    assert Term(("a",), np.array([0.0, -np.inf])).values[1] == -np.inf
