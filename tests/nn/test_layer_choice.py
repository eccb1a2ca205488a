"""One of several layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hwnas.errors import SpaceError
from hwnas.nn import LayerChoice, ModelSpace


def test_options_are_positions_or_keys() -> None:
    layers = [nn.Linear(2, 2), nn.Identity()]
    assert LayerChoice(layers).slots()[0].options == (0, 1)
    named = LayerChoice({"linear": layers[0], "skip": layers[1]})
    assert named.slots()[0].options == ("linear", "skip")
    assert list(named.state_dict()) == ["linear.weight", "linear.bias"]


def test_the_candidate_stands_in_its_place() -> None:
    model = ModelSpace(nn.Sequential(LayerChoice({"linear": nn.Linear(2, 2), "skip": nn.Identity()})), torch.zeros(2))
    assert list(model.freeze({"0": "linear"}).state_dict()) == ["0.weight", "0.bias"]
    assert type(model.freeze({"0": "skip"})[0]) is nn.Identity
    assert model.view({"0": "linear"})[0] is model.module[0].get_submodule("linear")


def test_errors() -> None:
    with pytest.raises(SpaceError, match="needs at least one candidate"):
        LayerChoice([])
    with pytest.raises(SpaceError, match=r"Candidate 1 of LayerChoice must be a torch\.nn\.Module"):
        LayerChoice([nn.Identity(), torch.relu])  # type: ignore[list-item]
    for key in ("a.b", "", "forward", "train"):
        with pytest.raises(
            SpaceError, match=r"must be a string without dots that is no attribute of torch\.nn\.Module"
        ):
            LayerChoice({key: nn.Identity()})
    with pytest.raises(SpaceError, match=r"LayerChoice was called outside ModelSpace\.forward"):
        LayerChoice([nn.Identity()])(torch.zeros(1))


def test_one_module_is_no_list_of_candidates():
    with pytest.raises(SpaceError, match="takes a list or a mapping of candidates; got ReLU"):
        LayerChoice(nn.ReLU())


def test_a_module_dict_is_a_mapping():
    choice = LayerChoice(nn.ModuleDict({"a": nn.ReLU(), "b": nn.Identity()}))
    assert [slot.options for slot in choice.slots()] == [("a", "b")]
