"""The space of NAS-Bench-201: one small cell, repeated.

Xuanyi Dong, Yi Yang: "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020,
https://arxiv.org/abs/2001.00326.

    stem 3x3 -> cells -> (residual block, stride 2 -> cells) twice -> average pool -> classifier

A cell has four nodes. Node 0 is its input, node 3 its output, and every node is the sum of an operation on each node
before it. These six edges are the choices, `edge_1_0` (to node 1 from node 0) to `edge_3_2`, and the same for all
cells: with five operations 5^6 = 15,625 networks. On 3x32x32 images with 10 classes they have from 73,306 to 1,531,546
parameters and from 7,783,040 to 220,119,680 multiply-accumulates. (The benchmark also counts the additions of the
classifier's bias: 7.78305 and 220.11969 million.)

An architecture string of the benchmark has the nodes 1 to 3, joined by `+`; a node has operations on nodes 0, 1, ...:

    |nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|

What differs from the benchmark: fresh weights are PyTorch's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from types import MappingProxyType

import torch
from torch import Tensor, nn

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.nn.layer_choice import LayerChoice
from hwnas.nn.model_space import ModelSpace
from hwnas.space import Architecture, Option

__all__ = ["NASBench201Space", "nasbench201"]

_NUM_NODES = 4

_EDGES = tuple((node, source) for node in range(1, _NUM_NODES) for source in range(node))
"""Where every edge leads to and where it comes from: (1, 0), (2, 0), (2, 1), ..., in the order of the strings."""


class NASBench201Space(ModelSpace):
    """A `ModelSpace` of `nasbench201`, which also knows its networks as architecture strings."""

    def to_string(self, architecture: Mapping[str, Option]) -> str:
        """The architecture string of one network of the space.

        Raises:
            ArchitectureError: an architecture that the space does not allow.
        """
        chosen = self.space.validate(architecture)
        nodes = [
            "".join(f"|{chosen[_edge_name(node, source)]}~{source}" for source in range(node)) + "|"
            for node in range(1, _NUM_NODES)
        ]
        return "+".join(nodes)

    def from_string(self, string: str) -> Architecture:
        """The architecture that an architecture string describes.

        Raises:
            ArchitectureError: the string is wrong, or has an operation that the space lacks; the message names the
                first node or edge that does not fit, and what would.
        """
        nodes = string.strip().split("+")
        if len(nodes) != _NUM_NODES - 1:
            raise ArchitectureError(
                f"an architecture string has {_NUM_NODES - 1} nodes joined by '+', such as "
                f"'|none~0|+|none~0|none~1|+|none~0|none~1|none~2|'; got {len(nodes)} in {string!r}"
            )
        architecture: dict[str, Option] = {}
        for node, written in enumerate(nodes, start=1):
            if not re.fullmatch(r"(\|[^|~]+~\d+)+\|", written):
                raise ArchitectureError(
                    f"node {node} of the string must be written like '|operation~0|operation~1|'; got {written!r}"
                )
            edges = [edge.split("~") for edge in written.strip("|").split("|")]
            if [source for _, source in edges] != [str(source) for source in range(node)]:
                raise ArchitectureError(
                    f"node {node} of the string must have one operation on each node before it, in the order "
                    f"{', '.join(f'~{source}' for source in range(node))}; got {written!r}"
                )
            for source, (operation, _) in enumerate(edges):
                name = _edge_name(node, source)
                known = self.space.choice(name).options
                if operation not in known:
                    raise ArchitectureError(
                        f"node {node} of the string: unknown operation {operation!r}; the space has "
                        f"{', '.join(map(str, known))}"
                    )
                architecture[name] = operation
        return self.space.validate(architecture)


class _Zero(nn.Module):
    """An edge that is not there."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW * 0.0  # as the benchmark does; a constant would not run on a device, so could not be measured


class _Cell(nn.Module):
    """Four nodes, each the sum of the edges that lead to it."""

    def __init__(self, operations: Sequence[str], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            LayerChoice({name: _OPERATIONS[name](channels) for name in operations}, label=_edge_name(node, source))
            for node, source in _EDGES
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        nodes = [x_BCHW]
        edges = iter(self.edges)
        for _ in range(1, _NUM_NODES):
            nodes.append(reduce(torch.add, [next(edges)(source) for source in nodes]))
        return nodes[-1]


class _ResidualBlock(nn.Module):
    """Halves the resolution: two convolutions, beside a projection of the input."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.conv_a = _convolution(num_in, num_out, 3, stride=2)
        self.conv_b = _convolution(num_out, num_out, 3)
        self.downsample = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(num_in, num_out, 1, bias=False))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return torch.add(self.downsample(x_BCHW), self.conv_b(self.conv_a(x_BCHW)))


def _convolution(num_in: int, num_out: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    """ReLU, convolution, batch norm."""
    convolution = nn.Conv2d(num_in, num_out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(num_out))


_OPERATIONS: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {
        "none": lambda channels: _Zero(),
        "skip_connect": lambda channels: nn.Identity(),
        "nor_conv_1x1": lambda channels: _convolution(channels, channels, 1),
        "nor_conv_3x3": lambda channels: _convolution(channels, channels, 3),
        "avg_pool_3x3": lambda channels: nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
    }
)
"""The operations by the benchmark's names; each from the width to a module."""


def nasbench201(
    *,
    resolution: int = 32,
    in_channels: int = 3,
    num_classes: int = 10,
    widths: Sequence[int] = (16, 32, 64),
    num_cells: int = 5,
    operations: Sequence[str] = tuple(_OPERATIONS),
) -> NASBench201Space:
    """Make the space; the defaults are the published one for CIFAR-10.

    The benchmark's other data sets have 100 classes (CIFAR-100), and 120 classes at resolution 16 (ImageNet16-120).

    Args:
        resolution: side of the square example image, in pixels; every stage but the first halves it.
        in_channels: channels of the image.
        num_classes: outputs of the classifier.
        widths: channels of every stage.
        num_cells: how many cells a stage has.
        operations: what an edge may be, by the benchmark's names.

    Raises:
        SpaceError: an option with a wrong value.
    """
    sizes = {"resolution": resolution, "in_channels": in_channels, "num_classes": num_classes}
    sizes |= {"num_cells": num_cells, "every width": min(widths, default=0)}
    for name, size in sizes.items():
        if size < 1:
            raise SpaceError(f"{name} must be at least 1; got {size}")
    if resolution % 2 ** (len(widths) - 1):
        raise SpaceError(
            f"resolution must be a multiple of {2 ** (len(widths) - 1)}, since {len(widths) - 1} residual blocks halve "
            f"it; got {resolution}"
        )
    if not operations or not set(operations) <= set(_OPERATIONS) or len(set(operations)) < len(operations):
        raise SpaceError(
            f"operations must be different ones of {', '.join(_OPERATIONS)}, at least one; got {list(operations)}"
        )

    stem = nn.Sequential(nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]))
    layers: list[nn.Module] = []
    for before, width in zip([None, *widths], widths, strict=False):
        if before is not None:
            layers.append(_ResidualBlock(before, width))
        layers += [_Cell(operations, width) for _ in range(num_cells)]
    head = [nn.BatchNorm2d(widths[-1]), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    network = nn.Sequential(stem, *layers, *head, nn.Linear(widths[-1], num_classes))
    return NASBench201Space(network, torch.zeros(1, in_channels, resolution, resolution))


def _edge_name(node: int, source: int) -> str:
    return f"edge_{node}_{source}"
