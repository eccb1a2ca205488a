"""Parts of tensors, and layers that use them."""

from __future__ import annotations

import torch
from torch import nn

from hwnas.nn.slicing import block_diagonal, centre, leading, leading_in_groups, shallow_copy, slice_linear


def test_leading_and_centre_are_views_and_the_whole_is_itself() -> None:
    x = torch.arange(35.0).reshape(5, 7)
    assert leading(x, 5, 7) is x
    torch.testing.assert_close(leading(x, 2, 3), x[:2, :3])
    assert leading(x, 2, 3).data_ptr() == x.data_ptr()
    assert centre(x, (5, 7)) is x
    torch.testing.assert_close(centre(x, (3, 1)), x[1:4, 3:4])
    torch.testing.assert_close(centre(x, (2,)), x[:, 2:4])


def test_leading_in_groups_takes_of_every_group() -> None:
    x = torch.arange(12)
    assert leading_in_groups(x, (3, 4), 2, 3).tolist() == [0, 1, 2, 4, 5, 6]
    assert leading_in_groups(x, (3, 4), 2, 4).tolist() == list(range(8))
    assert leading_in_groups(x, (3, 4), 1, 2).tolist() == [0, 1]


def test_block_diagonal_is_what_a_dense_convolution_needs_to_be_grouped() -> None:
    dense = torch.randn(4, 6, 3)
    grouped = block_diagonal(dense, 2)
    assert grouped.shape == (4, 3, 3)
    masked = torch.zeros_like(dense)
    masked[:2, :3], masked[2:, 3:] = dense[:2, :3], dense[2:, 3:]
    x = torch.randn(2, 6, 8)
    torch.testing.assert_close(torch.nn.functional.conv1d(x, grouped, groups=2), torch.nn.functional.conv1d(x, masked))
    assert block_diagonal(dense, 1) is dense


def test_slice_linear() -> None:
    layer = nn.Linear(4, 3)
    assert slice_linear(layer, 4, 3) is layer
    small = slice_linear(layer, 2, 3)
    assert type(small) is nn.Linear
    assert small.in_features == 2
    x = torch.randn(5, 2)
    torch.testing.assert_close(small(x), x @ layer.weight[:, :2].T + layer.bias)
    assert slice_linear(nn.Linear(4, 3, bias=False), 2, 2).bias is None


def test_shallow_copy_leaves_the_original_alone() -> None:
    layer = nn.Linear(4, 3)
    before = dict(layer.__dict__)
    copy = shallow_copy(layer, nn.Linear, weight=layer.weight[:2], bias=layer.bias, out_features=2)
    assert layer.__dict__ == before
    assert "bias" not in copy.__dict__
    assert copy.weight.shape == (2, 4)
