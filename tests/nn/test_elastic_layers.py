"""Elastic linear layers, norms and attention, against slices taken by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from hwnas.errors import SpaceError
from hwnas.nn import (
    ElasticAttention,
    ElasticBatchNorm1d,
    ElasticBatchNorm2d,
    ElasticBatchNorm3d,
    ElasticLayerNorm,
    ElasticLinear,
    ModelSpace,
)
from hwnas.space import Choice


def frozen(layer: nn.Module, **selection: Any) -> Any:
    model = ModelSpace(nn.Sequential(layer), torch.zeros(1))
    return model.freeze({f"0.{name}": option for name, option in selection.items()})[0]


def test_linear_takes_the_first_features() -> None:
    linear = ElasticLinear([2, 4], [3, 5])
    assert isinstance(linear, nn.Linear)
    small = frozen(linear, in_features=2, out_features=3)
    assert type(small) is nn.Linear
    x = torch.randn(6, 2)
    torch.testing.assert_close(small(x), functional.linear(x, linear.weight[:3, :2], linear.bias[:3]))
    assert frozen(ElasticLinear([2, 4], 3, bias=False), in_features=2).bias is None


@pytest.mark.parametrize(
    ("kind", "plain", "dims"),
    [
        (ElasticBatchNorm1d, nn.BatchNorm1d, 1),
        (ElasticBatchNorm2d, nn.BatchNorm2d, 2),
        (ElasticBatchNorm3d, nn.BatchNorm3d, 3),
    ],
)
def test_batch_norm_takes_the_first_channels_and_writes_statistics_through(kind: Any, plain: Any, dims: int) -> None:
    norm = kind([2, 4], momentum=0.3, eps=1e-3)
    nn.init.normal_(norm.weight)
    model = ModelSpace(nn.Sequential(norm), torch.zeros(1))
    reference = plain(2, momentum=0.3, eps=1e-3)
    reference.weight.data.copy_(norm.weight[:2])
    x = torch.randn(5, 2, *[3] * dims) + 2
    torch.testing.assert_close(model(x, {"0.num_features": 2}), reference(x))
    torch.testing.assert_close(norm.running_mean[:2], reference.running_mean)
    torch.testing.assert_close(norm.running_var, torch.cat([reference.running_var, torch.ones(2)]))
    small = model.eval().freeze({"0.num_features": 2})[0]
    assert type(small) is plain
    assert small.running_mean.untyped_storage().nbytes() == 8
    torch.testing.assert_close(small(x), reference.eval()(x))


def test_batch_norm_without_parameters_or_statistics() -> None:
    small = frozen(ElasticBatchNorm2d([2, 4], affine=False, track_running_stats=False), num_features=2)
    assert small.weight is None
    assert small.running_mean is None
    assert small(torch.randn(3, 2, 4, 4)).shape == (3, 2, 4, 4)


def test_layer_norm_takes_the_first_entries() -> None:
    norm = ElasticLayerNorm([4, 6])
    nn.init.normal_(norm.weight)
    small = frozen(norm, normalized_shape=4)
    x = torch.randn(3, 4)
    torch.testing.assert_close(small(x), functional.layer_norm(x, (4,), norm.weight[:4], norm.bias[:4]))
    image = ElasticLayerNorm([(2, 5), (3, 4)], bias=False)
    assert image.weight.shape == (3, 5)
    assert frozen(image, normalized_shape=(3, 4)).weight.shape == (3, 4)


def attention_by_hand(layer: ElasticAttention, x: torch.Tensor, heads: int, *, causal: bool) -> torch.Tensor:
    """nn.functional's own, which takes any inner width as separate projections of the whole."""
    width, inner = x.shape[-1], heads * layer.head_dim
    parts = []
    for linear in (layer.query, layer.key, layer.value):
        projected = functional.linear(x, linear.weight[:inner, :width], linear.bias[:inner])
        parts.append(projected.reshape(*x.shape[:2], heads, layer.head_dim))
    q, k, v = parts
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / layer.head_dim**0.5
    if causal:
        scores = scores.masked_fill(torch.ones(x.shape[1], x.shape[1]).triu(1).bool(), float("-inf"))
    mixed = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v).flatten(2)
    return functional.linear(mixed, layer.out.weight[:width, :inner], layer.out.bias[:width])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("width", "heads"), [(8, 1), (8, 4), (12, 2)])
def test_attention_takes_the_first_heads(width: int, heads: int, causal: bool) -> None:
    layer = ElasticAttention([8, 12], [1, 2, 4], head_dim=3, is_causal=causal)
    small = frozen(layer, embed_dim=width, num_heads=heads)
    x = torch.randn(2, 5, width)
    torch.testing.assert_close(small(x), attention_by_hand(layer, x, heads, causal=causal))
    assert not [m for m in small.modules() if type(m).__module__.startswith("hwnas")]
    assert set(small.state_dict()) == set(layer.state_dict())


def test_attention_is_multi_head_attention_where_that_exists() -> None:
    layer = ElasticAttention(Choice("width", (8,)), 2)
    reference = nn.MultiheadAttention(8, 2, batch_first=True)
    reference.in_proj_weight.data = torch.cat([layer.query.weight, layer.key.weight, layer.value.weight]).detach()
    reference.in_proj_bias.data = torch.cat([layer.query.bias, layer.key.bias, layer.value.bias]).detach()
    reference.out_proj.load_state_dict(layer.out.state_dict())
    x = torch.randn(2, 5, 8)
    model = ModelSpace(layer, x)
    torch.testing.assert_close(model(x, {"width": 8}), reference(x, x, x)[0])


def test_frozen_attention_has_dropout_of_its_own_mode() -> None:
    layer = ElasticAttention(8, [1, 2], head_dim=4, dropout=0.5)
    x = torch.randn(2, 5, 8)
    training = frozen(layer, num_heads=1)
    assert training(x).eq(0).any()
    assert not training.eval()(x).eq(0).any()


def test_errors() -> None:
    with pytest.raises(SpaceError, match=r"`out_features` must be a positive integer; got 1\.5"):
        ElasticLinear(2, [1.5])  # type: ignore[list-item]
    with pytest.raises(SpaceError, match="`num_features` must be a positive integer; got 0"):
        ElasticBatchNorm2d([0, 2])
    with pytest.raises(SpaceError, match="`normalized_shape` must be a positive integer or a tuple of them; got "):
        ElasticLayerNorm(())
    with pytest.raises(SpaceError, match=r"must have one number of dimensions; got \[\(4,\), \(2, 2\)\]"):
        ElasticLayerNorm([4, (2, 2)])
    with pytest.raises(SpaceError, match="most heads must divide the largest `embed_dim`; got 3 and 8"):
        ElasticAttention(8, [1, 3])
    with pytest.raises(SpaceError, match="`head_dim` must be a positive integer; got 0"):
        ElasticAttention(8, 2, head_dim=0)
    with pytest.raises(SpaceError, match="`dropout` must be at least 0 and below 1; got 1"):
        ElasticAttention(8, 2, dropout=1)
