"""A linear layer whose features may vary."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from hwnas.nn.argument import Argument, Elastic
from hwnas.nn.elastic_layer import ElasticLayer, is_positive
from hwnas.nn.slicing import leading, shallow_copy
from hwnas.space import Option

__all__ = ["ElasticLinear"]


class ElasticLinear(ElasticLayer, nn.Linear):
    """`nn.Linear` with elastic arguments; smaller layers use the first features.

    After `x.flatten(1)` of an image with elastic channels give `channels.map(lambda c: c * height * width)`.
    """

    def __init__(self, in_features: Elastic[int], out_features: Elastic[int], *, bias: bool = True) -> None:
        """Makes the largest layer, initialised as PyTorch does.

        Raises:
            SpaceError: features that are not positive integers.
        """
        self._arguments = {
            "in_features": Argument("in_features", in_features, check=is_positive, expected="a positive integer"),
            "out_features": Argument("out_features", out_features, check=is_positive, expected="a positive integer"),
        }
        num_in, num_out = (max(argument.values) for argument in self._arguments.values())
        nn.Linear.__init__(self, num_in, num_out, bias=bias)

    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """The linear layer of the chosen features."""
        num_in, num_out = (argument.value(options) for argument in self._arguments.values())
        return shallow_copy(
            self,
            nn.Linear,
            without=self.own_attributes,
            in_features=num_in,
            out_features=num_out,
            weight=leading(self.weight, num_out, num_in),
            bias=None if self.bias is None else leading(self.bias, num_out),
        )
