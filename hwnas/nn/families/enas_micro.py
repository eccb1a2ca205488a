"""The micro space of ENAS: a normal and a reduction cell, whose nodes add two operations on any states before them.

Hieu Pham, Melody Guan, Barret Zoph, Quoc Le, Jeff Dean: "Efficient Neural Architecture Search via Parameter Sharing",
ICML 2018, https://arxiv.org/abs/1802.03268; the space is in section 2.4 and figure 5.

    stem 3x3 -> six normal cells, with a reduction cell after two of them and after four -> average pool -> classifier

States 0 and 1 of a cell are its inputs, the outputs of the two cells before, brought to one size. Each of its nodes
2 to 6 is the sum of two operations on states before it, which may be the same: of the first of node 4,
`normal/input_4_0` says on which state it works and `normal/op_4_0` which it is. All normal cells are alike, and both
reduction cells. With the defaults these are ((2*3*4*5*6)^2 * 5^10)^2 = 2.6e25 architectures. (The paper's 1.3e11 is
(5 * 5!)^4, which counts neither the operations of every node nor all of its inputs.)

A cell's output is a ReLU, a 1x1 convolution and a batch norm of the nodes that no other node takes, concatenated; it is
computed as the sum of a 1x1 convolution of each. The option `merge="all"` concatenates all nodes instead, so that the
space can be searched by strategies that mix options.

What differs. As in the search of the program published with the paper, a reduction halves its inputs before its first
node; in its final training the operations on them have stride 2, and loose ends go to the next cell as they are. Where
the program has weights of a convolution for every input that it may take, they are shared here by all of them. An input
of a cell that no node takes is no part of its output, as it is in the program. Batch norms keep running statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from hwnas.errors import SpaceError
from hwnas.nn.families.darts_operations import OPERATIONS, FactorizedReduce, relu_conv_norm
from hwnas.nn.input_choice import InputChoice
from hwnas.nn.layer_choice import LayerChoice
from hwnas.nn.loose_ends import LooseEnds
from hwnas.nn.model_space import ModelSpace

__all__ = ["EnasMicroNetwork", "enas_micro"]

_Merge: TypeAlias = Literal["loose_end", "all"]


def enas_micro(
    *,
    resolution: int = 32,
    in_channels: int = 3,
    num_classes: int = 10,
    channels: int = 20,
    num_cells: int = 6,
    num_nodes: int = 5,
    merge: Literal["loose_end", "all"] = "loose_end",
    affine: bool = True,
    dropout: float = 0.1,
) -> ModelSpace:
    """Make the space; the defaults are those of the search.

    Args:
        resolution: side of the square example image, in pixels; a multiple of 4, at least 8.
        in_channels: channels of the image.
        num_classes: outputs of the classifier.
        channels: of a cell before the first reduction, each of which doubles them; the stem has three times as many.
        num_cells: normal cells, at least 3; a reduction comes after a third and after two thirds of them, rounded down.
        num_nodes: of a cell, without its two inputs.
        merge: which nodes are a cell's output: those that no other node takes, or all.
        affine: whether batch norms learn a scale and a shift, as they do in the published program. Without, pooling is
            followed by a batch norm as well, as in `darts`.
        dropout: how often an input of the classifier is dropped in training.

    Raises:
        SpaceError: an option with a wrong value.
    """
    if resolution < 8 or resolution % 4:
        raise SpaceError(f"resolution must be a multiple of 4, at least 8, to be halved twice; got {resolution}")
    if num_cells < 3:
        raise SpaceError(f"num_cells must be at least 3, for one before each reduction and one after; got {num_cells}")
    sizes = {"in_channels": in_channels, "num_classes": num_classes, "channels": channels, "num_nodes": num_nodes}
    for name, size in sizes.items():
        if size < 1:
            raise SpaceError(f"{name} must be at least 1; got {size}")
    if merge not in get_args(_Merge):
        raise SpaceError(f"merge must be one of {', '.join(get_args(_Merge))}; got {merge!r}")
    if not 0 <= dropout < 1:
        raise SpaceError(f"dropout must be from 0 to below 1; got {dropout}")

    third = num_cells // 3
    kinds = ["normal"] * third + ["reduce"] + ["normal"] * third + ["reduce"] + ["normal"] * (num_cells - 2 * third)
    network = EnasMicroNetwork(
        kinds, in_channels, num_classes, channels, num_nodes=num_nodes, merge=merge, affine=affine, dropout=dropout
    )
    return ModelSpace(network, torch.zeros(1, in_channels, resolution, resolution))


class EnasMicroNetwork(nn.Module):
    """The supernet, and what it is frozen to."""

    def __init__(
        self,
        kinds: list[str],
        in_channels: int,
        num_classes: int,
        channels: int,
        *,
        num_nodes: int,
        merge: _Merge,
        affine: bool,
        dropout: float,
    ) -> None:
        """See `enas_micro`."""
        super().__init__()
        before = last = 3 * channels
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, last, 3, padding=1, bias=False), nn.BatchNorm2d(last, affine=affine)
        )
        self.cells = nn.ModuleList()
        for kind in kinds:
            channels *= 2 if kind == "reduce" else 1
            cell = _Cell(kind, before, last, channels, num_nodes=num_nodes, merge=merge, affine=affine)
            self.cells.append(cell)
            before, last = channels if kind == "reduce" else last, channels
        self.head = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout))
        self.classifier = nn.Linear(last, num_classes)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits, shape (batch, num_classes), of images."""
        before = last = self.stem(x_BCHW)
        for cell in self.cells:
            before, last = cell(before, last)
        logits: Tensor = self.classifier(self.head(last))
        return logits


