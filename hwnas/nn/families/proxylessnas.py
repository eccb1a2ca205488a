"""The space of ProxylessNAS: a kernel and an expansion for every inverted residual, or no block at all.

Han Cai, Ligeng Zhu, Song Han: "ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware",
ICLR 2019, https://arxiv.org/abs/1812.00332. The blocks are those of Mark Sandler et al.: "MobileNetV2: Inverted
Residuals and Linear Bottlenecks", CVPR 2018, https://arxiv.org/abs/1801.04381.

    stem 3x3 -> inverted residual of expansion 1 -> stages -> 1x1 -> average pool -> classifier

Every block has one choice (`stage1.block1`): `k3_e3`, `k3_e6`, `k5_e3`, ... `k7_e6`; and `skip` where the stride is 1
and the widths agree. With the defaults these are 21 choices and 6^6 * 7^15 networks, from 108,869,888 to 693,483,008
multiply-accumulates at 3x224x224. Every option has weights of its own.

What differs from the paper: its supernet computes `skip` as a block that gives zero, beside the residual connection;
here it is the identity, which is the same network. Fresh weights are drawn as timm draws them, with the fan-out of a
depthwise convolution counted per group. The default widths are those of the paper's network for phones; its networks
for GPU and CPU are wider, and `PROXYLESSNAS_NETWORKS` has the widths of each. The blocks are timm's, frozen as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from types import MappingProxyType
from typing import Literal

from timm.models._efficientnet_blocks import DepthwiseSeparableConv, InvertedResidual
from torch import nn

from hwnas.errors import SpaceError
from hwnas.nn.families.published import PublishedNetwork, by_stages
from hwnas.nn.families.stages import Place, check_size, staged_space, stem
from hwnas.nn.model_space import ModelSpace

__all__ = ["PROXYLESSNAS_NETWORKS", "proxylessnas"]


def proxylessnas(
    *,
    resolution: int = 224,
    in_channels: int = 3,
    num_classes: int = 1000,
    widths: Sequence[int] = (32, 40, 80, 96, 192, 320),
    strides: Sequence[int] = (2, 2, 2, 1, 2, 1),
    depths: Sequence[int] = (4, 4, 4, 4, 4, 1),
    kernels: Sequence[int] = (3, 5, 7),
    expansions: Sequence[int] = (3, 6),
    stem_channels: int = 32,
    stem_stride: Literal[1, 2] = 2,
    first_channels: int = 16,
    head_channels: int = 1280,
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
        kernels: sides of the depthwise kernels to choose from, odd.
        expansions: inner widths to choose from, as whole multiples of a block's input width.
        stem_channels: outputs of the stem convolution, a multiple of 8.
        stem_stride: stride of the stem; 1 suits images of some 8x8 pixels.
        first_channels: outputs of the fixed first block, a multiple of 8.
        head_channels: outputs of the 1x1 convolution before pooling.
        drop_rate: dropout before the classifier.

    Raises:
        SpaceError: an option with a wrong value.
    """
    before = stem(in_channels, stem_channels, stem_stride=stem_stride, activation=nn.ReLU6)
    check_size("first_channels", first_channels, multiple_of=8)
    before.append(DepthwiseSeparableConv(stem_channels, first_channels, act_layer=nn.ReLU6, noskip=True))
    variants = {f"k{kernel}_e{expansion}": (kernel, expansion) for kernel, expansion in product(kernels, expansions)}
    if not variants or len(variants) < len(kernels) * len(expansions):
        raise SpaceError(
            f"kernels and expansions must each have entries, all different; got {kernels} and {expansions}"
        )
    for kernel, expansion in variants.values():
        if kernel < 1 or kernel % 2 == 0:
            raise SpaceError(f"every kernel must be odd, so that it has symmetric padding; got {kernel}")
        check_size("every expansion", expansion)

    def candidates(place: Place) -> Mapping[str, nn.Module]:
        options: dict[str, nn.Module] = {
            name: InvertedResidual(
                place.in_channels,
                place.out_channels,
                dw_kernel_size=kernel,
                stride=place.stride,
                exp_ratio=expansion,
                act_layer=nn.ReLU6,
            )
            for name, (kernel, expansion) in variants.items()
        }
        return options | {"skip": nn.Identity()} if place.keeps_shape else options

    return staged_space(
        before,
        candidates,
        image=(in_channels, resolution),
        entering_channels=first_channels,
        widths=widths,
        strides=strides,
        depths=depths,
        head_channels=head_channels,
        num_classes=num_classes,
        drop_rate=drop_rate,
        activation=nn.ReLU6,
        norm_eps=1e-3,
    )


PROXYLESSNAS_NETWORKS: Mapping[str, PublishedNetwork] = MappingProxyType(
    {
        "proxyless-mobile": PublishedNetwork(
            space=partial(
                proxylessnas,
                stem_channels=32,
                first_channels=16,
                widths=(32, 40, 80, 96, 192, 320),
                head_channels=1280,
            ),
            architecture=by_stages(
                """
                k5_e3 k3_e3 skip  skip
                k7_e3 k3_e3 k5_e3 k5_e3
                k7_e6 k5_e3 k5_e3 k5_e3
                k5_e6 k5_e3 k5_e3 k5_e3
                k7_e6 k7_e6 k7_e3 k7_e3
                k7_e6
                """
            ),
        ),
        "proxyless-gpu": PublishedNetwork(
            space=partial(
                proxylessnas,
                stem_channels=40,
                first_channels=24,
                widths=(32, 56, 112, 128, 256, 432),
                head_channels=1728,
            ),
            architecture=by_stages(
                """
                k5_e3 skip  skip  skip
                k7_e3 skip  skip  k3_e3
                k7_e6 skip  skip  k5_e3
                k5_e6 skip  k3_e3 k5_e3
                k7_e6 k7_e6 k7_e6 k5_e6
                k7_e6
                """
            ),
        ),
        "proxyless-cpu": PublishedNetwork(
            space=partial(
                proxylessnas,
                stem_channels=40,
                first_channels=24,
                widths=(32, 48, 88, 104, 216, 360),
                head_channels=1432,
            ),
            architecture=by_stages(
                """
                k3_e6 k3_e3 k3_e3 k3_e3
                k3_e6 k3_e3 k3_e3 k5_e3
                k3_e6 skip  skip  k3_e3
                k5_e6 k3_e3 k3_e3 k3_e3
                k5_e6 k5_e3 k5_e3 k3_e3
                k5_e6
                """
            ),
        ),
    }
)
"""The paper's networks by name, as its authors released them."""
