"""The space of DARTS: a normal and a reduction cell, whose nodes choose two of their inputs and an operation on each.

Hanxiao Liu, Karen Simonyan, Yiming Yang: "DARTS: Differentiable Architecture Search", ICLR 2019,
https://arxiv.org/abs/1806.09055; the space is in sections 2.1 and 3.1.1.

    stem 3x3 -> cells, those at 1/3 and 2/3 with stride 2 and twice the channels -> average pool -> classifier

A cell brings the outputs of the two cells before it to its own channels: they are its nodes 0 and 1. Each of its nodes
2, 3, ... is the sum of operations on two of the nodes before, and its output is the concatenation of these nodes. All
normal cells are alike, and both reduction cells. Of node 4, `normal/inputs_4` says from which two nodes it comes, say
(0, 3), and `normal/op_4_3` the operation on node 3, which matters only where node 3 is among them. With the defaults
these are (C(2,2) C(3,2) C(4,2) C(5,2) * 7^8)^2 = 1,037,664,180^2 networks. Names and options do not depend on the
number of cells or channels: an architecture found with 8 cells is one of the space with 20 as well.

What differs. `none` is no option here, since the paper never derives it; it is a logit of the strategy's. The paper's
networks for the final training are made anew, with `affine` batch norms; a network frozen from the space of the search
keeps the batch norms of the search, those after pooling as well. Images must be halved twice without a rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from timm.layers import DropPath
from torch import Tensor, nn

from hwnas.errors import SpaceError
from hwnas.nn.families.darts_operations import OPERATIONS, FactorizedReduce, operation, relu_conv_norm
from hwnas.nn.layer_choice import LayerChoice
from hwnas.nn.model_space import ModelSpace
from hwnas.nn.node import Node

__all__ = ["DartsNetwork", "darts"]


def darts(
    *,
    resolution: int = 32,
    in_channels: int = 3,
    num_classes: int = 10,
    channels: int = 16,
    num_cells: int = 8,
    num_nodes: int = 4,
    operations: Sequence[str] = tuple(OPERATIONS),
    affine: bool = False,
    drop_path_rate: float = 0.0,
) -> ModelSpace:
    """Make the space; the defaults are those of the search.

    The published networks have 20 cells, 36 channels and `affine`; see `DARTS_NETWORKS`.

    Args:
        resolution: side of the square example image, in pixels; a multiple of 4, at least 8.
        in_channels: channels of the image.
        num_classes: outputs of the classifier.
        channels: of a node in the first cells; the stem has three times as many.
        num_cells: at least 3: a normal one and two reductions.
        num_nodes: of a cell, without its two inputs.
        operations: to choose from.
        affine: whether batch norms in cells learn a scale and a shift, as in the final training. Without, as in the
            search, pooling is followed by a batch norm as well.
        drop_path_rate: see `DartsNetwork.set_drop_path_rate`.

    Raises:
        SpaceError: an option with a wrong value.
    """
    if resolution < 8 or resolution % 4:
        raise SpaceError(f"resolution must be a multiple of 4, at least 8, to be halved twice; got {resolution}")
    if num_cells < 3:
        raise SpaceError(f"num_cells must be at least 3, for a normal cell and two reductions; got {num_cells}")
    sizes = {"in_channels": in_channels, "num_classes": num_classes, "channels": channels, "num_nodes": num_nodes}
    for name, size in sizes.items():
        if size < 1:
            raise SpaceError(f"{name} must be at least 1; got {size}")
    if not operations or not set(operations) <= set(OPERATIONS) or len(set(operations)) < len(operations):
        raise SpaceError(f"operations must be different ones of {', '.join(OPERATIONS)}; got {list(operations)}")
    network = DartsNetwork(
        in_channels=in_channels,
        num_classes=num_classes,
        channels=channels,
        num_cells=num_cells,
        num_nodes=num_nodes,
        operations=operations,
        affine=affine,
    )
    network.set_drop_path_rate(drop_path_rate)
    return ModelSpace(network, torch.zeros(1, in_channels, resolution, resolution))


class DartsNetwork(nn.Module):
    """The supernet, and what it is frozen to."""

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        channels: int,
        num_cells: int,
        num_nodes: int,
        operations: Sequence[str],
        affine: bool,
    ) -> None:
        """See `darts`."""
        super().__init__()
        before = last = 3 * channels
        self.stem = nn.Sequential(nn.Conv2d(in_channels, last, 3, padding=1, bias=False), nn.BatchNorm2d(last))
        self.cells = nn.ModuleList()
        self.reductions = (num_cells // 3, 2 * num_cells // 3)
        for position in range(num_cells):
            reduces = position in self.reductions
            channels *= 2 if reduces else 1
            cell = _Cell(
                before,
                last,
                channels,
                num_nodes=num_nodes,
                operations=operations,
                reduces=reduces,
                after_reduction=position - 1 in self.reductions,
                affine=affine,
            )
            self.cells.append(cell)
            before, last = last, num_nodes * channels
        self.auxiliary_channels = last  # those of the second reduction, after which they stay
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(last, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, shape (batch, num_classes), of images."""
        return self.classify(self.features(x)[0])

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs of the last cell and of the second reduction, both of a quarter of the image's resolution."""
        before = last = middle = self.stem(x)
        for position, cell in enumerate(self.cells):
            before, last = last, cell(before, last)
            if position == self.reductions[1]:
                middle = last
        return last, middle

    def classify(self, features: Tensor) -> Tensor:
        """Logits of the features of the last cell."""
        logits: Tensor = self.classifier(self.pool(features).flatten(1))
        return logits

    def set_drop_path_rate(self, rate: float) -> None:
        """Set how often a path, but an identity, is dropped for an image in training.

        The paper lets it grow from 0 to 0.2: `rate * epoch / num_epochs` at the beginning of every epoch.

        Raises:
            SpaceError: a rate that is not from 0 to below 1.
        """
        if not 0 <= rate < 1:
            raise SpaceError(f"The rate of drop path must be from 0 to below 1; got {rate}.")
        for module in self.modules():
            if isinstance(module, DropPath):
                module.drop_prob = rate


class _Cell(nn.Module):
    def __init__(
        self,
        before_channels: int,
        last_channels: int,
        channels: int,
        *,
        num_nodes: int,
        operations: Sequence[str],
        reduces: bool,
        after_reduction: bool,
        affine: bool,
    ) -> None:
        super().__init__()
        kind = "reduce" if reduces else "normal"
        self.before: nn.Module
        if after_reduction:
            self.before = FactorizedReduce(before_channels, channels, affine=affine)
        else:
            self.before = relu_conv_norm(before_channels, channels, affine=affine)
        self.last = relu_conv_norm(last_channels, channels, affine=affine)
        self.nodes = nn.ModuleList()
        for node in range(2, 2 + num_nodes):
            edges = []
            for source in range(node):
                stride = 2 if reduces and source < 2 else 1
                candidates = {name: operation(name, channels, stride=stride, affine=affine) for name in operations}
                edges.append(LayerChoice(candidates, label=f"{kind}/op_{node}_{source}"))
            self.nodes.append(Node(edges, 2, label=f"{kind}/inputs_{node}"))

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        states = [self.before(before), self.last(last)]
        for node in self.nodes:
            states.append(node(states))
        return torch.cat(states[2:], 1)
