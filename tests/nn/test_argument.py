"""Arguments that may vary."""

from __future__ import annotations

from typing import Any

import pytest

from hwnas.errors import SpaceError
from hwnas.nn import Argument, Slot
from hwnas.nn.argument import joint_values
from hwnas.space import Choice, Requirement


def argument(given: Any, name: str = "width") -> Argument[int]:
    return Argument(name, given, check=lambda value: isinstance(value, int) and value > 0, expected="positive")


def test_the_four_forms() -> None:
    width = Choice("w", ("narrow", "wide"))
    fixed, listed = argument(3), argument([3, 5])
    shared, mapped = argument(Choice("w", (3, 5))), argument(width.map({"narrow": 4, "wide": 8}))
    assert fixed.slot is None
    assert fixed.value({}) == 3
    assert listed.slot == Slot(key="width", suffix=".width", label=None, options=(3, 5))
    assert listed.value({"width": 5}) == 5
    assert shared.slot == Slot(key="width", suffix=".width", label="w", options=(3, 5))
    assert mapped.values == (4, 8)
    assert mapped.value({"width": "wide"}) == 8


def test_joint_values_know_shared_choices() -> None:
    width = Choice("w", (2, 4))
    arguments = {"a": argument(width, "a"), "b": argument(width.map(lambda w: 10 * w), "b"), "c": argument([1, 3], "c")}
    found = [(values["a"], values["b"], values["c"]) for values in joint_values(arguments)]
    assert found == [(2, 20, 1), (2, 20, 3), (4, 40, 1), (4, 40, 3)]


def test_slot_names() -> None:
    slot = Slot(key="width", suffix=".width", label=None, options=(1,))
    assert slot.choice_name("net.0") == "net.0.width"
    assert slot.choice_name("") == "width"


def test_errors() -> None:
    with pytest.raises(SpaceError, match="`width` must be positive; got 0"):
        argument(0)
    with pytest.raises(SpaceError, match="`width` must be positive; got -1"):
        argument([1, -1])
    with pytest.raises(SpaceError, match="at least one option of choice 'width'"):
        argument([])
    with pytest.raises(SpaceError, match="`width` must be positive; got 'x'"):
        argument(Choice("w", ("x",)))
    conditional = Choice("w", (1, 2), condition=((Requirement("other", (1,)),),))
    with pytest.raises(SpaceError, match="condition of choice 'w', given as `width`, comes from where its modules"):
        argument(conditional)
