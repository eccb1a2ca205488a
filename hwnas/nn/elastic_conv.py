"""Convolutions whose channels, kernel, stride, padding, dilation and groups may vary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, TypeAlias

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from hwnas.errors import SpaceError
from hwnas.nn.argument import Argument, Elastic, joint_values
from hwnas.nn.elastic_layer import ElasticLayer, is_positive, is_sizes
from hwnas.nn.slicing import block_diagonal, centre, leading, leading_in_groups, shallow_copy
from hwnas.space import Option

__all__ = ["ElasticConv1d", "ElasticConv2d", "ElasticConv3d"]

Sizes: TypeAlias = int | tuple[int, ...]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class _ElasticConv(ElasticLayer, _ConvNd):
    """The largest convolution; smaller ones use the first channels and the middle of the kernel.

    With groups the first channels are those of every group. The layout of the weight:

    - `groups` fixed, or channels of a group fixed (depthwise): the first groups, and of each the first channels;
    - otherwise the weight is that of a convolution without groups, and groups use the blocks on its diagonal.
    """

    plain: ClassVar[type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Conv3d]]
    num_dims: ClassVar[int]
    own_attributes = ("_arguments", "_depthwise", "_same", "_per_group")

    def __init__(
        self,
        in_channels: Elastic[int],
        out_channels: Elastic[int],
        kernel_size: Elastic[Sizes],
        stride: Elastic[Sizes] = 1,
        padding: Elastic[Sizes] | Literal["same"] = 0,
        dilation: Elastic[Sizes] = 1,
        groups: Elastic[int] | Literal["depthwise"] = 1,
        *,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
    ) -> None:
        """Makes the largest convolution, initialised as PyTorch does; the arguments are in its order.

        Args:
            in_channels: elastic.
            out_channels: elastic.
            kernel_size: elastic; an integer for all dimensions, or a tuple.
            stride: elastic, likewise.
            padding: elastic, likewise; "same" for `dilation * (kernel_size - 1) / 2`, whatever the stride.
            dilation: elastic, likewise.
            groups: elastic; "depthwise" for as many as input channels.
            bias: whether there is one.
            padding_mode: as in PyTorch.

        Raises:
            SpaceError: a value that is not possible, groups that do not divide the channels, or "same" with an even
                kernel.
        """
        num = self.num_dims
        sizes = f"a positive integer or a tuple of {num}"
        self._depthwise = groups == "depthwise"
        self._same = padding == "same"
        arguments: dict[str, Argument[Any]] = {
            "in_channels": Argument("in_channels", in_channels, check=is_positive, expected="a positive integer"),
            "out_channels": Argument("out_channels", out_channels, check=is_positive, expected="a positive integer"),
            "kernel_size": Argument("kernel_size", kernel_size, check=lambda size: is_sizes(size, num), expected=sizes),
            "stride": Argument("stride", stride, check=lambda size: is_sizes(size, num), expected=sizes),
            "dilation": Argument("dilation", dilation, check=lambda size: is_sizes(size, num), expected=sizes),
        }
        if not self._same:
            arguments["padding"] = Argument(
                "padding",
                padding,
                check=lambda size: is_sizes(size, num, least=0),
                expected=f'an integer of at least 0, a tuple of {num}, or "same"',
            )
        if not self._depthwise:
            arguments["groups"] = Argument(
                "groups", groups, check=is_positive, expected='a positive integer or "depthwise"'
            )
        self._arguments = arguments
        kernels = [self._tuple(size) for size in arguments["kernel_size"].values]
        if self._same and any(size % 2 == 0 for kernel in kernels for size in kernel):
            raise SpaceError(f'`padding="same"` needs odd kernels; got {kernels}. Give the padding as numbers.')
        stored, self._per_group = self._layout()
        initialise: Any = self.plain.__init__
        initialise(
            self,
            *stored[:2],
            tuple(max(kernel[dim] for kernel in kernels) for dim in range(num)),
            groups=stored[2],
            bias=bias,
            padding_mode=padding_mode,
        )

    def _tuple(self, size: Sizes) -> tuple[int, ...]:
        return size if isinstance(size, tuple) else (size,) * self.num_dims

    def _groups(self, values: Mapping[str, Any]) -> int:
        groups: int = values["in_channels"] if self._depthwise else values["groups"]
        return groups

    def _layout(self) -> tuple[tuple[int, int, int], bool]:
        """Input channels, output channels and groups as stored, and whether by groups."""
        widths = {
            name: argument
            for name, argument in self._arguments.items()
            if name in ("in_channels", "out_channels", "groups")
        }
        found = {(v["in_channels"], v["out_channels"], self._groups(v)) for v in joint_values(widths)}
        for num_in, num_out, groups in sorted(found):
            if num_in % groups or num_out % groups:
                raise SpaceError(
                    f"`groups` must divide the input and output channels; got {groups} groups for {num_in} and "
                    f'{num_out} channels. Share one Choice between them, or use groups="depthwise".'
                )
        most = max(groups for _, _, groups in found)
        most_in = max(num_in // groups for num_in, _, groups in found)
        most_out = max(num_out // groups for _, num_out, groups in found)
        by_groups = min(groups for _, _, groups in found) == most or most_in == min(n // g for n, _, g in found)
        if by_groups:
            return (most * most_in, most * most_out, most), True
        return (max(num_in for num_in, _, _ in found), max(num_out for _, num_out, _ in found), 1), False

    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """The convolution of the chosen sizes."""
        values = {name: argument.value(options) for name, argument in self._arguments.items()}
        num_in, num_out, groups = values["in_channels"], values["out_channels"], self._groups(values)
        kernel, dilation = self._tuple(values["kernel_size"]), self._tuple(values["dilation"])
        if self._same:
            padding = tuple(step * (size - 1) // 2 for size, step in zip(kernel, dilation, strict=True))
        else:
            padding = self._tuple(values["padding"])
        return shallow_copy(
            self,
            self.plain,
            without=self.own_attributes,
            in_channels=num_in,
            out_channels=num_out,
            groups=groups,
            kernel_size=kernel,
            stride=self._tuple(values["stride"]),
            dilation=dilation,
            padding=padding,
            _reversed_padding_repeated_twice=[size for size in reversed(padding) for _ in range(2)],
            weight=centre(self._channels(self.weight, num_in, num_out, groups), kernel),
            bias=None if self.bias is None else self._outputs(self.bias, num_out, groups),
        )

    def _channels(self, weight: Tensor, num_in: int, num_out: int, groups: int) -> Tensor:
        """The weights of the first channels: shape (num_out, num_in / groups, ...)."""
        if self._per_group:
            weight = self._outputs(weight, num_out, groups)
            return leading(weight, num_out, num_in // groups)
        return block_diagonal(leading(weight, num_out, num_in), groups)

    def _outputs(self, tensor: Tensor, num_out: int, groups: int) -> Tensor:
        """The first output channels, in dimension 0."""
        if not self._per_group:
            return leading(tensor, num_out)
        stored = (self.groups, self.out_channels // self.groups)
        return leading_in_groups(tensor, stored, groups, num_out // groups)


class ElasticConv1d(_ElasticConv, nn.Conv1d):
    """`nn.Conv1d` with elastic arguments."""

    plain = nn.Conv1d
    num_dims = 1


class ElasticConv2d(_ElasticConv, nn.Conv2d):
    """`nn.Conv2d` with elastic arguments."""

    plain = nn.Conv2d
    num_dims = 2


class ElasticConv3d(_ElasticConv, nn.Conv3d):
    """`nn.Conv3d` with elastic arguments."""

    plain = nn.Conv3d
    num_dims = 3
