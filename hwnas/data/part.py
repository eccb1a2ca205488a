"""One part of a data set: batches of it by index, its labels, its hash.

A part hands out whole batches, not images: for tensors that is one indexing operation, which is what keeps small
networks from waiting for their data. B is the number of images in a batch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import default_collate

from hwnas.errors import DataError

__all__ = ["Augmentation", "Batch", "DatasetPart", "Indices", "Normalisation", "Part", "TensorPart"]

Indices = npt.NDArray[np.int64]

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
"""Changes a batch of raw images (B, C, H, W) at random; the randomness comes from the generator alone."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Inputs of a model, as it takes them one after the other, and labels: int64 (B,) of classes, or (B, ...)."""

    inputs: tuple[Tensor, ...]
    labels: Tensor

    def to(self, device: torch.device, *, memory_format: torch.memory_format = torch.preserve_format) -> Batch:
        """The same batch on `device`; the memory format is that of the 4-D inputs."""
        inputs = tuple(
            x.to(device, non_blocking=True, memory_format=memory_format if x.ndim == 4 else torch.preserve_format)
            for x in self.inputs
        )
        return Batch(inputs=inputs, labels=self.labels.to(device, non_blocking=True))


class Part(Protocol):
    """One part of a data set.

    Guarantees: `batch` depends on its arguments only; without a seed nothing in it is random; `sha256` changes when
    the choice of images does, and, as far as each class promises it, when their content does.
    """

    @property
    def labels(self) -> Tensor:
        """The labels, on the CPU: int64 (n,) of classes, or whatever the task takes as its targets, (n, ...)."""
        ...

    @property
    def num_classes(self) -> int:
        """How many classes there are in the whole data set; 0 where targets are no classes."""
        ...

    @property
    def sha256(self) -> str:
        """The hash that identifies this part."""
        ...

    def __len__(self) -> int: ...

    def batch(self, indices: Indices, *, seed: Sequence[int] | None = None) -> Batch:
        """The images at `indices` of this part; augmented, with that seed, if one is given."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Normalisation:
    """Mean and standard deviation of every channel, (C,), of the images it was taken from."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, images_BCHW: Tensor) -> Normalisation:
        """The statistics of these images, exactly (summed in double precision); constant channels keep std 1."""
        sums = torch.zeros(images_BCHW.shape[1], dtype=torch.float64)
        squares = torch.zeros_like(sums)
        for chunk in torch.split(images_BCHW, 4096):
            x = chunk.double()
            sums += x.sum((0, 2, 3))
            squares += (x * x).sum((0, 2, 3))
        num = images_BCHW.numel() / images_BCHW.shape[1]
        mean = sums / num
        std = (squares / num - mean * mean).clamp(min=0.0).sqrt()
        return cls(mean=mean.float(), std=torch.where(std > 0, std, 1.0).float())

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """The images as float32 with mean 0 and standard deviation 1 where the statistics were taken."""
        return (images_BCHW.float() - self.mean[:, None, None]) / self.std[:, None, None]


