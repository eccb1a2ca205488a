"""From a view to a network of its own."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["copied"]


def copied(view: nn.Module) -> nn.Module:
    """A deep copy of a view in which slices of parameters and buffers are parameters and buffers.

    Tensors that were the same parameter, or the same slice of one, are one in the copy as well.

    Args:
        view: made without gradients, so that slices are leaves.
    """
    memo: dict[int, object] = {}
    slices: dict[tuple[object, ...], Tensor] = {}
    for module in _in_python(view):
        for name in module._parameters:
            value = module.__dict__.get(name)
            if isinstance(value, Tensor):
                memo[id(value)] = slices.setdefault(
                    _identity(value), nn.Parameter(value.detach().clone(), requires_grad=value.requires_grad)
                )
        for buffer in module._buffers.values():
            if buffer is not None:
                memo[id(buffer)] = slices.setdefault(_identity(buffer), buffer.detach().clone())
    result: nn.Module = copy.deepcopy(view, memo)
    for module in _in_python(result):
        for name in module._parameters:
            value = module.__dict__.pop(name, None)
            if isinstance(value, nn.Parameter):
                module._parameters[name] = value
    return result


def _in_python(module: nn.Module) -> Iterator[nn.Module]:
    """The modules below, but for those that TorchScript has compiled: they copy themselves and are never sliced."""
    return (inner for inner in module.modules() if not isinstance(inner, torch.jit.ScriptModule))


def _identity(tensor: Tensor) -> tuple[object, ...]:
    """Equal for tensors that are the same part of the same memory."""
    storage = tensor.untyped_storage()._cdata  # not data_ptr(), which is 0 for every tensor on the meta device
    return (storage, tensor.storage_offset(), tensor.dtype, tuple(tensor.shape), tensor.stride())
