"""Normalisation whose width may vary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hwnas.errors import SpaceError
from hwnas.nn.argument import Argument, Elastic
from hwnas.nn.elastic_layer import ElasticLayer, is_positive
from hwnas.nn.slicing import leading, shallow_copy
from hwnas.space import Option

__all__ = ["ElasticBatchNorm1d", "ElasticBatchNorm2d", "ElasticBatchNorm3d", "ElasticLayerNorm"]


class _ElasticBatchNorm(ElasticLayer, _BatchNorm):
    """The widest batch norm; narrower ones use the first channels, and update their running statistics in place.

    All widths share the running statistics, which therefore fit none: re-estimate them before a subnet is scored.
    """

    plain: ClassVar[type[nn.BatchNorm1d] | type[nn.BatchNorm2d] | type[nn.BatchNorm3d]]

    def __init__(
        self,
        num_features: Elastic[int],
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        """Makes the widest batch norm; the arguments after the first are PyTorch's.

        Raises:
            SpaceError: features that are not positive integers.
        """
        self._arguments = {
            "num_features": Argument("num_features", num_features, check=is_positive, expected="a positive integer")
        }
        initialise: Any = self.plain.__init__
        initialise(self, max(self._arguments["num_features"].values), eps, momentum, affine, track_running_stats)

    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """The batch norm of the chosen width."""
        num = self._arguments["num_features"].value(options)
        buffers: dict[str, Tensor | None] = {
            name: leading(buffer, num) if buffer is not None and buffer.dim() else buffer
            for name, buffer in self._buffers.items()
        }
        parameters = {
            name: None if parameter is None else leading(parameter, num) for name, parameter in self._parameters.items()
        }
        return shallow_copy(
            self, self.plain, without=self.own_attributes, num_features=num, _buffers=buffers, **parameters
        )


class ElasticBatchNorm1d(_ElasticBatchNorm, nn.BatchNorm1d):
    """`nn.BatchNorm1d` with an elastic width."""

    plain = nn.BatchNorm1d


class ElasticBatchNorm2d(_ElasticBatchNorm, nn.BatchNorm2d):
    """`nn.BatchNorm2d` with an elastic width."""

    plain = nn.BatchNorm2d


class ElasticBatchNorm3d(_ElasticBatchNorm, nn.BatchNorm3d):
    """`nn.BatchNorm3d` with an elastic width."""

    plain = nn.BatchNorm3d


class ElasticLayerNorm(ElasticLayer, nn.LayerNorm):
    """`nn.LayerNorm` with an elastic shape; smaller ones use the first entries of every dimension."""

    def __init__(
        self,
        normalized_shape: Elastic[int | tuple[int, ...]],
        *,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        """Makes the largest layer norm; the arguments after the first are PyTorch's.

        Args:
            normalized_shape: elastic: the last dimension, or a tuple of the last dimensions.
            eps: added to the variance.
            elementwise_affine: whether there are a weight and a bias.
            bias: whether there is a bias beside the weight.

        Raises:
            SpaceError: shapes that are not positive, or of different numbers of dimensions.
        """
        argument: Argument[int | tuple[int, ...]] = Argument(
            "normalized_shape",
            normalized_shape,
            check=lambda shape: all(map(is_positive, _shape(shape))) and bool(_shape(shape)),
            expected="a positive integer or a tuple of them",
        )
        self._arguments = {"normalized_shape": argument}
        shapes = [_shape(value) for value in argument.values]
        if len({len(shape) for shape in shapes}) > 1:
            raise SpaceError(f"`normalized_shape` must have one number of dimensions; got {shapes}.")
        largest = tuple(max(sizes) for sizes in zip(*shapes, strict=True))
        nn.LayerNorm.__init__(self, largest, eps, elementwise_affine, bias)

    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """The layer norm of the chosen shape."""
        shape = _shape(self._arguments["normalized_shape"].value(options))
        parameters = {
            name: None if parameter is None else leading(parameter, *shape)
            for name, parameter in self._parameters.items()
        }
        return shallow_copy(self, nn.LayerNorm, without=self.own_attributes, normalized_shape=shape, **parameters)


def _shape(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)
