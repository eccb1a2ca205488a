"""Models as users write them, with choices; each is a factory of a module and its example inputs.

`from tests.nn.odd_models import ODD_MODELS` in a test folder that has an `__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwnas.nn import (
    Cell,
    ElasticAttention,
    ElasticBatchNorm2d,
    ElasticConv1d,
    ElasticConv2d,
    ElasticLayerNorm,
    ElasticLinear,
    InputChoice,
    Inputs,
    LayerChoice,
    Node,
    Repeat,
)
from hwnas.space import Choice

__all__ = ["ODD_MODELS"]

Model = tuple[nn.Module, Inputs]


class _ResidualFunctional(nn.Module):
    """A residual branch, and functional calls between the layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.branch = LayerChoice(
            {"conv3": nn.Conv2d(8, 8, 3, padding=1), "conv5": nn.Conv2d(8, 8, 5, padding=2), "skip": nn.Identity()}
        )
        self.norm = nn.BatchNorm2d(8)
        self.head = LayerChoice([nn.Linear(8, 5), nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 5))])

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        x = functional.max_pool2d(x + self.norm(self.branch(x)), 2)
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class _TwoInputs(nn.Module):
    """An image and a vector, joined by a choice of inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.image = LayerChoice([nn.Linear(48, 8), nn.Sequential(nn.Linear(48, 4), nn.Linear(4, 8))])
        self.vector = nn.Linear(6, 8)
        self.joined = InputChoice(3, n_chosen=2, reduction="mean")
        self.any = InputChoice(3, n_chosen=None, label="any")

    def forward(self, image: Tensor, vector: Tensor) -> Tensor:
        a, b = self.image(image.flatten(1)), torch.tanh(self.vector(vector))
        return self.joined([a, b, a * b]) - self.any([a, b, a + b])


class _SharedLabel(nn.Module):
    """One decision for two layers of different sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = LayerChoice([nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3, dilation=1, bias=False)], label="op")
        self.middle = nn.ModuleList([LayerChoice([nn.ReLU(), nn.GELU(), nn.Identity()]) for _ in range(2)])
        self.second = LayerChoice([nn.Conv2d(4, 2, 3), nn.Conv2d(4, 2, 3, bias=False)], label="op")

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for activation in self.middle:
            x = activation(x)
        return self.second(x)


class _Conv1d(nn.Module):
    """A signal instead of an image."""

    def __init__(self) -> None:
        super().__init__()
        width = Choice("width", (4, 8, 12))
        self.layers = nn.Sequential(
            ElasticConv1d(2, width, [3, 5, 9], padding="same"),
            nn.ReLU(),
            ElasticConv1d(width, width, [3, 7], padding="same", groups="depthwise", dilation=[1, 2]),
            ElasticConv1d(width, [4, 8], 1, groups=[1, 2, 4]),
        )
        self.pool = LayerChoice({"average": nn.AdaptiveAvgPool1d(1), "max": nn.AdaptiveMaxPool1d(1)})

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.layers(x)).flatten(1)


class _Attention(nn.Module):
    """An attention layer written by hand, with an elastic number of heads of width 4."""

    def __init__(self) -> None:
        super().__init__()
        heads = Choice("heads", (1, 2, 4)).map(lambda num: 4 * num)
        self.norm = nn.LayerNorm(16)
        self.q, self.k, self.v = (ElasticLinear(16, heads, bias=False) for _ in range(3))
        self.out = ElasticLinear(heads, 16)
        self.mixer = LayerChoice({"mlp": nn.Linear(16, 16), "attention": ElasticAttention(16, [2, 4], head_dim=4)})

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        q, k, v = (layer(y).unflatten(-1, (-1, 4)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        weights = torch.softmax(q @ k.transpose(-2, -1) / 2, dim=-1)
        x = x + self.out((weights @ v).transpose(1, 2).flatten(2))
        return x + self.mixer(x)


class _Fourier(nn.Module):
    """A Fourier transform between the choices."""

    def __init__(self) -> None:
        super().__init__()
        self.before = LayerChoice([nn.Conv2d(1, 4, 1), nn.Conv2d(1, 4, 3, padding=1)])
        self.filter = nn.Parameter(torch.randn(4, 8, 5))
        self.after = LayerChoice({"linear": nn.Linear(8, 3), "mlp": nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 3))})

    def forward(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft2(self.before(x))
        return self.after(torch.fft.irfft2(spectrum * self.filter, s=x.shape[-2:]))


class _DataDependent(nn.Module):
    """Control flow that depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.light = LayerChoice([nn.Linear(6, 6), nn.Identity()])
        self.dark = LayerChoice([nn.Linear(6, 6), nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 6))])
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.light(x) if x.mean() > 0 else self.dark(x)
        return self.head(x)


class _SharedWidths(nn.Module):
    """One width for convolution, batch norm and, flattened, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        width = Choice("width", (4, 6, 8))
        hidden = Choice("hidden", (8, 16))
        self.conv = ElasticConv2d(3, width, [1, 3], padding="same", bias=False)
        self.norm = ElasticBatchNorm2d(width)
        self.depthwise = ElasticConv2d(width, width, [3, 5], padding="same", groups="depthwise", stride=2)
        self.fc = ElasticLinear(width.map(lambda channels: channels * 16), hidden)
        self.layer_norm = ElasticLayerNorm(hidden)
        self.head = ElasticLinear(hidden, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.hardswish(self.norm(self.conv(x)))
        x = self.fc(self.depthwise(x).flatten(1))
        return self.head(self.layer_norm(x))


def _block(position: int) -> nn.Module:
    return nn.Sequential(
        LayerChoice(
            {
                "conv": nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)),
                "deep": Repeat(nn.Sequential(nn.Conv2d(4, 4, 1), LayerChoice([nn.ReLU(), nn.Tanh()])), (0, 2)),
            }
        ),
        LayerChoice([nn.ReLU(), nn.SiLU()], label="activation"),
    )


