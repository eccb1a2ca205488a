"""A block several times over."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hwnas.errors import SpaceError
from hwnas.nn import LayerChoice, ModelSpace, Repeat
from hwnas.space import Choice


def test_a_module_is_copied_for_every_position() -> None:
    repeat = Repeat(nn.Linear(2, 2), (1, 3))
    assert [slot.options for slot in repeat.slots()] == [(1, 2, 3)]
    first, second, _ = repeat.blocks
    assert first is not second
    torch.testing.assert_close(first.weight, second.weight)
    assert list(repeat.state_dict())[:2] == ["0.weight", "0.bias"]


def test_a_factory_gets_the_position_and_a_sequence_is_taken() -> None:
    assert [block.in_features for block in Repeat(lambda i: nn.Linear(i + 1, i + 2), [1, 3]).blocks] == [1, 2, 3]
    layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    assert Repeat(layers, 2).blocks == list(layers)
    assert Repeat(layers, 2).slots() == ()


def test_the_first_blocks_stand_in_its_place() -> None:
    depth = Choice("size", ("small", "large"))
    model = ModelSpace(nn.Sequential(Repeat(nn.Linear(2, 2), depth.map({"small": 0, "large": 2}))), torch.zeros(2))
    assert len(model.freeze({"size": "small"})[0]) == 0
    large = model.freeze({"size": "large"})
    assert type(large[0]) is nn.Sequential
    assert list(large.state_dict()) == ["0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias"]
    torch.testing.assert_close(model(torch.ones(2), {"size": "small"}), torch.ones(2))


def test_unlabelled_choices_are_each_position_s_own_and_labelled_ones_shared() -> None:
    own = Repeat(LayerChoice([nn.ReLU(), nn.Tanh()]), 2)
    shared = Repeat(LayerChoice([nn.ReLU(), nn.Tanh()], label="act"), 2)
    model = ModelSpace(nn.Sequential(own, shared), torch.zeros(2))
    assert model.space.names == ("0.0", "0.1", "act")


def test_errors() -> None:
    with pytest.raises(SpaceError, match="`depth` must be an integer of at least 0; got -1"):
        Repeat(nn.Identity(), -1)
    with pytest.raises(SpaceError, match=r"the least and the greatest depth; got \(3, 1\)"):
        Repeat(nn.Identity(), (3, 1))
    with pytest.raises(SpaceError, match="`label` must not be given beside a choice as depth"):
        Repeat(nn.Identity(), Choice("d", (1, 2)), label="x")
    with pytest.raises(SpaceError, match="as many blocks as its greatest depth, 3; got 1"):
        Repeat([nn.Identity()], (1, 3))
    with pytest.raises(SpaceError, match=r"Block 1 of Repeat must be a torch\.nn\.Module; got None"):
        Repeat(lambda i: nn.Identity() if i == 0 else None, 2)  # type: ignore[arg-type, return-value]
