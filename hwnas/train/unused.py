"""What a step does not use stays as it is, also within a tensor.

An elastic layer trains a slice of its tensors; the rest of the gradient is zero, not None, and an optimiser would let
the rest decay and coast on its momentum.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["unused_kept"]


@contextlib.contextmanager
@torch.no_grad()
def unused_kept(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Around an optimiser step: entries whose gradient is exactly zero keep their value and their momentum.

    (Those of a used slice whose gradient happens to be zero, as behind a dead ReLU, keep theirs too.)
    """
    kept: list[tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]] = []
    for parameter in model.parameters():
        if parameter.grad is not None:
            unused = parameter.grad == 0
            if bool(unused.any()):
                state = optimizer.state.get(parameter, {})
                before = {key: value.clone() for key, value in state.items() if _is_like(value, parameter)}
                kept.append((parameter, unused, parameter.clone(), before))
    yield
    changed: Tensor
    for changed, unused, value, before in kept:
        changed.copy_(torch.where(unused, value, changed))
        for key, now in optimizer.state[changed].items():
            if _is_like(now, changed):
                now.copy_(torch.where(unused, before.get(key, torch.zeros_like(now)), now))


def _is_like(value: object, parameter: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == parameter.shape
