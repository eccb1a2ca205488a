"""Architecture strings: timm's compact notation for networks of mobile blocks, read strictly, written canonically.

A string is a list of stages, a stage a list of blocks, and a block a type and tokens joined by `_`:

    [['ds_r1_k3_s1_e1_c16_nre'], ['ir_r1_k5_s2_e3_c24_nre', 'ir_r1_k5_s1_e3_c24_nre_se0.25'], ['cn_r1_k1_s1_c960']]

| type  | block                                            | tokens it must have | tokens it may have |
|-------|--------------------------------------------------|---------------------|--------------------|
| `ds`  | depthwise-separable convolution                  | r k s c             | e1 n se noskip     |
| `dsa` | the same, with an activation after the pointwise | r k s c             | e1 n se            |
| `ir`  | inverted residual                                | r k s e c           | n se noskip        |
| `er`  | edge residual (fused expansion)                  | r k s e c           | n se noskip        |
| `cn`  | convolution, batch norm, activation              | r k s c             | n                  |

`rN` repeats, `kN` kernel, `sN` stride (1-9), `eX` expansion, `cN` output channels, `n` + `re`, `r6`, `hs` or `sw` the
activation (ReLU, ReLU6, hard swish, swish), `seX` squeeze-excite ratio. timm's own reader drops a token that it does
not know and lets the last of two win; here both are errors, for a typing mistake must not build another network.

Source of the notation: `timm.models._efficientnet_builder` and the published code of HardCoRe-NAS (Nayman et al. 2021,
https://arxiv.org/abs/2102.11646), whose six networks are `timm.models.hardcorenas`.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from timm.layers import get_act_layer
from timm.models._efficientnet_builder import decode_arch_def
from timm.models.mobilenetv3 import MobileNetV3
from torch import nn

from hwnas.errors import ArchitectureError
from hwnas.nn.elastic_inverted_residual import SQUEEZE_EXCITE

__all__ = ["ACTIVATIONS", "Activation", "BlockSpec", "BlockType", "Stages", "build", "format", "parse"]

BlockType = Literal["ds", "dsa", "ir", "er", "cn"]
Activation = Literal["re", "r6", "hs", "sw"]

ACTIVATIONS: dict[str, str] = {"re": "relu", "r6": "relu6", "hs": "hard_swish", "sw": "swish"}
"""timm's name of every activation token."""

_LONGEST_STRING = 65_536
_MOST_REPEATS = 64
_LARGEST_OUTPUT_STRIDE = 32
_KNOWN_TOKENS = "rN, kN, sN, eX, cN, seX, nre, nr6, nhs, nsw, noskip"
_NUMBER = r"(?:0|[1-9]\d{0,4})(?:\.\d{1,20})?"
_TOKEN = re.compile(rf"(?P<key>se|[rksec])(?P<number>{_NUMBER})|n(?P<act>re|r6|hs|sw)|noskip", re.ASCII)
_WHOLE_NUMBERS = frozenset("rksc")
_REQUIRED: dict[str, str] = {"ds": "rksc", "dsa": "rksc", "ir": "rksec", "er": "rksec", "cn": "rksc"}
_OPTIONAL: dict[str, frozenset[str]] = {
    "ds": frozenset({"e", "n", "se", "noskip"}),
    "dsa": frozenset({"e", "n", "se"}),
    "ir": frozenset({"n", "se", "noskip"}),
    "er": frozenset({"n", "se", "noskip"}),
    "cn": frozenset({"n"}),
}


