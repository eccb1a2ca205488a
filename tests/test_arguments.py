import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from hwnas.arguments import finite_number, path, real_number, truth, whole_number
from hwnas.errors import ConfigError


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)])
def test_whole_numbers_of_all_kinds_are_taken(value):
    assert whole_number("size", value, at_least=3) == 3
    assert type(whole_number("size", value, at_least=3)) is int


@pytest.mark.parametrize("value", ["3", True, np.True_, 3.0, np.float64(3), None, [3], np.array([3, 4]), math.nan])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(ConfigError, match="`size` must be a whole number of at least 1; got"):
        whole_number("size", value, at_least=1)


def test_a_whole_number_out_of_range():
    with pytest.raises(ConfigError, match=r"^`size` must be a whole number of at least 2, or None; got 1\.$"):
        whole_number("size", 1, at_least=2, otherwise="or None")


def test_a_whole_number_that_is_too_large():
    with pytest.raises(ConfigError, match=r"^`size` must be a whole number of at most 9, or None; got 10\.$"):
        whole_number("size", 10, at_least=0, at_most=9, otherwise="or None")
    with pytest.raises(ConfigError, match="at most 9; got a int that cannot be written"):
        whole_number("size", 10**5000, at_least=0, at_most=9)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int16(2), Fraction(2), np.array(2.0), torch.tensor(2.0)])
def test_finite_numbers_of_all_kinds_are_taken(value):
    assert finite_number("rate", value, above=0) == 2.0
    assert type(finite_number("rate", value, above=0)) is float


@pytest.mark.parametrize(
    "value",
    ["0.5", True, np.False_, None, [0.5], np.array([0.5]), Decimal(1), math.nan, math.inf, 1j, 10**400],
)
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ConfigError, match="`rate` must be a finite number; got"):
        finite_number("rate", value)


@pytest.mark.parametrize(
    ("value", "ends", "rule"),
    [
        (0, {"above": 0}, "above 0"),
        (-0.1, {"at_least": 0}, "of at least 0"),
        (1, {"above": 0, "below": 1}, "above 0 and below 1"),
        (1.1, {"at_least": 0, "at_most": 1}, "of at least 0 and at most 1"),
        (3, {"at_most": 2.5}, "at most 2.5"),
    ],
)
def test_a_finite_number_out_of_range(value, ends, rule):
    with pytest.raises(ConfigError, match=rf"^`rate` must be a finite number {rule}; got {value}\.$"):
        finite_number("rate", value, **ends)


def test_truth_is_true_or_false():
    assert truth("none", np.False_) is False
    for value in (1, 0.0, "yes", None):
        with pytest.raises(ConfigError, match=f"`none` must be True or False; got {value!r}"):
            truth("none", value)


def test_real_numbers():
    assert real_number(torch.tensor(0.5, requires_grad=True)) == 0.5
    assert real_number(10**400) == math.inf
    assert real_number(-(10**400)) == -math.inf
    assert math.isnan(real_number(np.float32("nan")))
    assert [real_number(value) for value in (True, np.array(True), "1", None, 1j, np.array("1"))] == [None] * 6


def test_what_is_masked_is_no_number():
    assert [real_number(value) for value in (np.ma.masked, np.ma.array(3.0, mask=True))] == [None] * 2
    assert real_number(np.ma.array(3.0)) == 3.0
    with pytest.raises(ConfigError, match="`size` must be a whole number of at least 1; got masked_array"):
        whole_number("size", np.ma.array(3, mask=True), at_least=1)


def test_a_value_that_cannot_be_written_is_refused_all_the_same():
    """Python writes no number of more than 4,300 digits."""
    with pytest.raises(ConfigError, match=r"got a int that cannot be written\.$"):
        whole_number("size", -(10**5000), at_least=1)
    with pytest.raises(ConfigError, match=r"got 'x{76}\.\.\.\.$"):
        whole_number("size", "x" * 1000, at_least=1)


def test_paths(tmp_path):
    assert path("directory", str(tmp_path)) == path("directory", tmp_path) == tmp_path
    for value in (3, b"runs", None, "", "a\0b"):
        with pytest.raises(ConfigError, match="`directory` must be a path, a text or a Path of pathlib; got"):
            path("directory", value)
