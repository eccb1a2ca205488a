"""The space of HardCoRe-NAS, around MobileNetV3: how wide, how deep, which kernels, where squeeze-excite.

Niv Nayman, Yonathan Aflalo, Asaf Noy, Lihi Zelnik-Manor: "HardCoRe-NAS: Hard Constrained diffeRentiable Neural
Architecture Search", ICML 2021, https://arxiv.org/abs/2102.11646. The blocks are those of Andrew Howard et al.:
"Searching for MobileNetV3", ICCV 2019, https://arxiv.org/abs/1905.02244.

    stem 3x3 -> depthwise-separable -> elastic stages -> 1x1 -> average pool -> 1x1 head -> classifier

Every elastic stage has one choice of depth (`stage1.depth`) and every block one choice (`stage1.block1`) whose options
are the tokens of architecture strings that vary: `k3_e3`, `k5_e6_se0.25`. With the defaults these are 25 choices and
(12^2 + 12^3 + 12^4)^5 = 22,608^5 networks, from 3,246,072 to 8,949,984 parameters.

The network is timm's `MobileNetV3` and stays so when frozen: the names of the weights are timm's. Unlike the published
supernet, batch norms are shared by all options of a block; re-estimate their statistics for every subnet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import torch
from timm.models._efficientnet_blocks import InvertedResidual
from timm.models._efficientnet_builder import round_channels

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.nn.elastic_inverted_residual import ElasticInvertedResidual
from hwnas.nn.families import architecture_string
from hwnas.nn.families.architecture_string import Activation, BlockSpec, Stages
from hwnas.nn.model_space import ModelSpace
from hwnas.nn.repeat import Repeat
from hwnas.space import Architecture, Choice, Option

__all__ = ["MobileNetV3Space", "mobilenet_v3"]


@dataclass(frozen=True, kw_only=True)
class _Variant:
    """What one option of a block stands for; `squeeze_excite` is a ratio, 0 for none."""

    kernel: int
    expansion: float
    squeeze_excite: float

    @property
    def name(self) -> str:
        ratio = f"_se{self.squeeze_excite:g}" if self.squeeze_excite else ""
        return f"k{self.kernel}_e{self.expansion:g}{ratio}"

    def of(self, block: BlockSpec) -> BlockSpec:
        ratio = self.squeeze_excite or None
        return replace(block, kernel=self.kernel, expansion=self.expansion, squeeze_excite=ratio)


class MobileNetV3Space(ModelSpace):
    """A `ModelSpace` of `mobilenet_v3`, which also knows its networks as architecture strings."""

    def __init__(
        self, module: torch.nn.Module, example_inputs: torch.Tensor, *, largest: Stages, variants: Sequence[_Variant]
    ) -> None:
        super().__init__(module, example_inputs)
        self._largest = largest
        self._variants = {variant.name: variant for variant in variants}

    def to_string(self, architecture: Mapping[str, Option]) -> str:
        """The architecture string of one network of the space.

        Raises:
            ArchitectureError: an architecture that the space does not allow.
        """
        chosen = self.space.validate(architecture)
        stages = list(self._largest)
        for s, blocks in enumerate(stages[1:-1], start=1):
            names = [chosen.get(_block_name(s, b)) for b in range(1, len(blocks) + 1)]
            stages[s] = tuple(self._variants[str(n)].of(block) for n, block in zip(names, blocks, strict=True) if n)
        return architecture_string.format(stages)

    def from_string(self, string: str) -> Architecture:
        """The architecture that an architecture string describes.

        Raises:
            ArchitectureError: the string is wrong, or describes a network outside the space; the message names the
                first stage or block that does not fit, and what would.
        """
        stages = [_unrolled(stage) for stage in architecture_string.parse(string)]
        if len(stages) != len(self._largest):
            raise ArchitectureError(f"the space has {len(self._largest)} stages; the string has {len(stages)}")
        last = len(stages) - 1
        architecture: dict[str, Option] = {}
        for s, (given, largest) in enumerate(zip(stages, self._largest, strict=True)):
            if s in (0, last):
                if given != largest:
                    raise ArchitectureError(
                        f"stage {s + 1} of the string: the space fixes it to {_words(largest)}; got {_words(given)}"
                    )
                continue
            depths = self.space.choice(_depth_name(s)).options
            if len(given) not in depths:
                allowed = ", ".join(map(str, depths))
                raise ArchitectureError(
                    f"stage {s + 1} of the string: the space allows {allowed} blocks; got {len(given)}"
                )
            architecture[_depth_name(s)] = len(given)
            for b, (block, template) in enumerate(zip(given, largest, strict=False), start=1):
                names = [name for name, variant in self._variants.items() if variant.of(template) == block]
                if not names:
                    closest = next(iter(self._variants.values())).of(template)
                    raise ArchitectureError(
                        f"stage {s + 1} of the string, block {b}: the space has no {str(block)!r}; it has such as "
                        f"{str(closest)!r}, with {', '.join(self._variants)}"
                    )
                architecture[_block_name(s, b)] = names[0]
        return self.space.validate(architecture)


def mobilenet_v3(
    *,
    resolution: int = 224,
    in_channels: int = 3,
    num_classes: int = 1000,
    widths: Sequence[int] = (24, 40, 80, 112, 192),
    strides: Sequence[int] = (2, 2, 2, 1, 2),
    depths: Sequence[int] = (2, 3, 4),
    kernels: Sequence[int] = (3, 5),
    expansions: Sequence[float] = (3.0, 4.0, 6.0),
    squeeze_excite: Sequence[float] = (0.0, 0.25),
    activations: Sequence[Activation] = ("re", "re", "hs", "hs", "hs"),
    stem_channels: int = 32,
    stem_stride: Literal[1, 2] = 2,
    first_channels: int = 16,
    last_channels: int = 960,
    head_channels: int = 1280,
    width_multiplier: float = 1.0,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> MobileNetV3Space:
    """Make the space; the defaults are the published one.

    Args:
        resolution: side of the square example image, in pixels.
        in_channels: channels of the image.
        num_classes: outputs of the classifier.
        widths: output channels of every elastic stage, multiples of 8.
        strides: stride of the first block of every elastic stage, 1 or 2.
        depths: how many blocks an elastic stage may have.
        kernels: sides of the depthwise kernels to choose from, odd.
        expansions: inner widths to choose from, as multiples of a block's input width.
        squeeze_excite: reduced widths to choose from, as multiples of the inner width; 0 is a block without.
        activations: of every elastic stage: `re`, `r6`, `hs` or `sw`.
        stem_channels: outputs of the stem convolution.
        stem_stride: stride of the stem; 1 suits images of some 8x8 pixels.
        first_channels: outputs of the fixed depthwise-separable block, a multiple of 8.
        last_channels: outputs of the fixed 1x1 convolution before pooling, a multiple of 8.
        head_channels: outputs of the 1x1 convolution after pooling.
        width_multiplier: scales the stem and all widths except the head's, rounded to multiples of 8; 1.2 is the
            published large variant.
        drop_rate: dropout before the classifier.
        drop_path_rate: stochastic depth of the last block.

    Raises:
        SpaceError: an option with a wrong value.
    """
    if not len(widths) == len(strides) == len(activations):
        raise SpaceError(
            "widths, strides and activations must have one entry for every elastic stage; "
            f"got {len(widths)}, {len(strides)} and {len(activations)}"
        )
    if not widths or not depths or not kernels or not expansions or not squeeze_excite:
        raise SpaceError("widths, depths, kernels, expansions and squeeze_excite must each have at least one entry")
    sizes = {"resolution": resolution, "in_channels": in_channels, "num_classes": num_classes}
    sizes |= {"stem_channels": stem_channels, "head_channels": head_channels, "every depth": min(depths)}
    for name, size in sizes.items():
        if size < 1:
            raise SpaceError(f"{name} must be at least 1; got {size}")
    if stem_stride not in (1, 2):
        raise SpaceError(f"stem_stride must be 1 or 2; got {stem_stride}")

    def scaled(channels: int) -> int:
        return int(round_channels(channels, width_multiplier)) if width_multiplier != 1 else channels

    variants = [
        _Variant(kernel=kernel, expansion=expansion, squeeze_excite=ratio)
        for kernel, expansion, ratio in product(kernels, expansions, squeeze_excite)
    ]
    heaviest = _Variant(kernel=max(kernels), expansion=max(expansions), squeeze_excite=max(squeeze_excite))
    try:
        first = BlockSpec(type="ds", kernel=3, stride=1, channels=scaled(first_channels), activation="re")
        last = BlockSpec(type="cn", kernel=1, stride=1, channels=scaled(last_channels))
        elastic = []
        for width, stride, activation in zip(widths, strides, activations, strict=True):
            block = BlockSpec(type="ir", kernel=3, stride=stride, channels=scaled(width), activation=_token(activation))
            following = replace(block, stride=1)
            elastic.append((block, *[following] * (max(depths) - 1)))
        for variant, block in product(variants, [stage[0] for stage in elastic]):
            variant.of(block)
        largest: Stages = ((first,), *(tuple(map(heaviest.of, stage)) for stage in elastic), (last,))
        network = architecture_string.build(
            largest,
            num_classes=num_classes,
            in_channels=in_channels,
            stem_channels=scaled(stem_channels),
            stem_stride=stem_stride,
            head_channels=head_channels,
            drop_rate=drop_rate,
            drop_path_rate=drop_path_rate,
        )
    except ArchitectureError as error:
        raise SpaceError(f"mobilenet_v3 cannot have these options: {error}") from error
    for s in range(1, len(widths) + 1):
        blocks = [_elastic(block, _block_name(s, b), variants) for b, block in enumerate(network.blocks[s], start=1)]
        network.blocks[s] = Repeat(blocks, Choice(_depth_name(s), depths))
    example = torch.zeros(1, in_channels, resolution, resolution)
    return MobileNetV3Space(network, example, largest=largest, variants=variants)


def _elastic(block: InvertedResidual, name: str, variants: Sequence[_Variant]) -> ElasticInvertedResidual:
    """The elastic form of timm's block of the largest sizes, whose weights it takes over."""
    by_name: dict[Option, _Variant] = {variant.name: variant for variant in variants}
    choice = Choice(name, [variant.name for variant in variants])
    with torch.device("meta"):
        elastic = ElasticInvertedResidual(
            block.conv_pw.in_channels,
            block.conv_pwl.out_channels,
            kernel_size=choice.map(lambda option: by_name[option].kernel),
            expansion=choice.map(lambda option: by_name[option].expansion),
            squeeze_excite=choice.map(lambda option: by_name[option].squeeze_excite),
            stride=block.conv_dw.stride[0],
        )
    elastic.block = block
    return elastic


def _depth_name(stage: int) -> str:
    return f"stage{stage}.depth"


def _block_name(stage: int, block: int) -> str:
    return f"stage{stage}.block{block}"


def _token(activation: Activation) -> Activation | None:
    """The activation as a string has it: nothing for the network's own."""
    return None if activation == "hs" else activation


def _unrolled(stage: Sequence[BlockSpec]) -> tuple[BlockSpec, ...]:
    """The stage with one spec a block, and no token that says what goes without saying."""
    blocks = []
    for spec in stage:
        block = replace(spec, repeats=1, activation=None if spec.activation == "hs" else spec.activation)
        blocks += [block, *[replace(block, stride=1)] * (spec.repeats - 1)]
    return tuple(blocks)


def _words(stage: Sequence[BlockSpec]) -> str:
    return str([str(block) for block in stage])