@dataclass(frozen=True, kw_only=True)
class BlockSpec:
    """One block of an architecture string.

    Attributes:
        type: the kind of block, as in the table above.
        kernel: side of the (depthwise) kernel in pixels, odd.
        stride: 1 to 9.
        channels: output channels, a multiple of 8.
        repeats: how often the block is repeated; only the first repetition has the stride.
        expansion: width of the inner convolution as a multiple of the input width; 1 except for `ir` and `er`.
        squeeze_excite: reduced width of squeeze-excite as a multiple of the inner width; None for none.
        activation: None for the network's own.
        noskip: no residual connection even where one is possible.

    Raises:
        ArchitectureError: a value that no such block has; the message names the token.
    """

    type: BlockType
    kernel: int
    stride: int
    channels: int
    repeats: int = 1
    expansion: float = 1.0
    squeeze_excite: float | None = None
    activation: Activation | None = None
    noskip: bool = False

    def __post_init__(self) -> None:
        if self.type not in _REQUIRED:
            raise ArchitectureError(f"unknown block type {self.type!r}; known types: {', '.join(_REQUIRED)}")
        if not 1 <= self.repeats <= _MOST_REPEATS:
            raise ArchitectureError(f"token 'r{self.repeats}': repeats must lie between 1 and {_MOST_REPEATS}")
        if self.kernel % 2 == 0 or not 1 <= self.kernel <= 31:
            raise ArchitectureError(
                f"token 'k{self.kernel}': the kernel must be odd, 1 to 31: an even one has no symmetric padding"
            )
        if not 1 <= self.stride <= 9:
            raise ArchitectureError(f"token 's{self.stride}': the stride must lie between 1 and 9")
        if self.channels < 8 or self.channels % 8:
            raise ArchitectureError(
                f"token 'c{self.channels}': channels must be a positive multiple of 8; "
                "timm's builder would round them to one without a word"
            )
        if not 0.1 <= self.expansion <= 64:
            raise ArchitectureError(f"token 'e{_number(self.expansion)}': the expansion must lie between 0.1 and 64")
        if self.expansion != 1 and "e" not in _REQUIRED[self.type]:
            raise ArchitectureError(
                f"token 'e{_number(self.expansion)}': a {self.type!r} block has no expansion; write e1 or leave it out"
            )
        if self.squeeze_excite is not None and not 0.01 <= self.squeeze_excite <= 1:
            raise ArchitectureError(
                f"token 'se{_number(self.squeeze_excite)}': the ratio must lie between 0.01 and 1; "
                "leave the token out for a block without squeeze-excite"
            )
        if self.activation is not None and self.activation not in ACTIVATIONS:
            raise ArchitectureError(f"token 'n{self.activation}': known activations: {', '.join(ACTIVATIONS)}")
        optional = _OPTIONAL[self.type]
        if self.squeeze_excite is not None and "se" not in optional:
            raise _meaningless(f"se{_number(self.squeeze_excite)}", self.type)
        if self.noskip and "noskip" not in optional:
            raise _meaningless("noskip", self.type)

    def __str__(self) -> str:
        tokens = [self.type, f"r{self.repeats}", f"k{self.kernel}", f"s{self.stride}"]
        if "e" in _REQUIRED[self.type] or self.type == "ds":
            tokens.append(f"e{_number(self.expansion)}")
        tokens.append(f"c{self.channels}")
        if self.activation is not None:
            tokens.append(f"n{self.activation}")
        if self.squeeze_excite is not None:
            tokens.append(f"se{_number(self.squeeze_excite)}")
        if self.noskip:
            tokens.append("noskip")
        return "_".join(tokens)


Stages = tuple[tuple[BlockSpec, ...], ...]
"""A whole network: its stages, each a sequence of blocks."""


