"""An inverted residual block whose kernel, widths and squeeze-excite may vary.

Mark Sandler et al.: "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
https://arxiv.org/abs/1801.04381; sharing its weights among widths and kernels is from Han Cai et al.: "Once-for-All",
ICLR 2020, https://arxiv.org/abs/1908.09791, without their transformation matrices for kernels.

    1x1 expand, norm, act -> depthwise k x k, norm, act -> squeeze-excite -> 1x1 project, norm (-> plus the input)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from timm.layers import make_divisible
from timm.models._efficientnet_blocks import InvertedResidual, SqueezeExcite
from timm.models._efficientnet_builder import round_channels
from torch import nn

from hwnas.errors import SpaceError
from hwnas.nn.argument import Argument, Elastic
from hwnas.nn.elastic_layer import ElasticLayer, is_positive
from hwnas.nn.slicing import centre, leading, shallow_copy
from hwnas.space import Option

__all__ = ["SQUEEZE_EXCITE", "ElasticInvertedResidual"]

SQUEEZE_EXCITE = partial(SqueezeExcite, gate_layer="hard_sigmoid", force_act_layer=nn.ReLU, rd_round_fn=round_channels)
"""timm's squeeze-excite with the settings of MobileNetV3."""

_IDENTITY = nn.Identity()


class ElasticInvertedResidual(ElasticLayer):
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
        self._arguments = {
            "in_channels": Argument("in_channels", in_channels, check=is_positive, expected="a positive integer"),
            "out_channels": Argument("out_channels", out_channels, check=is_positive, expected="a positive integer"),
            "kernel_size": Argument("kernel_size", kernel_size, check=_is_kernel, expected="a positive odd integer"),
            "expansion": Argument("expansion", expansion, check=_is_above_0, expected="a positive number"),
            "squeeze_excite": Argument("squeeze_excite", squeeze_excite, check=_is_ratio, expected="between 0 and 1"),
        }
        if not is_positive(stride):
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
            se_layer=partial(SQUEEZE_EXCITE, rd_ratio=ratio) if ratio else None,
            drop_path_rate=drop_path_rate,
        )

    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """timm's block of the chosen sizes; its tensors are slices of this one's."""
        values = {name: argument.value(options) for name, argument in self._arguments.items()}
        num_in, num_out = values["in_channels"], values["out_channels"]
        inner = int(make_divisible(num_in * values["expansion"]))
        block = self.block
        if values["squeeze_excite"]:
            se = _squeeze_excite(block.se, inner, int(round_channels(inner * values["squeeze_excite"])))
        else:
            se = shallow_copy(_IDENTITY, nn.Identity, training=self.training)
        children: dict[str, nn.Module] = {
            "conv_pw": _pointwise(block.conv_pw, num_in, inner),
            "bn1": _batch_norm(block.bn1, inner),
            "conv_dw": _depthwise(block.conv_dw, inner, values["kernel_size"]),
            "bn2": _batch_norm(block.bn2, inner),
            "se": se,
            "conv_pwl": _pointwise(block.conv_pwl, inner, num_out),
            "bn3": _batch_norm(block.bn3, num_out),
        }
        has_skip = self._stride == 1 and num_in == num_out
        selected: nn.Module = shallow_copy(
            block, InvertedResidual, has_skip=has_skip, _modules={**block._modules, **children}
        )
        return selected


def _pointwise(layer: nn.Conv2d, num_in: int, num_out: int) -> nn.Conv2d:
    """The first channels of a 1x1 convolution."""
    return shallow_copy(
        layer,
        nn.Conv2d,
        in_channels=num_in,
        out_channels=num_out,
        weight=leading(layer.weight, num_out, num_in),
        bias=None if layer.bias is None else leading(layer.bias, num_out),
    )


def _depthwise(layer: nn.Conv2d, channels: int, kernel: int) -> nn.Conv2d:
    """The first channels of a depthwise convolution, and the centre of its kernel."""
    return shallow_copy(
        layer,
        nn.Conv2d,
        in_channels=channels,
        out_channels=channels,
        groups=channels,
        kernel_size=(kernel, kernel),
        padding=(kernel // 2, kernel // 2),
        _reversed_padding_repeated_twice=[kernel // 2] * 4,
        weight=centre(leading(layer.weight, channels), (kernel, kernel)),
    )


def _squeeze_excite(layer: SqueezeExcite, channels: int, reduced: int) -> nn.Module:
    """The first channels of squeeze-excite, outside and inside."""
    children = {
        "conv_reduce": _pointwise(layer.conv_reduce, channels, reduced),
        "conv_expand": _pointwise(layer.conv_expand, reduced, channels),
    }
    sliced: nn.Module = shallow_copy(layer, SqueezeExcite, _modules={**layer._modules, **children})
    return sliced


def _batch_norm(layer: nn.BatchNorm2d, channels: int) -> nn.BatchNorm2d:
    """The first channels of a batch norm (and timm's activation in it); its statistics are written through."""
    if channels == layer.num_features:
        return layer
    buffers = {
        name: leading(buffer, channels) if buffer is not None and buffer.dim() else buffer
        for name, buffer in layer._buffers.items()
    }
    return shallow_copy(
        layer,
        type(layer),
        num_features=channels,
        _buffers=buffers,
        weight=leading(layer.weight, channels),
        bias=leading(layer.bias, channels),
    )


def _is_kernel(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0 and value % 2 == 1


def _is_above_0(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_ratio(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
