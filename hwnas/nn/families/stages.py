"""Networks of stages in which every block is a choice of layers: what the spaces of ProxylessNAS and FBNet share.

    stem -> stages -> 1x1 -> average pool -> dropout -> classifier

A stage has a width; its first block changes to it and may stride, the others keep the shape. The choice of a block is
called `stage1.block1`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from timm.models._efficientnet_builder import efficientnet_init_weights
from torch import nn

from hwnas.errors import SpaceError
from hwnas.nn.layer_choice import LayerChoice
from hwnas.nn.model_space import ModelSpace

__all__ = ["Activation", "Place", "check_size", "conv_norm", "conv_norm_act", "staged_space", "stem"]

Activation = type[nn.ReLU] | type[nn.ReLU6]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a searched block stands.

    Attributes:
        in_channels: width of its input.
        out_channels: width of its output.
        stride: 1 or 2.
    """

    in_channels: int
    out_channels: int
    stride: int

    @property
    def keeps_shape(self) -> bool:
        """Whether the output has the shape of the input, so that the block can be left out."""
        return self.stride == 1 and self.in_channels == self.out_channels


def check_size(name: str, size: int, *, multiple_of: int = 1) -> None:
    """Refuse a size that is not a positive multiple.

    Raises:
        SpaceError: the message names the option.
    """
    if size < 1 or size % multiple_of:
        rule = f"a positive multiple of {multiple_of}" if multiple_of > 1 else "a whole number of at least 1"
        raise SpaceError(f"{name} must be {rule}; got {size}")


def conv_norm(in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution, padded so that stride 1 keeps the size, and its batch norm."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


def conv_norm_act(
    in_channels: int,
    out_channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: Activation = nn.ReLU,
) -> nn.Sequential:
    """`conv_norm` and an activation."""
    return conv_norm(in_channels, out_channels, kernel, stride=stride, groups=groups).append(activation(inplace=True))


def stem(
    in_channels: int, channels: int, *, stem_stride: Literal[1, 2], activation: Activation = nn.ReLU
) -> nn.Sequential:
    """The 3x3 convolution before the stages.

    Raises:
        SpaceError: an option with a wrong value.
    """
    check_size("in_channels", in_channels)
    check_size("stem_channels", channels, multiple_of=8)
    if stem_stride not in (1, 2):
        raise SpaceError(f"stem_stride must be 1 or 2; got {stem_stride}")
    return conv_norm_act(in_channels, channels, 3, stride=stem_stride, activation=activation)


def staged_space(
    before: nn.Module,
    candidates: Callable[[Place], Mapping[str, nn.Module]],
    *,
    image: tuple[int, int],
    entering_channels: int,
    widths: Sequence[int],
    strides: Sequence[int],
    depths: Sequence[int],
    head_channels: int,
    num_classes: int,
    drop_rate: float,
    activation: Activation = nn.ReLU,
    norm_eps: float = 1e-5,
) -> ModelSpace:
    """Make the space, with fresh weights as timm draws them for EfficientNets.

    Args:
        before: the stem and what else comes before the stages.
        candidates: gives the options of a block; called once a block.
        image: channels of the example image and its side in pixels.
        entering_channels: width of what `before` gives.
        widths: output channels of every stage, multiples of 8.
        strides: stride of the first block of every stage, 1 or 2.
        depths: how many blocks every stage has.
        head_channels: outputs of the 1x1 convolution before pooling.
        num_classes: outputs of the classifier.
        drop_rate: dropout before the classifier.
        activation: of the 1x1 convolution before pooling.
        norm_eps: epsilon of all batch norms.

    Raises:
        SpaceError: an option with a wrong value.
    """
    channels, resolution = image
    check_size("resolution", resolution)
    check_size("head_channels", head_channels)
    check_size("num_classes", num_classes)
    if not len(widths) == len(strides) == len(depths) or not widths:
        raise SpaceError(
            "widths, strides and depths must have one entry for every stage, and there must be a stage; "
            f"got {len(widths)}, {len(strides)} and {len(depths)}"
        )
    if not 0 <= drop_rate < 1:
        raise SpaceError(f"drop_rate must be at least 0 and below 1; got {drop_rate}")
    network = nn.Sequential(OrderedDict(stem=before))
    for s, (width, stride, depth) in enumerate(zip(widths, strides, depths, strict=True), start=1):
        check_size("every width", width, multiple_of=8)
        check_size("every depth", depth)
        if stride not in (1, 2):
            raise SpaceError(f"every stride must be 1 or 2; got {stride}")
        stage = nn.Sequential()
        for b in range(1, depth + 1):
            place = Place(in_channels=entering_channels, out_channels=width, stride=stride if b == 1 else 1)
            stage.append(LayerChoice(candidates(place), label=f"stage{s}.block{b}"))
            entering_channels = width
        network.add_module(f"stage{s}", stage)
    network.add_module("head", conv_norm_act(entering_channels, head_channels, 1, activation=activation))
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten())
    network.add_module("dropout", nn.Dropout(drop_rate))
    network.add_module("classifier", nn.Linear(head_channels, num_classes))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = norm_eps
    efficientnet_init_weights(network)
    return ModelSpace(network, torch.zeros(1, channels, resolution, resolution))
