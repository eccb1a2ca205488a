"""Replacing modules with choices."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hwnas.errors import SpaceError
from hwnas.nn import Cell, InputChoice, LayerChoice, ModelSpace, replace_input_choice, replace_layer_choice


class Average(nn.Module):
    """A module of a user's: the mean of the candidates of a choice."""

    def __init__(self, choice: LayerChoice) -> None:
        super().__init__()
        self.candidates = nn.ModuleList(choice.children())

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([candidate(x) for candidate in self.candidates]).mean(0)


class Total(nn.Module):
    def forward(self, inputs: list[Tensor]) -> Tensor:
        return torch.stack(inputs).sum(0)


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Model(nn.Module):
    """A labelled choice, an unlabelled one at two places, one within a candidate, and choices of inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first = LayerChoice([Times(2.0), Times(4.0)], label="op")
        self.twice = nn.ModuleList([LayerChoice({"a": Times(1.0), "b": Times(5.0)})] * 2)
        inner = LayerChoice([Times(1.0), Times(3.0)])
        self.outer = nn.Sequential(LayerChoice([nn.Sequential(Times(10.0), inner), Times(0.0)]))
        self.join = InputChoice(2, label="join")
        self.any = InputChoice(2, n_chosen=None, label="any")

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice[1](self.twice[0](self.first(x)))
        return self.join([x, self.any([self.outer(x), x])])


def test_every_choice_is_replaced_and_named() -> None:
    model = Model()
    twice = model.twice[0]
    pairs = replace_layer_choice(model, Average)
    assert [name for name, _ in pairs] == ["op", "twice.0", "outer.0.0.1", "outer.0"]
    assert all(type(made) is Average for _, made in pairs)
    assert model.first is pairs[0][1]
    assert model.twice[0] is model.twice[1] is pairs[1][1]
    assert list(pairs[1][1].candidates) == list(twice.children())
    assert not any(isinstance(module, LayerChoice) for module in model.modules())

    inputs = replace_input_choice(model, lambda choice: Total())
    assert [name for name, _ in inputs] == ["join", "any"]
    # 1 * (2+4)/2 = 3; twice * (1+5)/2 = 27; outer: (10 * (1+3)/2 + 0)/2 = 10 times; x + (10 x + x)
    assert model(torch.ones(1)).item() == 27 * 12


def test_the_function_sees_replaced_candidates_and_may_keep_the_choice_inside() -> None:
    model = Model()
    seen: list[list[type[nn.Module]]] = []

    def wrap(choice: LayerChoice) -> nn.Module:
        seen.append([type(module) for module in choice.modules() if isinstance(module, LayerChoice | Wrapped)])
        return Wrapped(choice)

    class Wrapped(nn.Module):
        def __init__(self, choice: LayerChoice) -> None:
            super().__init__()
            self.choice = choice

        def forward(self, x: Tensor) -> Tensor:
            return self.choice(x)

    replace_layer_choice(model, wrap)
    assert seen[-1] == [LayerChoice, Wrapped, LayerChoice]
    space = ModelSpace(model, torch.ones(1))
    assert space.space.choice("twice.0.choice").options == ("a", "b")


def test_none_leaves_a_module() -> None:
    model = Model()
    pairs = replace_layer_choice(model, lambda choice: nn.Identity() if choice is model.first else None)
    assert [(name, type(made)) for name, made in pairs] == [("op", nn.Identity)]
    assert isinstance(model.twice[0], LayerChoice)
    assert replace_layer_choice(nn.Linear(1, 1), Average) == []


def test_choices_in_a_cell_are_replaced() -> None:
    cell = Cell([Times(2.0), Times(4.0)], 2, label="cell")
    model = ModelSpace(nn.Sequential(cell, LayerChoice([nn.Identity(), Times(0.0)], label="end")), torch.ones(1, 1))
    assert [name for name, _ in replace_layer_choice(cell, Average)] == ["cell/op_1_0", "cell/op_2_0"]
    assert [name for name, _ in replace_input_choice(model, lambda choice: Total())] == ["cell/input_2_0"]
    replaced = ModelSpace(model.module, torch.ones(1, 1))
    # Node 1: 3; node 2: 3 * (1 + 3).
    assert replaced(torch.ones(1, 1), {"end": 0}).tolist() == [[3, 12]]


def test_modules_of_one_label_are_replaced_each() -> None:
    model = nn.Sequential(LayerChoice([nn.ReLU()], label="a"), LayerChoice([nn.Tanh()], label="a"))
    pairs = replace_layer_choice(model, Average)
    assert [name for name, _ in pairs] == ["a", "a"]
    assert pairs[0][1] is not pairs[1][1]


def test_errors_leave_the_model_as_it_is() -> None:
    model = nn.Sequential(LayerChoice([nn.ReLU()], label="a"), LayerChoice([nn.ReLU(), nn.Tanh()], label="a"))
    with pytest.raises(SpaceError, match=r"'a' has \[0\] and \[0, 1\]\. Use another label"):
        replace_layer_choice(model, Average)
    assert all(isinstance(module, LayerChoice) for module in model)
    inputs = nn.Sequential(InputChoice(1, n_chosen=None, label="a"), InputChoice(2, label="a"))
    with pytest.raises(SpaceError, match=r"'a' has \[False, True\] and \[0, 1\]"):
        replace_input_choice(inputs, lambda choice: Total())
    with pytest.raises(SpaceError, match="A LayerChoice can be replaced only within another module; got one as"):
        replace_layer_choice(LayerChoice([nn.ReLU()]), Average)
    with pytest.raises(
        SpaceError, match=r"The replacement of LayerChoice '0' must be a torch\.nn\.Module, or None .* 3"
    ):
        replace_layer_choice(nn.Sequential(LayerChoice([nn.ReLU()])), lambda choice: 3)  # type: ignore[return-value]
