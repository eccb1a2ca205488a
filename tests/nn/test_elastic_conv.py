"""Elastic convolutions, against slices taken by hand."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from hwnas.errors import SpaceError
from hwnas.nn import ElasticConv1d, ElasticConv2d, ElasticConv3d, ModelSpace
from hwnas.space import Choice


def space_of(layer: nn.Module, *shape: int) -> ModelSpace:
    return ModelSpace(nn.Sequential(layer), torch.zeros(shape))


def frozen(layer: nn.Module, **selection: Any) -> Any:
    """The layer under a selection by argument."""
    return space_of(layer, 1).freeze({f"0.{name}": option for name, option in selection.items()})[0]


def test_largest_is_an_ordinary_convolution() -> None:
    conv = ElasticConv2d([3, 6], [4, 8], [1, 5], padding="same", stride=2)
    assert isinstance(conv, nn.Conv2d)
    assert conv.weight.shape == (8, 6, 5, 5)
    largest = frozen(conv, in_channels=6, out_channels=8, kernel_size=5)
    assert type(largest) is nn.Conv2d
    assert repr(largest) == repr(nn.Conv2d(6, 8, 5, stride=2, padding=2))
    torch.testing.assert_close(largest.weight, conv.weight)


@pytest.mark.parametrize(
    ("kind", "reference", "dims"),
    [
        (ElasticConv1d, functional.conv1d, 1),
        (ElasticConv2d, functional.conv2d, 2),
        (ElasticConv3d, functional.conv3d, 3),
    ],
)
def test_smaller_ones_use_the_first_channels_and_the_middle(kind: Any, reference: Any, dims: int) -> None:
    conv = kind([2, 4], [3, 5], [1, 3], padding="same", dilation=[1, 2], stride=[1, 2])
    x = torch.randn(2, 2, *[6] * dims)
    selection = {"in_channels": 2, "out_channels": 3, "kernel_size": 1, "dilation": 2, "stride": 2}
    weight = conv.weight[(slice(3), slice(2), *[slice(1, 2)] * dims)]
    torch.testing.assert_close(frozen(conv, **selection)(x), reference(x, weight, conv.bias[:3], stride=2))
    selection["kernel_size"] = 3
    expected = reference(x, conv.weight[:3, :2], conv.bias[:3], stride=2, padding=2, dilation=2)
    torch.testing.assert_close(frozen(conv, **selection)(x), expected)


def test_kernels_and_padding_as_tuples_and_from_one_choice() -> None:
    kernel = Choice("kernel", (1, 3))
    conv = ElasticConv2d(2, 2, kernel, padding=kernel.map(lambda size: size // 2), padding_mode="reflect")
    model = space_of(conv, 1, 2, 6, 6)
    assert model.space.names == ("kernel",)
    x = torch.randn(1, 2, 6, 6)
    padded = functional.pad(x, (1, 1, 1, 1), mode="reflect")
    torch.testing.assert_close(model(x, {"kernel": 3}), functional.conv2d(padded, conv.weight, conv.bias))
    assert model(x, {"kernel": 1}).shape == x.shape

    oblong = ElasticConv2d(2, 2, [(3, 1), (1, 5)], padding="same")
    assert oblong.weight.shape[2:] == (3, 5)
    layer = frozen(oblong, kernel_size=(3, 1))
    assert layer.padding == (1, 0)
    torch.testing.assert_close(layer.weight, oblong.weight[:, :, :, 2:3])


def test_depthwise_takes_the_first_channels() -> None:
    width = Choice("width", (2, 3, 5))
    conv = ElasticConv2d(width, width, 3, groups="depthwise")
    assert conv.weight.shape == (5, 1, 3, 3)
    layer = space_of(conv, 1).freeze({"width": 3})[0]
    assert (layer.groups, layer.in_channels, layer.out_channels) == (3, 3, 3)
    torch.testing.assert_close(layer.weight, conv.weight[:3])
    same = ElasticConv2d(width, width, 3, groups=width)
    assert same.weight.shape == conv.weight.shape


def test_depthwise_with_a_multiplier_keeps_the_groups() -> None:
    width = Choice("width", (2, 4))
    conv = ElasticConv2d(width, width.map(lambda w: 3 * w), 1, groups="depthwise")
    assert conv.weight.shape == (12, 1, 1, 1)
    layer = space_of(conv, 1).freeze({"width": 2})[0]
    torch.testing.assert_close(layer.weight, conv.weight[:6])


def test_fixed_groups_take_the_first_channels_of_every_group() -> None:
    conv = ElasticConv2d([4, 8], [2, 6], 1, groups=2)
    assert conv.weight.shape == (6, 4, 1, 1)
    layer = frozen(conv, in_channels=4, out_channels=2)
    torch.testing.assert_close(layer.weight, conv.weight[[0, 3], :2])
    torch.testing.assert_close(layer.bias, conv.bias[[0, 3]])
    x = torch.randn(2, 4, 3, 3)
    by_hand = torch.cat(
        [functional.conv2d(x[:, :2], conv.weight[:1, :2]), functional.conv2d(x[:, 2:], conv.weight[3:4, :2])], 1
    )
    torch.testing.assert_close(layer(x) - layer.bias[:, None, None], by_hand)


def test_elastic_groups_use_the_blocks_of_the_dense_weight() -> None:
    conv = ElasticConv2d([4, 8], [4, 8], 1, groups=[1, 2, 4])
    assert conv.weight.shape == (8, 8, 1, 1)
    for num_in, num_out, groups in itertools.product((4, 8), (4, 8), (1, 2, 4)):
        layer = frozen(conv, in_channels=num_in, out_channels=num_out, groups=groups)
        x = torch.randn(2, num_in, 3, 3)
        mask = torch.zeros(num_out, num_in, 1, 1)
        rows, columns = num_out // groups, num_in // groups
        for group in range(groups):
            mask[group * rows : (group + 1) * rows, group * columns : (group + 1) * columns] = 1
        dense = functional.conv2d(x, conv.weight[:num_out, :num_in] * mask, conv.bias[:num_out])
        torch.testing.assert_close(layer(x), dense)


def test_gradients_of_groups_reach_their_rows() -> None:
    conv = ElasticConv2d([4, 8], [2, 6], 1, groups=2, bias=False)
    model = space_of(conv, 1, 8, 1, 1)
    model(torch.ones(1, 4, 1, 1), {"0.in_channels": 4, "0.out_channels": 2}).sum().backward()
    assert conv.weight.grad is not None
    assert conv.weight.grad.flatten(1)[[0, 3], :2].eq(1).all()
    assert conv.weight.grad.count_nonzero() == 4


def test_errors() -> None:
    with pytest.raises(SpaceError, match="`in_channels` must be a positive integer; got 0"):
        ElasticConv2d(0, 4, 3)
    with pytest.raises(SpaceError, match=r"`kernel_size` must be a positive integer or a tuple of 2; got \(3,\)"):
        ElasticConv2d(2, 4, (3,))
    with pytest.raises(SpaceError, match='`padding` must be an integer of at least 0, a tuple of 2, or "same"; got -1'):
        ElasticConv2d(2, 4, 3, padding=-1)
    with pytest.raises(SpaceError, match="`groups` must be a positive integer or \"depthwise\"; got 'all'"):
        ElasticConv2d(2, 4, 3, groups="all")  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match='`padding="same"` needs odd kernels'):
        ElasticConv2d(2, 4, [2, 3], padding="same")
    with pytest.raises(SpaceError, match="must divide the input and output channels; got 4 groups for 4 and 6"):
        ElasticConv2d(4, [6, 8], 3, groups=4)
