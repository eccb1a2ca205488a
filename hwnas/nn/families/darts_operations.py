"""The operations of DARTS's cells (section 3.1.1), and what brings a cell's inputs to its size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["OPERATIONS", "FactorizedReduce", "operation", "relu_conv_norm"]


class FactorizedReduce(nn.Module):
    """Half the resolution, by two 1x1 convolutions of which one takes the pixels between those of the other."""

    def __init__(self, in_channels: int, out_channels: int, *, affine: bool, relu: bool = True) -> None:
        """See the class.

        Args:
            in_channels: of the input, whose sides are even.
            out_channels: at least 2.
            affine: whether the batch norm learns a scale and a shift.
            relu: whether a ReLU comes first; ENAS halves without.
        """
        super().__init__()
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, affine=affine)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Shape (batch, out_channels, height / 2, width / 2)."""
        if self.relu:
            x = functional.relu(x)
        y: Tensor = self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], 1))
        return y


def relu_conv_norm(in_channels: int, out_channels: int, *, affine: bool) -> nn.Sequential:
    """Another number of channels, at the same resolution."""
    return nn.Sequential(
        nn.ReLU(), nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels, affine=affine)
    )


def operation(name: str, channels: int, *, stride: int, affine: bool) -> nn.Module:
    """One of the operations; a path through it can be dropped, but not one through an identity.

    Args:
        name: a key of `OPERATIONS`.
        channels: in and out.
        stride: 1 or 2.
        affine: whether batch norms learn a scale and a shift; without, pooling is followed by one as well.
    """
    layers = OPERATIONS[name](channels, stride, affine)
    return nn.Sequential(*layers, DropPath()) if layers else nn.Identity()


def _max_pool(channels: int, stride: int, affine: bool) -> list[nn.Module]:
    return _pool(nn.MaxPool2d(3, stride, padding=1), channels, affine)


def _average_pool(channels: int, stride: int, affine: bool) -> list[nn.Module]:
    return _pool(nn.AvgPool2d(3, stride, padding=1, count_include_pad=False), channels, affine)


def _pool(pool: nn.Module, channels: int, affine: bool) -> list[nn.Module]:
    return [pool] if affine else [pool, nn.BatchNorm2d(channels, affine=False)]


def _skip(channels: int, stride: int, affine: bool) -> list[nn.Module]:
    return [] if stride == 1 else [FactorizedReduce(channels, channels, affine=affine)]


def _separable(kernel: int) -> Callable[[int, int, bool], list[nn.Module]]:
    """A depthwise and a pointwise convolution, twice; only the first strides."""
    return lambda channels, stride, affine: [
        *_depthwise_pointwise(channels, kernel, stride, 1, affine),
        *_depthwise_pointwise(channels, kernel, 1, 1, affine),
    ]


def _dilated(kernel: int) -> Callable[[int, int, bool], list[nn.Module]]:
    """A depthwise convolution with dilation 2 and a pointwise one."""
    return lambda channels, stride, affine: _depthwise_pointwise(channels, kernel, stride, 2, affine)


def _depthwise_pointwise(channels: int, kernel: int, stride: int, dilation: int, affine: bool) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]


OPERATIONS: Mapping[str, Callable[[int, int, bool], list[nn.Module]]] = MappingProxyType(
    {
        "max_pool_3x3": _max_pool,
        "avg_pool_3x3": _average_pool,
        "skip_connect": _skip,
        "sep_conv_3x3": _separable(3),
        "sep_conv_5x5": _separable(5),
        "dil_conv_3x3": _dilated(3),
        "dil_conv_5x5": _dilated(5),
    }
)
"""By the names of the paper's code, from (channels, stride, affine) to layers; none for an identity."""
