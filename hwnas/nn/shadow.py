"""Copies of modules for the traced pass, and what makes two modules run alike.

A shadow is a shallow copy whose call goes to the traced pass. It is in evaluation mode, its weights are meta tensors
(or, where data are needed, the weights themselves and copies of the buffers), and its child modules are shadows, so
that the model that is traced stays as it is.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["is_shadow", "original", "shadow_of", "structure_token"]

_STATE = ("_parameters", "_buffers", "_modules")
_ORIGINAL = "_hwnas_original"


def shadow_of(
    module: nn.Module,
    *,
    forward: Callable[[nn.Module], Callable[..., Any]],
    child: Callable[[str, nn.Module], nn.Module],
    tensor: Callable[[Tensor, bool], Tensor],
) -> nn.Module:
    """The shadow of a module.

    Args:
        module: to be copied.
        forward: from the shadow to what its call runs.
        child: from the name of a child module and the module to its shadow.
        tensor: from a tensor, and whether it is a buffer, to the one in its place.
    """
    shadow: nn.Module = object.__new__(type(module))
    attributes = dict(module.__dict__)
    parameters = {name: value if value is None else tensor(value, False) for name, value in module._parameters.items()}
    for name in module._parameters:  # a slice of a parameter is a plain attribute of its name
        if isinstance(attributes.get(name), Tensor):
            attributes[name] = tensor(attributes[name], False)
    attributes.update(
        _parameters=parameters,
        _buffers={name: value if value is None else tensor(value, True) for name, value in module._buffers.items()},
        _modules={name: value if value is None else child(name, value) for name, value in module._modules.items()},
        training=False,
        **{_ORIGINAL: module},
    )
    shadow.__dict__.update(attributes)
    shadow.__dict__["forward"] = forward(shadow)
    return shadow


def is_shadow(module: nn.Module) -> bool:
    """Whether the module is a shadow."""
    return _ORIGINAL in module.__dict__


def original(module: nn.Module) -> nn.Module:
    """What a shadow is the shadow of; any other module itself."""
    found = module.__dict__.get(_ORIGINAL, module)
    assert isinstance(found, nn.Module)
    return found


def structure_token(module: nn.Module) -> Any:
    """Equal for modules that run the same operators on inputs of the same shapes.

    That is those of the same types with the same attributes and shapes of weights; a module with an attribute that
    cannot be compared is like no other.
    """
    try:
        return _module_token(original(module))
    except _Incomparable:
        return id(original(module))


class _Incomparable(Exception):
    """An attribute of a kind that is not known to stay as it is."""


def _module_token(module: nn.Module) -> Any:
    parts: list[Any] = [type(module)]
    for name, value in module.__dict__.items():
        if name in _STATE:
            parts.append(
                tuple(
                    (key, _token(original(item) if isinstance(item, nn.Module) else item))
                    for key, item in value.items()
                )
            )
        elif name not in ("training", "_is_full_backward_hook"):
            parts.append((name, _token(value)))
    return tuple(parts)


def _token(value: Any) -> Any:
    if value is None or isinstance(value, int | float | str | torch.dtype | torch.device):
        return (type(value), value)
    if isinstance(value, Tensor):
        return (tuple(value.shape), value.dtype)
    if isinstance(value, nn.Module):
        return _module_token(value)
    if isinstance(value, list | tuple | set | frozenset):
        return (type(value), tuple(map(_token, value)))
    if isinstance(value, Mapping):
        return (type(value), tuple((_token(key), _token(item)) for key, item in value.items()))
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
        return value
    raise _Incomparable
