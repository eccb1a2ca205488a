import itertools

import pytest

from hwnas.errors import SpaceError
from hwnas.space import Choice, Requirement, Space

DEPTH = Choice("depth", (1, 2))
BLOCK = Choice("block", ("a", "b"), condition=[[Requirement("depth", (2,))]])
WIDTH = Choice("width", (8, 16), condition=[[Requirement("block", ("b",))]])


def test_any_order_is_put_right():
    for choices in itertools.permutations([DEPTH, BLOCK, WIDTH]):
        assert Space.ordered(choices) == Space([DEPTH, BLOCK, WIDTH])


def test_a_right_order_is_kept():
    free = Choice("free", (1, 2))
    assert Space.ordered([free, DEPTH, BLOCK]).names == ("free", "depth", "block")


def test_one_label_in_two_places_is_active_when_either_is():
    other = Choice("width", (8, 16), condition=[[Requirement("depth", (1,))]])
    merged = Space.ordered([DEPTH, BLOCK, WIDTH, other]).choice("width")
    assert merged.condition == (*WIDTH.condition, *other.condition)
    assert Space.ordered([DEPTH, BLOCK, WIDTH, Choice("width", (8, 16))]).choice("width").condition == ()


def test_two_lists_of_options():
    with pytest.raises(SpaceError, match=r"One name must have one list of options; 'depth' has \[1, 2\] and \[1, 3\]"):
        Space.ordered([DEPTH, Choice("depth", (1, 3))])


def test_unknown_name():
    with pytest.raises(SpaceError, match="condition of 'block' is on 'depth', which is no choice of the space"):
        Space.ordered([BLOCK, WIDTH])


def test_circle():
    circular = Choice("depth", (1, 2), condition=[[Requirement("width", (8,))]])
    with pytest.raises(SpaceError, match=r"must not go in a circle; those of \['depth', 'block', 'width'\] wait"):
        Space.ordered([circular, BLOCK, WIDTH])