def parse(string: str) -> Stages:
    """Read an architecture string.

    Args:
        string: a list of lists of block strings, written as Python or JSON writes it.

    Raises:
        ArchitectureError: the string is not a list of lists of strings, or a token is unknown, malformed, missing,
            meaningless for its block, or there twice. The message names the token, the block and what is known.
    """
    if len(string) > _LONGEST_STRING:
        raise ArchitectureError(
            f"an architecture string must have at most {_LONGEST_STRING} characters; got {len(string)}"
        )
    try:
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            value: object = ast.literal_eval(string.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ArchitectureError(
            "an architecture string must be a list of lists of block strings such as "
            f"[['ds_r1_k3_s1_e1_c16_nre'], ['cn_r1_k1_s1_c960']]; got {string[:80]!r}"
        ) from error
    stages: list[tuple[BlockSpec, ...]] = []
    for s, stage in enumerate(_list(value, "an architecture string"), start=1):
        blocks = [
            _parse_block(block, f"stage {s}, block {b}") for b, block in enumerate(_list(stage, f"stage {s}"), start=1)
        ]
        stages.append(tuple(blocks))
    return tuple(stages)


def format(stages: Sequence[Sequence[BlockSpec]]) -> str:
    """Write an architecture string; `parse(format(stages)) == stages`, and equal networks give equal strings."""
    return repr([[str(block) for block in stage] for stage in stages])


def build(
    architecture: str | Stages,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem_channels: int = 32,
    stem_stride: Literal[1, 2] = 2,
    head_channels: int = 1280,
    activation: Activation = "hs",
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> MobileNetV3:
    """Build timm's `MobileNetV3` from an architecture string, with fresh weights.

    With the defaults it is what timm builds for `hardcorenas_a` to `_f`: the same parameters by name and shape, and
    the same output for the same weights. Widths in a string are final, so a network of the published large variant
    (width multiplier 1.2) needs only its stem told: `stem_channels=40`.

    Args:
        architecture: the string, or what `parse` made of it.
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        stem_channels: outputs of the 3x3 stem convolution.
        stem_stride: 2, or 1 for small images.
        head_channels: outputs of the 1x1 convolution after pooling.
        activation: of the stem, the head and every block that names none.
        drop_rate: dropout before the classifier.
        drop_path_rate: stochastic depth of the last block; it grows linearly with the depth.

    Raises:
        ArchitectureError: the string is wrong, or asks for what timm's builder would quietly change: a stride other
            than 1 or 2, a stride after a stage's first block, or strides of more than 32 altogether.
    """
    stages = parse(architecture) if isinstance(architecture, str) else architecture
    _check_strides(stages)
    network = MobileNetV3(
        block_args=decode_arch_def([[str(block) for block in stage] for stage in stages]),
        num_classes=num_classes,
        in_chans=in_channels,
        stem_size=stem_channels,
        fix_stem=True,
        num_features=head_channels,
        norm_layer=nn.BatchNorm2d,
        act_layer=get_act_layer(ACTIVATIONS[activation]),
        se_layer=SQUEEZE_EXCITE,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )
    if stem_stride == 1:
        network.conv_stem.stride = (1, 1)
        for feature in network.feature_info:
            feature["reduction"] //= 2
    return network


def _parse_block(block: object, where: str) -> BlockSpec:
    if not isinstance(block, str):
        raise ArchitectureError(f"{where}: a block must be a string such as 'ir_r1_k3_s1_e3_c24'; got {block!r}")
    type_, *tokens = block.split("_")
    where = f"{where} ({block[:80]!r})"
    if type_ not in _REQUIRED:
        raise ArchitectureError(f"{where}: unknown block type {type_!r}; known types: {', '.join(_REQUIRED)}")
    values: dict[str, str] = {}
    for token in tokens:
        match = _TOKEN.fullmatch(token)
        key = "noskip" if token == "noskip" else "n" if match and match["act"] else match["key"] if match else ""
        if match is None or (key in _WHOLE_NUMBERS and "." in token):
            raise ArchitectureError(f"{where}: unknown token {token!r}; known tokens: {_KNOWN_TOKENS}")
        if key in values:
            raise ArchitectureError(f"{where}: token {token!r} repeats {key!r}, which is already given; keep one")
        if key not in _REQUIRED[type_] and key not in _OPTIONAL[type_]:
            raise ArchitectureError(f"{where}: {_meaningless(token, type_)}")
        values[key] = match["number"] or match["act"] or token
    missing = [key for key in _REQUIRED[type_] if key not in values]
    if missing:
        raise ArchitectureError(
            f"{where}: missing token {', '.join(map(repr, missing))}; "
            f"a {type_!r} block needs {', '.join(_REQUIRED[type_])}"
        )
    activation = values.get("n")
    try:
        return BlockSpec(
            type=next(known for known in get_args(BlockType) if known == type_),
            kernel=int(values["k"]),
            stride=int(values["s"]),
            channels=int(values["c"]),
            repeats=int(values["r"]),
            expansion=float(values.get("e", 1)),
            squeeze_excite=float(values["se"]) if "se" in values else None,
            activation=next((known for known in get_args(Activation) if known == activation), None),
            noskip="noskip" in values,
        )
    except ArchitectureError as error:
        raise ArchitectureError(f"{where}: {error}") from None


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list) or not value:
        raise ArchitectureError(f"{what} must be a list with at least one element; got {value!r:.80}")
    return value


def _meaningless(token: str, type_: str) -> ArchitectureError:
    allowed = [*_REQUIRED[type_], *sorted(_OPTIONAL[type_])]
    return ArchitectureError(f"token {token!r} means nothing for a {type_!r} block, which has {', '.join(allowed)}")


def _number(value: float) -> str:
    return np.format_float_positional(value, trim="-")


def _check_strides(stages: Stages) -> None:
    total = 2
    for s, stage in enumerate(stages, start=1):
        for b, block in enumerate(stage, start=1):
            where = f"stage {s}, block {b} ({str(block)!r})"
            if block.stride > 2:
                raise ArchitectureError(f"{where}: token 's{block.stride}': MobileNetV3 is built with strides 1 and 2")
            if block.stride > 1 and b > 1:
                raise ArchitectureError(
                    f"{where}: token 's{block.stride}': only the first block of a stage may have a stride above 1"
                )
            total *= block.stride
    if total > _LARGEST_OUTPUT_STRIDE:
        raise ArchitectureError(
            f"the strides multiply to {total}, the stem's 2 included; "
            f"timm dilates instead of striding beyond {_LARGEST_OUTPUT_STRIDE}, so use fewer"
        )
