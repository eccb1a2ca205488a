"""Batches one after the other, read ahead by worker processes where a part has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from hwnas.data.part import Batch, Indices, Part
from hwnas.errors import DataError

__all__ = ["Request", "nth_batch", "stream"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """Which images of a part make a batch, and the seed of their augmentation (None: none)."""

    indices: Indices
    seed: tuple[int, ...] | None = None


def nth_batch(num: int, batch_size: int, number: int, *, seed: tuple[int, ...]) -> Indices:
    """Batch `number` of an endless series over `num` images, which goes through them in another order each time.

    An incomplete batch at the end of a pass is left out.

    Args:
        num: of the images.
        batch_size: at most `num`.
        number: from 0.
        seed: of the orders.
    """
    per_pass = num // batch_size
    order = np.random.default_rng([*seed, number // per_pass]).permutation(num)
    place = number % per_pass * batch_size
    return order[place : place + batch_size]


def stream(part: Part, requests: Iterable[Request]) -> Iterator[Batch]:
    """The requested batches, in order.

    What a batch holds depends on its request alone, so that a stream may begin anywhere and the number of workers
    changes nothing.
    """
    num_workers = getattr(part, "num_workers", 0)
    if num_workers == 0:
        return (part.batch(request.indices, seed=request.seed) for request in requests)
    loader = DataLoader(
        _ByRequest(part),
        sampler=requests,
        batch_size=None,
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
    )
    return (_raised(batch) for batch in loader)


def _raised(batch: Batch | str) -> Batch:
    if isinstance(batch, str):
        raise DataError(batch)
    return batch


class _ByRequest(Dataset[Any]):
    """A part whose items are batches, as DataLoader without automatic batching wants it.

    Where data cannot be read the item is what the error says: raised in a worker, it would become a whole traceback.
    """

    def __init__(self, part: Part) -> None:
        self._part = part

    def __getitem__(self, request: Request) -> Batch | str:
        try:
            return self._part.batch(request.indices, seed=request.seed)
        except DataError as error:
            return str(error)