class _Nested(nn.Module):
    """Choices within candidates, within repeated blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3)
        self.body = Repeat(_block, (1, 3), label="depth")
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.stem(x)).mean((2, 3)))


class _KeywordsAndTwice(nn.Module):
    """Keyword inputs, one module at two places, tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 8)
        self.layer = LayerChoice([nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 8), nn.Sigmoid())])
        self.again = nn.ModuleDict({"same": self.layer})
        self.unembed = LayerChoice({"tied": nn.Linear(8, 10, bias=False), "free": nn.Linear(8, 10)})
        self.unembed.get_submodule("tied").weight = self.embed.weight

    def forward(self, *, tokens: Tensor, scale: Tensor) -> dict[str, Tensor]:
        x = self.layer(self.embed(tokens)) * scale
        return {"logits": self.unembed(self.again["same"](x)), "features": x}


def _candidates(node: int, position: int) -> dict[str, nn.Module]:
    return {"conv": nn.Conv2d(4, 4, 3, padding=1), "pool": nn.AvgPool2d(3, 1, 1), "skip": nn.Identity()}


class _Merge(nn.Module):
    """What comes after a cell: the mean over its nodes, and the first predecessor."""

    def forward(self, merged: Tensor, predecessors: list[Tensor]) -> Tensor:
        return merged.unflatten(1, (-1, 4)).mean(1) + predecessors[0]


class _Cells(nn.Module):
    """Two cells that are alike, and one with loose ends."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.cells = nn.ModuleList(
            Cell(_candidates, 2, num_ops_per_node=2, num_predecessors=2, postprocessor=_Merge(), label="cell")
            for _ in range(2)
        )
        self.loose = Cell([nn.ReLU(), nn.Conv2d(4, 4, 1)], 3, merge="loose_end", postprocessor=_Merge())

    def forward(self, x: Tensor) -> Tensor:
        before = last = self.stem(x)
        for cell in self.cells:
            before, last = last, cell(before, last)
        return self.loose(last)


class _Nodes(nn.Module):
    """Two cells that are alike, of nodes that sum two of their edges; one of the edges has no choice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.cells = nn.ModuleList(nn.ModuleList(self.node(num) for num in (2, 3)) for _ in range(2))

    def node(self, num: int) -> Node:
        edges = [LayerChoice(_candidates(num, i), label=f"op_{num}_{i}") for i in range(num - 1)]
        return Node([*edges, nn.Sequential(nn.Tanh(), nn.Conv2d(4, 4, 1))], 2, label=f"inputs_{num}")

    def forward(self, x: Tensor) -> Tensor:
        before = last = self.stem(x)
        for nodes in self.cells:
            states = [before, last]
            for node in nodes:
                states.append(node(states))
            before, last = last, states[2] - states[3]
        return last


ODD_MODELS: dict[str, Callable[[], Model]] = {
    "residual_functional": lambda: (_ResidualFunctional(), torch.randn(2, 3, 8, 8)),
    "two_inputs": lambda: (_TwoInputs(), (torch.randn(3, 3, 4, 4), torch.randn(3, 6))),
    "shared_label": lambda: (_SharedLabel(), torch.randn(2, 1, 9, 9)),
    "conv1d": lambda: (_Conv1d(), torch.randn(2, 2, 20)),
    "attention": lambda: (_Attention(), torch.randn(2, 5, 16)),
    "fourier": lambda: (_Fourier(), torch.randn(2, 1, 8, 8)),
    "data_dependent": lambda: (_DataDependent(), torch.randn(4, 6)),
    "shared_widths": lambda: (_SharedWidths(), torch.randn(2, 3, 8, 8)),
    "nested": lambda: (_Nested(), torch.randn(2, 1, 8, 8)),
    "keywords_and_twice": lambda: (
        _KeywordsAndTwice(),
        {"tokens": torch.randint(10, (2, 5)), "scale": torch.rand(2, 5, 8)},
    ),
    "nodes": lambda: (_Nodes(), torch.randn(2, 3, 6, 6)),
    "cells": lambda: (_Cells(), torch.randn(2, 3, 6, 6)),
}
"""By name: a factory of (module, example inputs), with random weights and inputs."""
