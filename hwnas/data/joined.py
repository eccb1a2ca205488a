"""Several parts as one: the final network learns from all images that the search was allowed to see."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

from hwnas.data.part import Batch, Indices, Part
from hwnas.errors import DataError

__all__ = ["JoinedPart"]


class JoinedPart:
    """Parts of one data set, one after the other; each augments its own images. A `Part` itself.

    Args:
        parts: at least one; of the same classes.

    Raises:
        DataError: no part, or different numbers of classes.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        numbers = sorted({part.num_classes for part in parts})
        if len(numbers) != 1:
            raise DataError(f"Parts to join must be at least one, all with the same classes; got {numbers} classes.")
        self._parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self.num_classes = numbers[0]
        self.labels = torch.cat([part.labels for part in parts])
        self.num_workers = max(getattr(part, "num_workers", 0) for part in parts)
        self.sha256 = hashlib.sha256("".join(part.sha256 for part in parts).encode()).hexdigest()

    def __len__(self) -> int:
        return int(self._ends[-1])

    def batch(self, indices: Indices, *, seed: Sequence[int] | None = None) -> Batch:
        """The images at `indices` of the joined parts; see `Part`."""
        owners = np.searchsorted(self._ends, indices, side="right")
        batches = []
        for number in np.unique(owners).tolist():
            part = self._parts[number]
            own = indices[owners == number] - (self._ends[number] - len(part))
            batches.append(part.batch(own, seed=None if seed is None else (*seed, number)))
        order = torch.from_numpy(np.argsort(np.argsort(owners, kind="stable"), kind="stable"))  # back to that asked for
        inputs = zip(*(batch.inputs for batch in batches), strict=True)
        return Batch(
            inputs=tuple(torch.cat(tensors)[order] for tensors in inputs),
            labels=torch.cat([batch.labels for batch in batches])[order],
        )
