"""Example inputs at the batch size that is measured."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = ["batched"]

Inputs = TypeVar("Inputs", bound=Tensor | tuple[Any, ...] | dict[str, Any])


def batched(inputs: Inputs, batch_size: int) -> Inputs:
    """The same inputs with `batch_size` images: the first image of every tensor that has the batch dimension.

    The batch dimension is the first one; tensors whose first dimension differs from the first tensor's (a table that
    all images share) stay as they are, and so does everything when the batch is right already.

    Args:
        inputs: what a model is called with: a tensor, a tuple or a dict.
        batch_size: how many images a run takes.
    """
    values = [inputs] if isinstance(inputs, Tensor) else list(inputs.values() if isinstance(inputs, dict) else inputs)
    sizes = [value.shape[0] for value in values if isinstance(value, Tensor) and value.ndim > 0]
    if not sizes or sizes[0] == batch_size:
        return inputs

    def resized(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.ndim == 0 or value.shape[0] != sizes[0]:
            return value
        return torch.cat([value[:1]] * batch_size)

    if isinstance(inputs, Tensor):
        result: Any = resized(inputs)
    elif isinstance(inputs, dict):
        result = {name: resized(value) for name, value in inputs.items()}
    else:
        result = tuple(resized(value) for value in inputs)
    return result  # type: ignore[no-any-return]
