import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.space import INACTIVE, Choice, Requirement, Space

from .examples import brute_force, mobilenet, random_space

SPACE = Space([Choice("depth", (1, 2)), Choice("block", ("a", "c"), condition=[[Requirement("depth", (2,))]])])


@given(st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_enumeration_is_brute_force_in_lexicographic_order(seed):
    space = random_space(seed)
    architectures = list(space.enumerate())
    expected = brute_force(space)
    assert len(architectures) == len(expected) == space.size
    assert {a.uid for a in architectures} == {space.validate(given).uid for given in expected}
    codes = space.enumerate_codes()
    assert sorted(codes.tolist()) == codes.tolist()
    assert space.decode(codes) == architectures
    assert (space.encode(architectures) == codes).all()


def test_enumeration_is_lazy():
    first, second = itertools.islice(mobilenet().enumerate(), 2)
    assert first["stage4.block1"] == 0
    assert second["stage4.block1"] == 1


def test_a_large_space_is_not_enumerated_at_once():
    with pytest.raises(SpaceError, match="at most 2,000,000 architectures are enumerated at once; this one has 5,906,"):
        mobilenet().enumerate_codes()


def test_inactive_is_minus_one():
    codes = SPACE.encode([{"depth": 1}, {"depth": 2, "block": "c"}])
    assert codes.tolist() == [[0, INACTIVE], [1, 1]]
    assert SPACE.encode([]).shape == (0, 2)
    assert SPACE.decode(np.empty((0, 2), dtype=int)) == []


def test_encode_validates():
    with pytest.raises(ArchitectureError, match="Choice 'block' is missing"):
        SPACE.encode([{"depth": 2}])


@pytest.mark.parametrize("codes", [[0, 1], [[0]], [[0.0, 1.0]], [["a", "b"]], 3])
def test_shape_and_kind(codes):
    with pytest.raises(ArchitectureError, match=r"must be integers of the shape \(n, 2\); got"):
        SPACE.decode(codes)


@pytest.mark.parametrize("row", [[0, 2], [2, 0], [1, -2]])
def test_range(row):
    with pytest.raises(ArchitectureError, match=r"codes of '\w+' must be from -1 \(inactive\) to 1; got (2|-2)"):
        SPACE.check_codes([[0, -1], row])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0, 1], "'block' is inactive in row 1, but its code is 1"),
        ([1, -1], "'block' is active in row 1, but its code is -1"),
    ],
)
def test_activity(row, message):
    with pytest.raises(ArchitectureError, match=message):
        SPACE.decode([[0, -1], row])