class TensorPart:
    """A part whose data lie in memory as tensors; normalised and augmented a batch at a time.

    Args:
        inputs: tensors with the images of the whole data set along dimension 0, one for every input of the model.
        labels: of the whole data set.
        indices: which of them are in this part, in the part's order.
        num_classes: the number of classes in the whole data set; 0 where targets are no classes.
        normalisation: applied to the first input.
        augmentation: applied to the first input, before the normalisation, when a batch is asked for with a seed.
    """

    def __init__(
        self,
        inputs: Sequence[Tensor],
        labels: Tensor,
        indices: Indices,
        *,
        num_classes: int,
        normalisation: Normalisation | None = None,
        augmentation: Augmentation | None = None,
    ) -> None:
        self._inputs = tuple(inputs)
        self._indices = torch.from_numpy(np.ascontiguousarray(indices))
        self._normalisation = normalisation
        self._augmentation = augmentation
        self.labels = labels[self._indices]
        self.num_classes = num_classes
        self.sha256 = self._hash()

    def __len__(self) -> int:
        return len(self._indices)

    def batch(self, indices: Indices, *, seed: Sequence[int] | None = None) -> Batch:
        """The images at `indices` of this part; see `Part`."""
        positions = torch.from_numpy(indices)
        rows = self._indices[positions]
        first, *others = (x[rows] for x in self._inputs)
        if seed is not None and self._augmentation is not None:
            generator = torch.Generator().manual_seed(_torch_seed(seed))
            first = self._augmentation(first, generator)
        if self._normalisation is not None:
            first = self._normalisation(first)
        return Batch(inputs=(first, *others), labels=self.labels[positions])

    def _hash(self) -> str:
        """SHA-256 over the indices, and over the inputs and labels they pick."""
        digest = hashlib.sha256(_indices_bytes(self._indices.numpy()))
        for tensor in (*self._inputs, self.labels):
            digest.update(f"{tuple(tensor.shape[1:])} {tensor.dtype}".encode())
            rows = range(len(tensor)) if tensor is self.labels else self._indices
            for chunk in torch.split(torch.as_tensor(rows), 8192):
                digest.update(tensor[chunk].contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


class DatasetPart:
    """A part of any map-style torch data set whose items are `(input, ..., label)`.

    Args:
        dataset: the data set, without random transforms.
        labels: of the whole data set.
        indices: which of its items are in this part, in the part's order.
        num_classes: the number of classes in the whole data set; 0 where targets are no classes.
        content: what identifies the data set's content; goes into the hash together with the indices and labels.
        augmented: the same items with random transforms, used when a batch is asked for with a seed. The transforms
            may draw from `random`, numpy's and torch's global generators: they are seeded for every batch. Targets
            that are no classes are then the items' own: points in an image move with it.
        num_workers: the number of processes that read ahead while training.
    """

    def __init__(
        self,
        dataset: torch.utils.data.Dataset[Any],
        labels: Tensor,
        indices: Indices,
        *,
        num_classes: int,
        content: str,
        augmented: torch.utils.data.Dataset[Any] | None = None,
        num_workers: int = 0,
    ) -> None:
        self._dataset = dataset
        self._augmented = dataset if augmented is None else augmented
        self._indices = indices
        self.labels = labels[torch.from_numpy(indices)]
        self.num_classes = num_classes
        self.num_workers = num_workers
        digest = hashlib.sha256(_indices_bytes(indices))
        digest.update(self.labels.numpy().tobytes())
        digest.update(content.encode())
        self.sha256 = digest.hexdigest()

    def __len__(self) -> int:
        return len(self._indices)

    def batch(self, indices: Indices, *, seed: Sequence[int] | None = None) -> Batch:
        """The images at `indices` of this part; see `Part`."""
        rows = self._indices[indices].tolist()
        if seed is None:
            items = [_item(self._dataset, row) for row in rows]
        else:
            with _global_generators(seed):
                items = [_item(self._augmented, row) for row in rows]
        num_inputs = len(items[0]) - 1
        labels = self.labels[torch.from_numpy(indices)]
        try:
            inputs = tuple(default_collate([item[k] for item in items]) for k in range(num_inputs))
            if seed is not None and not self.num_classes:
                labels = default_collate([item[-1] for item in items]).reshape(labels.shape).to(labels.dtype)
        except (RuntimeError, TypeError) as error:
            raise DataError(
                f"Items of {type(self._dataset).__name__} do not stack into a batch ({error}); all items must be "
                "tensors of one shape and kind: resize them, or give the data set a transform."
            ) from error
        return Batch(inputs=inputs, labels=labels)


def _item(dataset: torch.utils.data.Dataset[Any], row: int) -> Any:
    try:
        return dataset[row]
    except OSError as error:
        raise DataError(f"Item {row} of the data cannot be read ({error}). Replace the file or remove it.") from error


def _indices_bytes(indices: Indices) -> bytes:
    return indices.astype("<i8").tobytes()


def _torch_seed(seed: Sequence[int]) -> int:
    return int(np.random.SeedSequence(list(seed)).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextlib.contextmanager
def _global_generators(seed: Sequence[int]) -> Iterator[None]:
    """Seed `random`, numpy's and torch's global generators, and put them back afterwards."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        number = _torch_seed(seed)
        random.seed(number)
        np.random.seed(number % 2**32)
        torch.default_generator.manual_seed(number)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