class _Cell(nn.Module):
    def __init__(
        self,
        kind: str,
        before_channels: int,
        last_channels: int,
        channels: int,
        *,
        num_nodes: int,
        merge: _Merge,
        affine: bool,
    ) -> None:
        super().__init__()
        self.halve: nn.Module = nn.Identity()
        self.before: nn.Module = nn.Identity()
        self.last: nn.Module = nn.Identity()
        if kind == "reduce":
            self.halve = FactorizedReduce(last_channels, channels, affine=affine, relu=False)
            self.before = FactorizedReduce(last_channels, channels, affine=affine)
        else:
            if before_channels != channels:
                self.before = relu_conv_norm(before_channels, channels, affine=affine)
            if last_channels != channels:
                self.last = relu_conv_norm(last_channels, channels, affine=affine)
        self.reduces = kind == "reduce"
        nodes = range(2, 2 + num_nodes)
        self.nodes = nn.ModuleList(_Node(kind, node, channels, affine=affine) for node in nodes)
        self.output = _output(kind, channels, num_nodes, merge)
        self.norm = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, before: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Its second input, in the size that the cell has, and its output."""
        if self.reduces:
            before, last = last, self.halve(last)
        states = [self.before(before), self.last(last)]
        for node in self.nodes:
            states.append(node(states))
        return last, self.norm(self.output(states[2:]))


class _Node(nn.Module):
    """The sum of two operations, each on a state of its own choice."""

    def __init__(self, kind: str, node: int, channels: int, *, affine: bool) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(InputChoice(node, label=_input(kind, node, k)) for k in (0, 1))
        self.operations = nn.ModuleList(
            LayerChoice(
                {name: make(channels, affine) for name, make in _OPERATIONS.items()}, label=f"{kind}/op_{node}_{k}"
            )
            for k in (0, 1)
        )

    def forward(self, states: list[Tensor]) -> Tensor:
        pairs = zip(self.inputs, self.operations, strict=True)
        outputs: list[Tensor] = [operation(choose(states)) for choose, operation in pairs]
        return reduce(torch.add, outputs)


class _AllEnds(nn.Module):
    """A 1x1 convolution of all nodes."""

    def __init__(self, channels: int, num_nodes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(num_nodes * channels, channels, 1, bias=False)

    def forward(self, nodes: list[Tensor]) -> Tensor:
        y: Tensor = self.convolution(torch.cat(nodes, 1).relu())
        return y


def _output(kind: str, channels: int, num_nodes: int, merge: _Merge) -> nn.Module:
    if merge == "all":
        return _AllEnds(channels, num_nodes)
    ends = [nn.Sequential(nn.ReLU(), nn.Conv2d(channels, channels, 1, bias=False)) for _ in range(num_nodes)]
    inputs = {_input(kind, node, k): node for node in range(3, 2 + num_nodes) for k in (0, 1)}  # node 2 takes none
    return LooseEnds(ends, first=2, inputs=inputs)


def _input(kind: str, node: int, operation: int) -> str:
    return f"{kind}/input_{node}_{operation}"


def _from_darts(name: str) -> Callable[[int, bool], nn.Module]:
    return lambda channels, affine: nn.Sequential(*OPERATIONS[name](channels, 1, affine))


_OPERATIONS: Mapping[str, Callable[[int, bool], nn.Module]] = MappingProxyType(
    {
        **{name: _from_darts(name) for name in ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")},
        "identity": lambda channels, affine: nn.Identity(),
    }
)
"""In the order of the published program, from (channels, affine) to modules; four of them are DARTS's as well."""
