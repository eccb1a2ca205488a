"""Slices: plain PyTorch layers that use a part of a larger layer's tensors.

A sliced layer is a shallow copy of the larger one; where it uses a part of a parameter, that part lies in its
`__dict__`, where it hides the parameter, and gradients go through it. `ModelSpace.freeze` makes parameters of them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["block_diagonal", "centre", "leading", "leading_in_groups", "shallow_copy", "slice_linear"]

M = TypeVar("M", bound=nn.Module)


def shallow_copy(module: nn.Module, kind: type[M], *, without: Collection[str] = (), **attributes: Any) -> M:
    """A module that shares everything with another but what is given; some 2 us.

    Args:
        module: what to copy.
        kind: the class of the copy, whose forward needs no more than `module` has.
        without: attributes to leave out.
        attributes: attributes of the copy. A tensor that is already the parameter or buffer of that name is no change.
    """
    copy = object.__new__(kind)
    values = copy.__dict__
    values.update(module.__dict__)
    for name in without:
        del values[name]
    for name, value in attributes.items():
        if name not in module._parameters or value is not module._parameters[name]:
            values[name] = value
    return copy


def leading(tensor: Tensor, *sizes: int) -> Tensor:
    """The first `sizes[d]` entries in every dimension d; the tensor itself if that is all of it."""
    for dim, size in enumerate(sizes):
        if tensor.shape[dim] != size:
            tensor = tensor.narrow(dim, 0, size)
    return tensor


def centre(tensor: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """The middle of the last dimensions; where it cannot be in the middle, half a step before."""
    for dim, size in enumerate(sizes, start=tensor.dim() - len(sizes)):
        if tensor.shape[dim] != size:
            tensor = tensor.narrow(dim, (tensor.shape[dim] - size) // 2, size)
    return tensor


def leading_in_groups(tensor: Tensor, stored: tuple[int, int], groups: int, size: int) -> Tensor:
    """Of the first groups the first entries each, in dimension 0.

    Args:
        tensor: shape (stored groups * stored size, ...).
        stored: how many groups it has, and the size of each.
        groups: how many to take.
        size: how many entries of each.

    Returns:
        Shape (groups * size, ...).
    """
    if stored[1] == size or groups == 1:
        return leading(tensor, groups * size)
    parts = tensor.reshape(*stored, *tensor.shape[1:])
    return leading(parts, groups, size).flatten(0, 1)


def block_diagonal(weight: Tensor, groups: int) -> Tensor:
    """The weight of a grouped convolution, from the weight (out, in, ...) of one that is not grouped.

    Returns:
        Shape (out, in / groups, ...): for outputs of group g the inputs of group g.
    """
    if groups == 1:
        return weight
    num_out, num_in = weight.shape[:2]
    blocks = weight.reshape(groups, num_out // groups, groups, num_in // groups, *weight.shape[2:])
    return torch.cat([blocks[group, :, group] for group in range(groups)])


def slice_linear(layer: nn.Linear, in_features: int, out_features: int) -> nn.Linear:
    """The first features of a linear layer."""
    if (in_features, out_features) == (layer.in_features, layer.out_features):
        return layer
    return shallow_copy(
        layer,
        nn.Linear,
        in_features=in_features,
        out_features=out_features,
        weight=leading(layer.weight, out_features, in_features),
        bias=None if layer.bias is None else leading(layer.bias, out_features),
    )
