"""The space of FBNet: one of nine blocks in each of 22 layers.

Bichen Wu et al.: "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search",
CVPR 2019, https://arxiv.org/abs/1812.03443: table 1 has the stages, table 2 the blocks, figure 3 a block.

    stem 3x3 -> stages -> 1x1 -> average pool -> classifier

Every layer has one choice (`stage1.block1`) with the nine options of table 2, hence 9^22 networks. A block is

    1x1 expand, norm, ReLU -> depthwise k x k, norm, ReLU -> 1x1 project, norm (-> plus the input)

and adds its input where the stride is 1 and the widths agree. With two groups (`_g2`) both 1x1 convolutions are
grouped, and the channels are shuffled after the first. The convolution that expands is there at expansion 1 too.
`skip` is the identity; where a layer changes the shape it is a 1x1 convolution with that layer's stride, norm and ReLU,
as the authors built it and as the tables of HW-NAS-Bench (https://arxiv.org/abs/2103.10584) count it. So all 22 layers
have nine options. Every option has weights of its own.

What differs from the paper: fresh weights are drawn as timm draws them. The head has the 1984 outputs of FBNet-B and
FBNet-C; FBNet-A has 1504. The paper prints 249, 295 and 375 million multiply-accumulates for FBNet-A, B and C; those of
`FBNET_NETWORKS` have 239.0, 296.6 and 385.0, and C is in all numbers timm's `fbnetc_100`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

from torch import Tensor, nn

from hwnas.errors import SpaceError
from hwnas.nn.families.published import PublishedNetwork, by_stages
from hwnas.nn.families.stages import Place, conv_norm, conv_norm_act, staged_space, stem
from hwnas.nn.model_space import ModelSpace

__all__ = ["FBNET_NETWORKS", "FBNetBlock", "fbnet22"]


@dataclass(frozen=True, kw_only=True)
class _Variant:
    kernel: int
    expansion: int
    groups: int = 1


_VARIANTS = {
    "k3_e1": _Variant(kernel=3, expansion=1),
    "k3_e1_g2": _Variant(kernel=3, expansion=1, groups=2),
    "k3_e3": _Variant(kernel=3, expansion=3),
    "k3_e6": _Variant(kernel=3, expansion=6),
    "k5_e1": _Variant(kernel=5, expansion=1),
    "k5_e1_g2": _Variant(kernel=5, expansion=1, groups=2),
    "k5_e3": _Variant(kernel=5, expansion=3),
    "k5_e6": _Variant(kernel=5, expansion=6),
}


class FBNetBlock(nn.Module):
    """An inverted residual whose 1x1 convolutions may be grouped (figure 3), which timm's may not."""

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel: int, expansion: int, groups: int = 1, stride: int = 1
    ) -> None:
        """See the class.

        Args:
            in_channels: a multiple of `groups`.
            out_channels: a multiple of `groups`.
            kernel: side of the depthwise kernel, odd.
            expansion: inner width as a multiple of `in_channels`.
            groups: of both 1x1 convolutions.
            stride: of the depthwise convolution.
        """
        super().__init__()
        inner = in_channels * expansion
        self.expand = conv_norm_act(in_channels, inner, 1, groups=groups)
        self.shuffle = nn.ChannelShuffle(groups) if groups > 1 else nn.Identity()
        self.depthwise = conv_norm_act(inner, inner, kernel, stride=stride, groups=inner)
        self.project = conv_norm(inner, out_channels, 1, groups=groups)
        self.is_residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Images of shape (batch, in_channels, height, width) to (batch, out_channels, height/stride, width/stride)."""
        y: Tensor = self.project(self.depthwise(self.shuffle(self.expand(x))))
        return x + y if self.is_residual else y


def fbnet22(
    *,
    resolution: int = 224,
    in_channels: int = 3,
    num_classes: int = 1000,
    widths: Sequence[int] = (16, 24, 32, 64, 112, 184, 352),
    strides: Sequence[int] = (1, 2, 2, 2, 1, 2, 1),
    depths: Sequence[int] = (1, 4, 4, 4, 4, 4, 1),
    options: Sequence[str] = (*_VARIANTS, "skip"),
    stem_channels: int = 16,
    stem_stride: Literal[1, 2] = 2,
    head_channels: int = 1984,
    drop_rate: float = 0.0,
) -> ModelSpace:
    """Make the space; the defaults are the published one.

    Args:
        resolution: side of the square example image, in pixels.
        in_channels: channels of the image.
        num_classes: outputs of the classifier.
        widths: output channels of every stage, multiples of 8.
        strides: stride of the first block of every stage, 1 or 2.
        depths: how many blocks every stage has, those that may be skipped included.
        options: the blocks of table 2 to choose from.
        stem_channels: outputs of the stem convolution, a multiple of 8.
        stem_stride: stride of the stem; 1 suits images of some 8x8 pixels.
        head_channels: outputs of the 1x1 convolution before pooling.
        drop_rate: dropout before the classifier.

    Raises:
        SpaceError: an option with a wrong value.
    """
    known = (*_VARIANTS, "skip")
    for option in options:
        if option not in known:
            raise SpaceError(f"unknown block {option!r} in options; known: {', '.join(known)}")
    if not options or len(set(options)) < len(options):
        raise SpaceError(f"options must have entries, all different; got {', '.join(options) or 'none'}")

    def candidate(option: str, place: Place) -> nn.Module:
        if option == "skip":
            if place.keeps_shape:
                return nn.Identity()
            return conv_norm_act(place.in_channels, place.out_channels, 1, stride=place.stride)
        variant = _VARIANTS[option]
        return FBNetBlock(
            place.in_channels,
            place.out_channels,
            kernel=variant.kernel,
            expansion=variant.expansion,
            groups=variant.groups,
            stride=place.stride,
        )

    return staged_space(
        stem(in_channels, stem_channels, stem_stride=stem_stride),
        lambda place: {option: candidate(option, place) for option in options},
        image=(in_channels, resolution),
        entering_channels=stem_channels,
        widths=widths,
        strides=strides,
        depths=depths,
        head_channels=head_channels,
        num_classes=num_classes,
        drop_rate=drop_rate,
    )


FBNET_NETWORKS: Mapping[str, PublishedNetwork] = MappingProxyType(
    {
        "fbnet-a": PublishedNetwork(
            space=partial(fbnet22, head_channels=1504),
            architecture=by_stages(
                """
                skip
                k3_e3 k3_e1    skip     skip
                k5_e6 k3_e3    k5_e1    k3_e3
                k5_e6 k5_e3    k5_e1_g2 k5_e6
                k3_e6 k5_e1_g2 k5_e1    k3_e1_g2
                k5_e6 k5_e6    k5_e3    k5_e6
                k5_e6
                """
            ),
        ),
        "fbnet-b": PublishedNetwork(
            space=fbnet22,
            architecture=by_stages(
                """
                k3_e1
                k3_e6 k5_e1 k3_e1 k3_e1
                k5_e6 k5_e3 k3_e6 k5_e6
                k5_e6 k5_e1 skip  k5_e3
                k5_e6 k3_e1 k5_e1 k5_e3
                k5_e6 k5_e1 k5_e6 k5_e6
                k3_e6
                """
            ),
        ),
        "fbnet-c": PublishedNetwork(
            space=fbnet22,
            architecture=by_stages(
                """
                k3_e1
                k3_e6 skip  k3_e1 k3_e1
                k5_e6 k5_e3 k5_e6 k3_e6
                k5_e6 k5_e3 k5_e6 k5_e6
                k5_e6 k5_e6 k5_e6 k5_e3
                k5_e6 k5_e6 k5_e6 k5_e6
                k3_e6
                """
            ),
        ),
    }
)
"""The paper's networks by name, as its authors released them."""
