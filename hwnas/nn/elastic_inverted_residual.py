"""An inverted residual block whose kernel, widths and squeeze-excite may vary.

Mark Sandler et al.: "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
https://arxiv.org/abs/1801.04381; sharing its weights among widths and kernels is from Han Cai et al.: "Once-for-All",
ICLR 2020, https://arxiv.org/abs/1908.09791, without their transformation matrices for kernels.

    1x1 expand, norm, act -> depthwise k x k, norm, act -> squeeze-excite -> 1x1 project, norm (-> plus the input)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from timm.layers import make_divisible
from timm.models._efficientnet_blocks import InvertedResidual, SqueezeExcite
from timm.models._efficientnet_builder import round_channels
from torch import Tensor, nn

from hwnas.errors import SpaceError
from hwnas.nn.argument import Argument, Elastic, Slot
from hwnas.nn.choice_module import ChoiceModule
from hwnas.space import Option

__all__ = ["ElasticInvertedResidual"]

_SQUEEZE_EXCITE = partial(SqueezeExcite, gate_layer="hard_sigmoid", force_act_layer=nn.ReLU, rd_round_fn=round_channels)
_IDENTITY = nn.Identity()

M = TypeVar("M", bound=nn.Module)


class ElasticInvertedResidual(ChoiceModule):
    """timm's `InvertedResidual` with elastic arguments; the smaller blocks are slices of the largest.

    A width takes the first channels, a smaller kernel the centre of the larger one. Squeeze-excite has its own weights,
    of which a block takes as many as its width needs. All options share the batch norms, running statistics included,
    so those must be estimated anew for a subnet before it is evaluated. The inner width is `in_channels * expansion`,
    rounded to a multiple of 8 but never below 90 %; the reduced width of squeeze-excite is the inner width times
    the ratio, rounded likewise. The block adds its input where the stride is 1 and both widths agree.

    Frozen, it is timm's `InvertedResidual`, with timm's names of the weights.

    Attributes:
        block: the largest block, which holds the weights.
    """

    def __init__(
        self,
        in_channels: Elastic[int],
        out_channels: Elastic[int],
        *,
        kernel_size: Elastic[int] = 3,
        expansion: Elastic[float] = 6.0,
        squeeze_excite: Elastic[float] = 0.0,
        stride: int = 1,
        activation: type[nn.Module] = nn.ReLU,
        drop_path_rate: float = 0.0,
    ) -> None:
        """Make the block with fresh weights.

        Args:
            in_channels: channels of the input.
            out_channels: channels of the output.
            kernel_size: side of the depthwise kernel, odd.
            expansion: inner width as a multiple of the input's.
            squeeze_excite: reduced width of squeeze-excite as a multiple of the inner width; 0 for none.
            stride: of the depthwise convolution.
            activation: after the first two batch norms.
            drop_path_rate: how often training leaves the block out, where it adds its input.

        Raises:
            SpaceError: a value out of range.
        """
        super().__init__()
        self._arguments: dict[str, Argument[Any]] = {
            "in_channels": Argument("in_channels", in_channels, check=_is_width, expected="a positive integer"),
            "out_channels": Argument("out_channels", out_channels, check=_is_width, expected="a positive integer"),
            "kernel_size": Argument("kernel_size", kernel_size, check=_is_kernel, expected="a positive odd integer"),
            "expansion": Argument("expansion", expansion, check=_is_positive, expected="a positive number"),
            "squeeze_excite": Argument("squeeze_excite", squeeze_excite, check=_is_ratio, expected="between 0 and 1"),
        }
        if not _is_width(stride):
            raise SpaceError(f"`stride` must be a positive integer; got {stride!r}.")
        largest = {name: max(argument.values) for name, argument in self._arguments.items()}
        ratio = largest["squeeze_excite"]
        self._stride = stride
        self.block = InvertedResidual(
            largest["in_channels"],
            largest["out_channels"],
            dw_kernel_size=largest["kernel_size"],
            stride=stride,
            exp_ratio=largest["expansion"],
            act_layer=activation,
            se_layer=partial(_SQUEEZE_EXCITE, rd_ratio=ratio) if ratio else None,
            drop_path_rate=drop_path_rate,
        )

    def slots(self) -> tuple[Slot, ...]:
        """One slot for each argument that varies."""
        return tuple(argument.slot for argument in self._arguments.values() if argument.slot is not None)

    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """timm's block of the chosen sizes; its tensors are slices of this one's."""
        values = {name: argument.value(options) for name, argument in self._arguments.items()}
        in_channels, out_channels = values["in_channels"], values["out_channels"]
        inner = int(make_divisible(in_channels * values["expansion"]))
        largest = self.block
        if values["squeeze_excite"]:
            reduced = int(round_channels(inner * values["squeeze_excite"]))
            se = _copied(
                largest.se,
                modules={
                    "conv_reduce": _convolution(largest.se.conv_reduce, inner, reduced),
                    "conv_expand": _convolution(largest.se.conv_expand, reduced, inner),
                },
            )
        else:
            se = _copied(_IDENTITY, training=self.training)
        return _copied(
            largest,
            modules={
                "conv_pw": _convolution(largest.conv_pw, in_channels, inner),
                "bn1": _batch_norm(largest.bn1, inner),
                "conv_dw": _depthwise(largest.conv_dw, inner, values["kernel_size"]),
                "bn2": _batch_norm(largest.bn2, inner),
                "se": se,
                "conv_pwl": _convolution(largest.conv_pwl, inner, out_channels),
                "bn3": _batch_norm(largest.bn3, out_channels),
            },
            has_skip=self._stride == 1 and in_channels == out_channels,
        )


def _copied(module: M, *, modules: Mapping[str, nn.Module] | None = None, **attributes: object) -> M:
    """A copy of a module that shares its tensors, with other children and attributes; some 2 us."""
    copy = object.__new__(type(module))
    copy.__dict__.update(module.__dict__)
    if modules is not None:
        copy.__dict__["_modules"] = {**module._modules, **modules}
    copy.__dict__.update(attributes)
    return copy


def _convolution(layer: nn.Conv2d, in_channels: int, out_channels: int) -> nn.Conv2d:
    """The first channels of a 1x1 convolution."""
    if (in_channels, out_channels) == (layer.in_channels, layer.out_channels):
        return layer
    sliced = _copied(
        layer, in_channels=in_channels, out_channels=out_channels, weight=layer.weight[:out_channels, :in_channels]
    )
    if layer.bias is not None:
        sliced.__dict__["bias"] = layer.bias[:out_channels]
    return sliced


def _depthwise(layer: nn.Conv2d, channels: int, kernel: int) -> nn.Conv2d:
    """The first channels of a depthwise convolution, and the centre of its kernel."""
    if (channels, kernel) == (layer.out_channels, layer.kernel_size[0]):
        return layer
    edge = (layer.kernel_size[0] - kernel) // 2
    return _copied(
        layer,
        weight=layer.weight[:channels, :, edge : edge + kernel, edge : edge + kernel],
        in_channels=channels,
        out_channels=channels,
        groups=channels,
        kernel_size=(kernel, kernel),
        padding=(kernel // 2, kernel // 2),
    )


def _batch_norm(layer: nn.BatchNorm2d, channels: int) -> nn.BatchNorm2d:
    """The first channels of a batch norm; its running statistics are written through."""
    if channels == layer.num_features:
        return layer
    buffers = {
        name: buffer[:channels] if isinstance(buffer, Tensor) and buffer.dim() else buffer
        for name, buffer in layer._buffers.items()
    }
    return _copied(
        layer, weight=layer.weight[:channels], bias=layer.bias[:channels], num_features=channels, _buffers=buffers
    )


def _is_width(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_kernel(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0 and value % 2 == 1


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_ratio(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
