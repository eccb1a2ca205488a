"""Names, options and conditions of the choices of a module tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from hwnas.errors import SpaceError
from hwnas.nn import ElasticConv2d, ElasticLinear, InputChoice, LayerChoice, ModelSpace, Repeat
from hwnas.nn.derivation import derive
from hwnas.nn.view import SelectionView, Structure
from hwnas.space import Architecture, Choice, Option, Requirement

from .odd_models import ODD_MODELS


def ops(num: int = 2, *, label: str | None = None) -> LayerChoice:
    return LayerChoice([nn.Identity() for _ in range(num)], label=label)


def conditions(module: nn.Module) -> dict[str, object]:
    return {choice.name: choice.condition for choice in derive(module).space.choices}


def test_names_are_paths_and_labels() -> None:
    module = nn.ModuleDict(
        {
            "a": ops(),
            "b": nn.Sequential(ops(label="named"), ElasticConv2d(3, [4, 8], 1)),
            "c": InputChoice(2, n_chosen=None),
            "d": InputChoice(2, n_chosen=None, label="skip"),
            "e": ElasticLinear(Choice("width", (2, 4)).map(lambda width: 3 * width), 2),
        }
    )
    names = {"a", "named", "b.1.out_channels", "c/0", "c/1", "skip/0", "skip/1", "width"}
    assert set(derive(module).space.names) == names


def test_sizes_of_the_odd_models() -> None:
    """Counted by hand from their source."""
    sizes = {
        "residual_functional": 3 * 2,
        "two_inputs": 2 * 3 * 8,
        "shared_label": 2 * 9,
        "conv1d": 3 * 3 * 2 * 2 * 2 * 3 * 2,
        "attention": 3 * (1 + 2),
        "fourier": 4,
        "data_dependent": 4,
        "shared_widths": 3 * 2 * 2 * 2,
        "nested": sum((1 + 1 + 2 + 4) ** depth for depth in (1, 2, 3)) * 2,
        "keywords_and_twice": 4,
        "nodes": 3 * (3 * 3 + 3 + 3),
        "cells": (3**4 * 2**2 * 3**2) * (2**3 * 2 * 3),
    }
    found = {name: ModelSpace(*factory()).space.size for name, factory in ODD_MODELS.items()}
    assert found == sizes


def test_nested_choices_need_their_candidate() -> None:
    module = nn.Sequential(LayerChoice({"a": ops(), "b": nn.Sequential(LayerChoice([ops(), nn.Identity()]))}))
    assert conditions(module) == {
        "0": (),
        "0.a": ((Requirement("0", ("a",)),),),
        "0.b.0": ((Requirement("0", ("b",)),),),
        "0.b.0.0": ((Requirement("0", ("b",)), Requirement("0.b.0", (0,))),),
    }


def test_blocks_need_their_depth() -> None:
    module = nn.Sequential(Repeat(lambda i: ops(), [1, 3], label="depth"))
    deeper = ((Requirement("depth", (3,)),),)
    assert conditions(module) == {"depth": (), "0.0": (), "0.1": deeper, "0.2": deeper}


def test_a_fixed_depth_is_no_choice() -> None:
    assert conditions(nn.Sequential(Repeat(ops(), 2))) == {"0.0": (), "0.1": ()}


def test_one_label_is_active_where_any_of_its_places_is() -> None:
    shared = nn.Sequential(LayerChoice([ops(label="x"), ops(label="x"), nn.Identity()], label="op"))
    assert conditions(shared)["x"] == ((Requirement("op", (0, 1)),),)
    everywhere = nn.Sequential(LayerChoice([ops(label="x"), ops(label="x")], label="op"))
    assert conditions(everywhere)["x"] == ()
    repeated = nn.Sequential(Repeat(lambda i: ops(label="x"), (0, 3), label="depth"))
    assert conditions(repeated)["x"] == ((Requirement("depth", (1, 2, 3)),),)
    two = nn.Sequential(LayerChoice([ops(label="x"), nn.Identity()]), LayerChoice([ops(label="x"), nn.Identity()]))
    assert set(conditions(two)["x"]) == {(Requirement("0", (0,)),), (Requirement("1", (0,)),)}  # type: ignore[call-overload]


def test_a_label_below_itself() -> None:
    """The inner one runs with the outer one's option; what that never leads to is not in the space."""
    inner = LayerChoice([ops(label="first"), ops(label="never")], label="op")
    module = nn.Sequential(LayerChoice([inner, nn.Identity()], label="op"))
    assert conditions(module) == {"op": (), "first": ((Requirement("op", (0,)),),)}
    model = ModelSpace(module, torch.zeros(1))
    assert model.space.size == 3
    model(torch.zeros(1), {"op": 0, "first": 1})


