"""What an architecture step moves in the supernet and puts back, such as the running statistics of batch norm."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

__all__ = ["put_back"]


@contextlib.contextmanager
def put_back(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Gives copies of the tensors, and in the end their values back to them, to the last bit, also after an error."""
    kept = [(tensor, tensor.detach().clone()) for tensor in tensors]
    try:
        yield [value for _, value in kept]
    finally:
        with torch.no_grad():
            for tensor, value in kept:
                tensor.copy_(value)
