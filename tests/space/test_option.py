import numpy as np
import pytest

from hwnas.space.option import as_option, canonical_uid, option_to_json


@pytest.mark.parametrize("value", ["a", 3, 0.5, True, (1, 2), ()])
def test_an_option_stands_for_itself(value):
    assert as_option(value) == value
    assert as_option(option_to_json(value)) == value


def test_lists_and_numpy_scalars_become_tuples_and_python_scalars():
    assert as_option([1, np.int64(2)]) == (1, 2)
    assert type(as_option(np.float64(0.5))) is float
    assert type(as_option(np.bool_(True))) is bool


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), {}, {1}, (1, "a"), (1.5,), (True,), ((1,),), b"a"])
def test_what_is_no_option(value):
    assert as_option(value) is None


def test_uid_is_the_sha256_of_canonical_json():
    # printf '{"a":[1,2],"b":true}' | sha256sum
    expected = "7bc296510babd8b5a22d2c8b2f21e071610040e12e088eb8b550c3a759d274b8"
    assert canonical_uid({"b": True, "a": [1, 2]}) == expected