def test_one_module_at_two_places_is_one_choice() -> None:
    shared = ops()
    module = nn.ModuleDict({"a": LayerChoice([shared, nn.Identity()]), "b": shared})
    assert conditions(module) == {"a": (), "a.0": ()}


class Recorder(Mapping[str, Option]):
    """A selection that notes what it is asked for."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Option:
        self.asked.add(name)
        return self.architecture[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.architecture)

    def __len__(self) -> int:
        return len(self.architecture)


def assert_active_choices_are_those_needed(module: nn.Module, structure: Structure) -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        selection = Recorder(structure.space.sample(rng))
        SelectionView(structure, selection)(module)
        assert selection.asked == set(selection.architecture)


@pytest.mark.parametrize("name", ODD_MODELS)
def test_active_choices_are_those_that_a_view_needs(name: str) -> None:
    module, _ = ODD_MODELS[name]()
    assert_active_choices_are_those_needed(module, derive(module))


LABELS: dict[str, Callable[[list[nn.Module]], nn.Module]] = {
    "p": lambda children: LayerChoice([children[0], nn.Identity()], label="p"),
    "q": lambda children: LayerChoice([children[0], children[-1], nn.ReLU()], label="q"),
    "r": lambda children: Repeat([children[0], children[-1]], (0, 2), label="r"),
    "own": lambda children: LayerChoice([nn.Identity(), children[0]]),
    "chain": lambda children: nn.Sequential(*children),
}
TREES = st.recursive(
    st.builds(nn.Identity) | st.just("leaf").map(lambda _: ops(3, label="leaf")),
    lambda trees: st.builds(
        lambda kind, children: LABELS[kind](children),
        st.sampled_from(sorted(LABELS)),
        st.lists(trees, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(tree=TREES)
def test_active_choices_of_any_tree_are_those_that_a_view_needs(tree: nn.Module) -> None:
    module = nn.Sequential(ops(label="first"), tree)
    try:
        structure = derive(module)
    except SpaceError as error:
        if "circle" not in str(error):
            raise
        return
    assert_active_choices_are_those_needed(module, structure)


def test_errors() -> None:
    with pytest.raises(SpaceError, match="Sequential must have at least one choice, and has none"):
        derive(nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(SpaceError, match=r"'x' has \[0, 1\] and, at '1', \[0, 1, 2\]"):
        derive(nn.Sequential(ops(label="x"), ops(3, label="x")))
    with pytest.raises(SpaceError, match=r"'x' has \[0, 1\] and, at '1', \[False, True\]"):
        derive(nn.Sequential(ops(label="x"), ElasticLikeBool()))
    with pytest.raises(SpaceError, match="no path to be called by; give it a label"):
        derive(ops())
    assert derive(ops(label="x")).space.names == ("x",)
    a_over_b = LayerChoice([ops(label="b"), nn.Identity()], label="a")
    b_over_a = LayerChoice([ops(label="a"), nn.Identity()], label="b")
    assert conditions(nn.Sequential(a_over_b, b_over_a)) == {"a": (), "b": ()}
    with pytest.raises(SpaceError, match="Conditions must not go in a circle"):
        derive(nn.Sequential(LayerChoice([a_over_b, b_over_a], label="c")))


class ElasticLikeBool(InputChoice):
    """A subset of one, whose choice is called x."""

    def __init__(self) -> None:
        super().__init__(1, n_chosen=None, label="x")
        self._slots = tuple(
            type(slot)(key=slot.key, suffix="", label="x", options=slot.options) for slot in self._slots
        )
