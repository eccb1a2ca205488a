"""What a step does not use stays as it is, also within a tensor.

An elastic layer trains a slice of its tensors; the rest of the gradient is zero, not None, and an optimiser would let
the rest decay and coast on its momentum.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

__all__ = ["unused_kept"]


@contextlib.contextmanager
@torch.no_grad()
def unused_kept(parameters: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Around an optimiser step: entries whose gradient is exactly zero keep their value and their momentum.

    (Those of a used slice whose gradient happens to be zero, as behind a dead ReLU, keep theirs too.)
    """
    masks = [(parameter, parameter.grad == 0) for parameter in parameters if parameter.grad is not None]
    partly = torch.stack([unused.any() for _, unused in masks]).tolist() if masks else []
    kept: list[tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]] = []
    for (parameter, unused), is_partly in zip(masks, partly, strict=True):
        if is_partly:
            state = optimizer.state.get(parameter, {})
            before = {key: value.clone() for key, value in state.items() if _is_like(value, parameter)}
            kept.append((parameter, unused, parameter.clone(), before))
    yield
    for changed, unused, value, before in kept:
        torch.where(unused, value, changed, out=changed)
        for key, now in optimizer.state[changed].items():
            if _is_like(now, changed):
                torch.where(unused, before[key] if key in before else torch.zeros_like(now), now, out=now)


def _is_like(value: object, parameter: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == parameter.shape
