"""Blocks: what is measured by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from hwnas.cost import guarded_sum
from hwnas.nn import LayerChoice, ModelSpace, Repeat, count
from hwnas.nn.families.mobilenet_v3 import mobilenet_v3
from hwnas.nn.recorder import spec_of
from tests.nn.odd_models import ODD_MODELS


class Attention(nn.Module):
    """Operators between modules: a parameter, several inputs, a view at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(2, 4))
        self.q = LayerChoice([nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.ReLU())])
        self.k = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        q, k = self.q(x), self.k(x)
        weights = torch.softmax(q @ (k * self.scale.t()[:, 0]).transpose(1, 2) / 2, -1)
        first, second = (weights @ x + torch.arange(4)).split(2, -1)
        return (first * second).transpose(1, 2)


def by_module(space: ModelSpace) -> dict[str, Any]:
    return {traced.block.module: traced for traced in space.blocks()}


def test_mobilenet_v3_has_120_blocks_and_a_fixed_part() -> None:
    space = mobilenet_v3(resolution=64)
    blocks = space.blocks()
    assert len(blocks) == 242
    assert len({traced.block.key for traced in blocks if traced.block.of_choice}) == 120
    fixed = [traced for traced in blocks if not traced.block.of_choice]
    assert [traced.block.module for traced in fixed] == [
        "conv_stem + bn1 + blocks.0",
        "blocks.6 + global_pool + conv_head + act2 + flatten + classifier",
    ]
    for traced in {traced.block.key: traced for traced in blocks}.values():
        with torch.no_grad():
            assert spec_of(traced.module(*traced.example_inputs)) == traced.block.outputs[0]
    guards = {traced.block.guard.choices for traced in blocks if traced.block.of_choice}
    assert guards == {(choice.name,) for choice in space.space.choices if "block" in choice.name}


@pytest.mark.parametrize("name", ODD_MODELS)
def test_blocks_are_plain_modules_whose_macs_add_up(name: str) -> None:
    torch.manual_seed(0)
    space = ModelSpace(*ODD_MODELS[name]())
    blocks = space.blocks()
    total = guarded_sum(space.space, ((t.block.guard, count(t.module, t.example_inputs).macs) for t in blocks))
    for architecture in (space.space.sample(np.random.default_rng(seed)) for seed in range(4)):
        assert total.value(architecture) == count(space.freeze(architecture), space.example_inputs).macs
    for traced in blocks:
        assert not traced.module.training
        assert "hwnas" not in type(traced.module).__module__ or not hasattr(traced.module, "slots")
        assert tuple(map(spec_of, traced.example_inputs)) == traced.block.inputs
        with torch.no_grad():
            found = pytree.tree_leaves(traced.module(*traced.example_inputs))
        assert [spec_of(leaf) for leaf in found if isinstance(leaf, Tensor)][: len(traced.block.outputs)] == list(
            traced.block.outputs
        )


def test_operators_between_modules_compute_what_the_model_computes() -> None:
    model, x = Attention(), torch.randn(3, 4, 4)
    space = ModelSpace(model, x)
    blocks = by_module(space)
    assert list(blocks) == ["q.0", "q.1", "k", "mul-bmm-...-mul"]
    loose = blocks["mul-bmm-...-mul"]
    frozen: Any = space.freeze({"q": 1})
    with torch.no_grad():
        given = {"q": frozen.q(x), "k": frozen.k(x), "x": x}
        order = [given[name] for name in ("k", "q", "x")]
        assert torch.allclose(loose.module(*order), frozen(x), atol=1e-6)


def test_chains_of_fixed_modules_are_joined_while_nothing_else_looks() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.act = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(inplace=True)
            self.skip, self.body = nn.Conv2d(2, 2, 1), LayerChoice([nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 3, padding=1)])
            self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.act(self.norm(self.conv(x)))
            x = self.skip(x) + self.body(x)
            return self.fc(self.pool(x).flatten(1))

    space = ModelSpace(Net(), torch.randn(1, 1, 4, 4))
    names = [traced.block.module for traced in space.blocks()]
    assert names == ["conv + norm + act", "skip", "body.0", "body.1", "add", "pool + view + fc"]
    stem = space.blocks()[0]
    with torch.no_grad():
        net: Any = space.module.eval()
        assert torch.equal(stem.module(*stem.example_inputs), net.act(net.norm(net.conv(*stem.example_inputs))))


def test_equal_blocks_have_one_key_whatever_their_weights_and_names() -> None:
    model = nn.Sequential(
        Repeat(lambda i: LayerChoice([nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 1), nn.Identity()]), (1, 3)),
        nn.Sequential(nn.Conv2d(2, 2, 1)),
    )
    blocks = ModelSpace(model, torch.zeros(1, 2, 5, 5)).trace().blocks
    assert len(blocks) == 7  # nothing is measured for an identity
    assert len({block.key for block in blocks}) == 2
    other = ModelSpace(model, torch.zeros(1, 2, 6, 5)).trace().blocks
    assert not {block.key for block in blocks} & {block.key for block in other}
    assert [block.guard for block in blocks] == [block.guard for block in other]


def test_example_inputs_of_the_network_are_used_as_given() -> None:
    tokens = torch.tensor([[1, 5, 2]])
    model = nn.Sequential(nn.Embedding(10, 4), LayerChoice([nn.Linear(4, 4), nn.Identity()]))
    first = ModelSpace(model, tokens).blocks()[0]
    assert torch.equal(first.example_inputs[0], tokens)
