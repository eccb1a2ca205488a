"""The space of SPOS, around ShuffleNetV2: which kernel in every block, and optionally how wide inside.

Zichao Guo, Xiangyu Zhang, Haoyuan Mu, Wen Heng, Zechun Liu, Yichen Wei, Jian Sun: "Single Path One-Shot Neural
Architecture Search with Uniform Sampling", ECCV 2020, https://arxiv.org/abs/1904.00420. The blocks are those of
Ningning Ma et al.: "ShuffleNet V2", ECCV 2018, https://arxiv.org/abs/1807.11164, and after François Chollet:
"Xception", CVPR 2017, https://arxiv.org/abs/1610.02357.

    stem 3x3 -> stages of blocks, the first of a stage with stride 2 -> 1x1 -> average pool -> dropout -> classifier

    stride 1    concatenate(every second channel as it is, branch(the other channels))
    stride 2    concatenate(projection(all channels), branch(all channels))

    branch      k3, k5, k7: 1x1, depthwise k x k, 1x1;  xception: three times depthwise 3x3, 1x1
    projection  depthwise k x k, 1x1

Every block has one choice (`stage1.block1`). With the defaults these are 20 choices and 4^20 networks, from 270,359,360
to 398,609,216 multiply-accumulates (all k3: 295,842,496; all xception: 358,825,920). With `channel_search` every block
has a second choice (`stage1.block1.width`), the inner width of the branch as a multiple of half the block's width; all
options of the block follow it, and there are 32^20 networks. Frozen, a network's weights have the names of the authors'
published code.

What differs: a searched inner width is rounded to an even number, where the authors' code cuts off the fraction, and
its convolutions share the first channels of the widest. Weights start as PyTorch's do. The paper's batch norms have no
affine part while the supernet is trained (the default here), and one when the found network is trained from scratch:
make the space with `affine=True` for that.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from hwnas.errors import SpaceError
from hwnas.nn.argument import Elastic
from hwnas.nn.elastic_conv import ElasticConv2d
from hwnas.nn.elastic_norm import ElasticBatchNorm2d
from hwnas.nn.families.published import PublishedNetwork, by_stages
from hwnas.nn.layer_choice import LayerChoice
from hwnas.nn.model_space import ModelSpace
from hwnas.space import Choice, Option

__all__ = ["SHUFFLENET_V2_NETWORKS", "shufflenet_v2", "spos_weight_name"]

_XCEPTION = "xception"
_PUBLISHED_OPTIONS = ("k3", "k5", "k7", _XCEPTION)
_PUBLISHED_BLOCK = re.compile(r"^(features\.\d+\.)([0-3])(?=\.)")


class _ShuffleBlock(nn.Module):
    """Half of the channels goes through the branch; the rest is kept, or projected where the stride is 2."""

    def __init__(self, main: Sequence[nn.Module], projection: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branch_main = nn.Sequential(*main)
        self.branch_proj = nn.Sequential(*projection) if projection else None

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if self.branch_proj is None:
            # Taking every second channel is the channel shuffle: it mixes the halves that the last block concatenated.
            kept, x_BCHW = x_BCHW[:, ::2], x_BCHW[:, 1::2]
        else:
            kept = self.branch_proj(x_BCHW)
        return torch.cat((kept, self.branch_main(x_BCHW)), dim=1)


def shufflenet_v2(
    *,
    resolution: int = 224,
    in_channels: int = 3,
    num_classes: int = 1000,
    widths: Sequence[int] = (64, 160, 320, 640),
    depths: Sequence[int] = (4, 4, 8, 4),
    kernels: Sequence[int] = (3, 5, 7),
    xception: bool = True,
    stem_channels: int = 16,
    stem_stride: Literal[1, 2] = 2,
    last_channels: int = 1024,
    channel_search: bool = False,
    channel_ratios: Sequence[float] = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6),
    affine: bool = False,
    drop_rate: float = 0.1,
) -> ModelSpace:
    """Make the space; the defaults are the published one.

    Args:
        resolution: side of the square example image, in pixels; every stage halves it.
        in_channels: channels of the image.
        num_classes: outputs of the classifier.
        widths: output channels of every stage, even and increasing.
        depths: how many blocks every stage has.
        kernels: sides of the depthwise kernels to choose from, odd.
        xception: whether the Xception-like block is an option.
        stem_channels: outputs of the stem convolution, fewer than the first stage's.
        stem_stride: stride of the stem; 1 suits images of some 8x8 pixels.
        last_channels: outputs of the 1x1 convolution before pooling.
        channel_search: whether the inner width of every block is a choice; otherwise it is half the block's width.
        channel_ratios: what to choose from: inner widths as multiples of half the block's width, rounded to even
            numbers.
        affine: whether batch norms have a weight and a bias.
        drop_rate: dropout before the classifier.

    Raises:
        SpaceError: an option with a wrong value.
    """
    sizes = {"resolution": resolution, "in_channels": in_channels, "num_classes": num_classes}
    sizes |= {"stem_channels": stem_channels, "last_channels": last_channels, "every depth": min(depths, default=0)}
    for size_name, size in sizes.items():
        if size < 1:
            raise SpaceError(f"{size_name} must be at least 1; got {size}")
    if len(widths) != len(depths):
        raise SpaceError(f"widths and depths must have one entry for every stage; got {len(widths)} and {len(depths)}")
    if any(width % 2 for width in widths) or list(widths) != sorted({stem_channels, *widths})[1:]:
        raise SpaceError(
            "widths must be even, and each above the one before, the first above stem_channels: a stage's first block "
            f"keeps all channels of its input beside new ones; got {tuple(widths)} after {stem_channels}"
        )
    if any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
        raise SpaceError(f"kernels must be positive and odd; got {tuple(kernels)}")
    if not kernels and not xception:
        raise SpaceError("a block needs an option: give kernels, or xception=True")
    if stem_stride not in (1, 2):
        raise SpaceError(f"stem_stride must be 1 or 2; got {stem_stride}")
    if not 0 <= drop_rate < 1:
        raise SpaceError(f"drop_rate must be at least 0 and below 1; got {drop_rate}")

    blocks: list[nn.Module] = []
    channels = stem_channels
    for s, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
        for b in range(1, depth + 1):
            name = f"stage{s}.block{b}"
            options = Choice(name, [*(f"k{kernel}" for kernel in kernels), *[_XCEPTION] * xception]).options
            inner = _inner_width(f"{name}.width", width // 2, channel_ratios) if channel_search else width // 2
            candidates = {str(option): _block(option, channels, width, inner, affine=affine) for option in options}
            blocks.append(LayerChoice(candidates, label=name))
            channels = width
    network = nn.Sequential(
        OrderedDict(
            first_conv=nn.Sequential(*_convolution(in_channels, stem_channels, 3, stem_stride, affine=affine)),
            features=nn.Sequential(*blocks),
            conv_last=nn.Sequential(*_convolution(channels, last_channels, affine=affine)),
            globalpool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            dropout=nn.Dropout(drop_rate),
            classifier=nn.Sequential(nn.Linear(last_channels, num_classes, bias=False)),
        )
    )
    return ModelSpace(network, torch.zeros(1, in_channels, resolution, resolution))


def spos_weight_name(name: str) -> str:
    """What a weight of the authors' supernet is called here; its file is `checkpoint-150000.pth.tar`.

    In their code a block is a list of the four candidates, in the order of ours: `features.0.3.branch_main.0.weight` is
    `features.0.xception.branch_main.0.weight`. All other names are the same, those of their found network as well.
    Source: https://github.com/megvii-model/SinglePathOneShot, src/Supernet/network.py.
    """
    return _PUBLISHED_BLOCK.sub(lambda match: f"{match[1]}{_PUBLISHED_OPTIONS[int(match[2])]}", name)


def _block(option: Option, num_in: int, num_out: int, inner: Elastic[int], *, affine: bool) -> _ShuffleBlock:
    """One candidate; the first block of a stage, which alone widens, has stride 2.

    Args:
        option: "k3" and the like, or "xception".
        num_in: channels of the block's input.
        num_out: channels of its output.
        inner: channels within the branch.
        affine: whether batch norms have a weight and a bias.
    """
    stride = 1 if num_in == num_out else 2
    branch_in = num_in // 2 if stride == 1 else num_in
    branch_out = num_out - branch_in
    kernel = 3 if option == _XCEPTION else int(str(option)[1:])

    def pointwise(num_in: Elastic[int], num_out: Elastic[int]) -> list[nn.Module]:
        return _convolution(num_in, num_out, affine=affine)

    def depthwise(num: Elastic[int], stride: int = 1) -> list[nn.Module]:
        return _convolution(num, num, kernel, stride, affine=affine, depthwise=True)

    if option == _XCEPTION:
        main = [*depthwise(branch_in, stride), *pointwise(branch_in, inner)]
        main += [*depthwise(inner), *pointwise(inner, inner)]
        main += [*depthwise(inner), *pointwise(inner, branch_out)]
    else:
        main = [*pointwise(branch_in, inner), *depthwise(inner, stride), *pointwise(inner, branch_out)]
    projection = [*depthwise(num_in, stride), *pointwise(num_in, num_in)] if stride == 2 else []
    return _ShuffleBlock(main, projection)


def _convolution(
    num_in: Elastic[int],
    num_out: Elastic[int],
    kernel: int = 1,
    stride: int = 1,
    *,
    affine: bool,
    depthwise: bool = False,
) -> list[nn.Module]:
    """A convolution, its batch norm, and a ReLU unless it is depthwise."""
    convolution: nn.Module
    if isinstance(num_in, int) and isinstance(num_out, int):
        groups = num_in if depthwise else 1
        convolution = nn.Conv2d(num_in, num_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        norm: nn.Module = nn.BatchNorm2d(num_out, affine=affine)
    else:
        convolution = ElasticConv2d(
            num_in, num_out, kernel, stride, kernel // 2, groups="depthwise" if depthwise else 1, bias=False
        )
        norm = ElasticBatchNorm2d(num_out, affine=affine)
    return [convolution, norm] if depthwise else [convolution, norm, nn.ReLU(inplace=True)]


def _inner_width(name: str, half: int, ratios: Sequence[float]) -> Elastic[int]:
    """A choice of ratios, and the inner width of each.

    Raises:
        SpaceError: ratios that give no width, or one width twice.
    """
    choice = Choice(name, [float(ratio) for ratio in ratios])
    inner = choice.map(lambda ratio: 2 * round(float(ratio) * half / 2))  # type: ignore[arg-type]  # numbers, as given
    if min(inner.values) < 2 or len(set(inner.values)) < len(ratios):
        raise SpaceError(
            f"channel_ratios must give different even widths of at least 2 in every block; for choice {name!r}, whose "
            f"half is {half} channels, {tuple(ratios)} give {inner.values}. Give fewer ratios, or wider stages."
        )
    return inner


SHUFFLENET_V2_NETWORKS: Mapping[str, PublishedNetwork] = MappingProxyType(
    {
        "spos": PublishedNetwork(
            space=partial(shufflenet_v2, affine=True),
            architecture=by_stages(
                """
                k7 k5 k3 k5
                k7 k3 k7 k3
                k7 k3 k7 xception k3 k3 k3 k3
                xception k7 xception xception
                """
            ),
        )
    }
)
"""The network that the authors searched, in the README of https://github.com/megvii-model/SinglePathOneShot written as
2, 1, 0, 1, ...: positions among k3, k5, k7, xception."""
