"""The blocks of `pfld`: what its five layers choose from, and what its fixed parts are made of.

The inverted residual and the separable convolution are those of Mark Sandler et al.: "MobileNetV2: Inverted Residuals
and Linear Bottlenecks", CVPR 2018, https://arxiv.org/abs/1801.04381, and of MobileNetV1. Others are named below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor, nn

from hwnas.nn.families.stages import Place, conv_norm, conv_norm_act

__all__ = ["BLOCKS", "Attention", "Ghost", "MobileBlock", "PeleeStem", "SizedPlace", "separable"]


@dataclass(frozen=True, kw_only=True)
class SizedPlace(Place):
    """Where a block stands, and how large its features are there.

    Attributes:
        side: of its output, in pixels.
    """

    side: int


class PeleeStem(nn.Module):
    """A stem of two branches, which takes images to a quarter of their side.

    Robert J. Wang, Xiang Li, Charles X. Ling: "Pelee: A Real-Time Object Detection System on Mobile Devices", NeurIPS
    2018, https://arxiv.org/abs/1804.06882, figure 2. Instead of a 3x3 convolution with stride 2, a branch ends in a
    separable one of kernel 1, and it is as wide as the stem.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        """See the class.

        Args:
            in_channels: of the images.
            channels: of both outputs.
        """
        super().__init__()
        self.halve = conv_norm_act(in_channels, channels, 3, stride=2)
        self.branch = nn.Sequential(
            conv_norm_act(channels, channels, 1), *separable(channels, channels, kernel=1, stride=2)
        )
        self.pool = nn.MaxPool2d(2)
        self.join = conv_norm_act(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features at half and at a quarter of the images' side, both (batch, channels, ., .)."""
        half = self.halve(x)
        return half, self.join(torch.cat([self.branch(half), self.pool(half)], 1))


class Attention(nn.Module):
    """A factor for every channel, from all the channels' means, whose weights are learned pixel by pixel.

    Youngwan Lee, Jongyoul Park: "CenterMask: Real-Time Anchor-Free Instance Segmentation", CVPR 2020,
    https://arxiv.org/abs/1911.06667, section 3.3: effective squeeze-excitation, with one full-width layer. The mean is
    a depthwise convolution as large as the features here, which mobile processors run faster.
    """

    def __init__(self, channels: int, *, side: int) -> None:
        """See the class.

        Args:
            channels: of the features.
            side: of the features, in pixels.
        """
        super().__init__()
        self.pool = nn.Conv2d(channels, channels, side, groups=channels, bias=False)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Features of shape (batch, channels, side, side), scaled."""
        factors: Tensor = self.gate(self.mix(self.pool(x)))
        return x * factors


class MobileBlock(nn.Module):
    """An inverted residual, with attention before the second activation; it adds its input where the shape stays.

    The convolution that expands is there at ratio 1 too.
    """

    def __init__(
        self, place: SizedPlace, *, kernel: int, inner: int, dilation: int = 1, attention: bool = False
    ) -> None:
        """See the class.

        Args:
            place: where it stands.
            kernel: side of the depthwise kernel, odd.
            inner: width of the depthwise convolution.
            dilation: of the depthwise convolution.
            attention: whether channels are weighted.
        """
        super().__init__()
        padding = dilation * (kernel // 2)
        self.expand = conv_norm_act(place.in_channels, inner, 1)
        self.depthwise = nn.Sequential(
            nn.Conv2d(inner, inner, kernel, place.stride, padding, dilation=dilation, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
        )
        self.attention = Attention(inner, side=place.side) if attention else nn.Identity()
        self.activation = nn.ReLU(inplace=True)
        self.project = conv_norm(inner, place.out_channels, 1)
        self.is_residual = place.keeps_shape

    def forward(self, x: Tensor) -> Tensor:
        """Features of shape (batch, in_channels, height, width) to those of its place."""
        y: Tensor = self.project(self.activation(self.attention(self.depthwise(self.expand(x)))))
        return x + y if self.is_residual else y


class Ghost(nn.Module):
    """Half of the outputs by a 1x1 convolution, and from each of them another one by a depthwise convolution.

    Kai Han et al.: "GhostNet: More Features from Cheap Operations", CVPR 2020, https://arxiv.org/abs/1911.11907,
    figure 1.
    """

    def __init__(self, place: SizedPlace, *, kernel: int) -> None:
        """See the class.

        Args:
            place: where it stands; its `out_channels` are even.
            kernel: side of the depthwise kernel, odd.
        """
        super().__init__()
        half = place.out_channels // 2
        self.primary = conv_norm_act(place.in_channels, half, 1, stride=place.stride)
        self.cheap = conv_norm_act(half, half, kernel, groups=half)

    def forward(self, x: Tensor) -> Tensor:
        """Features of shape (batch, in_channels, height, width) to those of its place."""
        primary = self.primary(x)
        return torch.cat([primary, self.cheap(primary)], 1)


def separable(in_channels: int, out_channels: int, *, kernel: int, stride: int = 1) -> nn.Sequential:
    """A depthwise and a 1x1 convolution, each with norm and ReLU."""
    return nn.Sequential(
        conv_norm_act(in_channels, in_channels, kernel, stride=stride, groups=in_channels),
        conv_norm_act(in_channels, out_channels, 1),
    )


def _mobile(
    place: SizedPlace, *, kernel: int, expansion: int = 1, dilation: int = 1, attention: bool = False
) -> nn.Module:
    inner = expansion * place.in_channels
    return MobileBlock(place, kernel=kernel, inner=inner, dilation=dilation, attention=attention)


def _separable(place: SizedPlace, *, kernel: int) -> nn.Module:
    return separable(place.in_channels, place.out_channels, kernel=kernel, stride=place.stride)


BLOCKS: Mapping[str, Callable[[SizedPlace], nn.Module]] = MappingProxyType(
    {
        "mb_k3_res": partial(_mobile, kernel=3),
        "mb_k3_e2_res": partial(_mobile, kernel=3, expansion=2),
        "mb_k3_e4_res": partial(_mobile, kernel=3, expansion=4),
        "mb_k3_e2_res_se": partial(_mobile, kernel=3, expansion=2, attention=True),
        "mb_k3_res_d3": partial(_mobile, kernel=3, expansion=2, dilation=3),
        "mb_k5_res": partial(_mobile, kernel=5),
        "mb_k5_e2_res": partial(_mobile, kernel=5, expansion=2),
        "mb_k5_res_se": partial(_mobile, kernel=5, attention=True),
        "mb_k5_e2_res_se": partial(_mobile, kernel=5, expansion=2, attention=True),
        "sep_k3": partial(_separable, kernel=3),
        "sep_k5": partial(_separable, kernel=5),
        "gh_k3": partial(Ghost, kernel=3),
        "gh_k5": partial(Ghost, kernel=5),
    }
)
"""The blocks by the names under which they were published: kernel, expansion, residual, attention, dilation."""
