"""Dividing data into the parts to train, to search and to test on.

The supernet learns from `train`; architectures are compared on `search`, which no weight has seen; `test` is touched
once, at the end. The parts are drawn by seed, class by class (stratified) and shuffled, never by file order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence, Sized
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset, default_collate

from hwnas.data.part import Augmentation, DatasetPart, Indices, Normalisation, Part, TensorPart
from hwnas.data.task import CLASSIFICATION, Task
from hwnas.errors import DataError

__all__ = ["Splits", "split"]

_FRACTION = 0.2
"""The part of the data that is held out for `search`, and for `test` where no test set is published."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Splits:
    """The parts of a data set.

    Made by `split` or `load_data`, or directly from three parts of one's own.

    Attributes:
        train: what weights and batch-norm statistics are learned from.
        search: what architectures are compared on.
        test: what the final network is tested on, once.
        task: what is asked of a network.

    Raises:
        DataError: for parts with different numbers of classes, or without an image of some class.
    """

    train: Part
    search: Part
    test: Part
    task: Task = CLASSIFICATION

    def __post_init__(self) -> None:
        for name, part in self.parts.items():
            if part is None or len(part) == 0:  # callers without types leave one out
                raise DataError(
                    f"The part `{name}` is missing or empty. Weights learn from `train`, architectures are compared on "
                    "`search`, and `test` is for the end: give all three, or let `split` divide one data set."
                )
            if not self.task.has_classes:
                continue
            if part.num_classes != self.train.num_classes:
                raise DataError(
                    f"All parts must have the same classes; `train` has {self.train.num_classes} and `{name}` has "
                    f"{part.num_classes}."
                )
            _require_classes(part.labels, num_classes=part.num_classes, what=f"the part `{name}`")

    @property
    def parts(self) -> Mapping[str, Part]:
        """The three parts by name."""
        return {"train": self.train, "search": self.search, "test": self.test}

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return self.train.num_classes

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of every part."""
        return {name: part.sha256 for name, part in self.parts.items()}

    def check_inputs(self, example_inputs: Sequence[Tensor]) -> None:
        """Raise unless the data have the shapes that a model's example inputs have, the batch apart.

        Raises:
            DataError: naming the input, its shape and the expected one.
        """
        for name, part in self.parts.items():
            inputs = part.batch(np.arange(1)).inputs
            if len(inputs) != len(example_inputs):
                raise DataError(
                    f"The model takes {len(example_inputs)} input(s), but `{name}` has {len(inputs)} an item."
                )
            for position, (given, example) in enumerate(zip(inputs, example_inputs, strict=True)):
                if given.shape[1:] != example.shape[1:]:
                    raise DataError(
                        f"Input {position} of `{name}` has the shape {tuple(given.shape[1:])} an item, but the space's "
                        f"example input has {tuple(example.shape[1:])}. Resize the data, or build the space for them."
                    )


def split(
    dataset: Dataset[Any],
    *,
    seed: int,
    test: Dataset[Any] | None = None,
    train_size: int | None = None,
    search_size: int | None = None,
    test_size: int | None = None,
    num_classes: int | None = None,
    normalise: bool = False,
    augmentation: Augmentation | None = None,
    augmented: Dataset[Any] | None = None,
    content: str = "",
    num_workers: int = 0,
    task: Task = CLASSIFICATION,
) -> Splits:
    """Divide a data set into train, search and test, shuffled by seed, and stratified by class where there are classes.

    Args:
        dataset: a map-style data set of `(input, ..., label)`, label an integer from 0. A `TensorDataset` is served
            from memory, a batch at a time.
        seed: decides which image goes where.
        test: the published test set, used whole; without one, test images are drawn from `dataset`.
        train_size: how many images to train on; all that are left, if not given.
        search_size: how many to compare architectures on; a fifth of `dataset`, if not given.
        test_size: how many to test on where there is no `test`; a fifth of `dataset`, if not given.
        num_classes: the number of classes; the largest label plus one, if not given.
        normalise: shift and scale the first input, images (B, C, H, W), by the mean and standard deviation of each
            channel over the train part alone. For a `TensorDataset`.
        augmentation: random changes of the first input while training. For a `TensorDataset`.
        augmented: the same items as `dataset`, with random transforms, for training. For other data sets.
        content: what identifies the content, for the parts' hashes. For other data sets than a `TensorDataset`, whose
            content is hashed itself.
        num_workers: processes that read ahead. For other data sets than a `TensorDataset`.
        task: what is asked of a network; of targets without classes, items are `(input, ..., target)`.

    Raises:
        DataError: for labels that are not integers from 0, an empty class, or sizes that the data cannot give.
    """
    read = _labels if task.has_classes else _targets
    labels = read(dataset, what="the data set")
    test_labels = None if test is None else read(test, what="the test set")
    if not task.has_classes:
        num_classes = 0
    elif num_classes is None:
        num_classes = int(max(labels.max(), labels.max() if test_labels is None else test_labels.max())) + 1
    if task.has_classes:
        _require_labels(labels, num_classes=num_classes, what="the data set")
    if task.has_classes and test_labels is not None:
        _require_labels(test_labels, num_classes=num_classes, what="the test set")

    rng = np.random.default_rng([seed])
    rest = np.arange(len(labels))
    strata = labels if task.has_classes else torch.zeros(len(labels), dtype=torch.int64)
    held_out = round(_FRACTION * len(labels))
    test_indices: Indices | None = None
    if test is None:
        test_indices, rest = _take(strata, rest, held_out if test_size is None else test_size, rng, what="test_size")
    elif test_size is not None:
        raise DataError(f"`test_size` must not be given beside a test set, which is used whole; got {test_size}.")
    search_indices, rest = _take(
        strata, rest, held_out if search_size is None else search_size, rng, what="search_size"
    )
    train_indices, _ = _take(strata, rest, len(rest) if train_size is None else train_size, rng, what="train_size")

    def part(data: Dataset[Any], labels: Tensor, indices: Indices, *, training: bool = False) -> Part:
        if isinstance(data, TensorDataset):
            return TensorPart(
                data.tensors[:-1],
                labels,
                indices,
                num_classes=num_classes,
                normalisation=normalisation,
                augmentation=augmentation if training else None,
            )
        return DatasetPart(
            data,
            labels,
            indices,
            num_classes=num_classes,
            content=content,
            augmented=augmented if training else None,
            num_workers=num_workers,
        )

    normalisation = None
    if normalise and isinstance(dataset, TensorDataset):
        normalisation = Normalisation.of(dataset.tensors[0][torch.from_numpy(train_indices)])
    # A part augments only when asked to: the search part is, where the final network learns from it as well.
    train, search = (part(dataset, labels, indices, training=True) for indices in (train_indices, search_indices))
    if test is None or test_labels is None:
        assert test_indices is not None
        return Splits(train=train, search=search, test=part(dataset, labels, test_indices), task=task)
    tested = part(test, test_labels, np.arange(len(test_labels)))
    return Splits(train=train, search=search, test=tested, task=task)


def _take(labels: Tensor, pool: Indices, size: int, rng: np.random.Generator, *, what: str) -> tuple[Indices, Indices]:
    """Draw `size` of the pool, each class in its proportion (largest remainders); the drawn and the others."""
    if not 0 < size <= len(pool):
        raise DataError(
            f"`{what}` must be at least 1 and at most {len(pool)}, the images that are left for it; got {size}."
        )
    shuffled = rng.permutation(pool)
    classes, counts = np.unique(labels.numpy()[pool], return_counts=True)
    quotas = counts * (size / len(pool))
    shares = np.floor(quotas).astype(np.int64)
    for k in np.argsort(shares - quotas, kind="stable")[: size - int(shares.sum())]:
        shares[k] += 1
    of_class = labels.numpy()[shuffled]
    drawn = np.concatenate([shuffled[of_class == c][:share] for c, share in zip(classes, shares, strict=True)])
    return rng.permutation(drawn), np.setdiff1d(pool, drawn)


def _labels(dataset: Dataset[Any], *, what: str) -> Tensor:
    """The labels: the last tensor, the attribute `targets` (torchvision's name), or the last entry of every item."""
    found = _targets(dataset, what=what)
    if found.ndim != 1 or found.is_floating_point() or found.dtype == torch.bool:
        raise DataError(
            f"Labels of {what} must be one integer an item; got {found.dtype} of the shape {tuple(found.shape)} for "
            f"{len(found)} items."
        )
    return found.to(torch.int64)


def _targets(dataset: Dataset[Any], *, what: str) -> Tensor:
    """Whatever stands last in every item, as one tensor."""
    num = len(dataset) if isinstance(dataset, Sized) else 0
    if num == 0:
        raise DataError(f"{what} must have a length of at least 1; {type(dataset).__name__} has none.")
    try:
        if isinstance(dataset, TensorDataset):
            found = dataset.tensors[-1]
        elif hasattr(dataset, "targets"):
            found = torch.as_tensor(dataset.targets)
        else:
            found = default_collate([dataset[i][-1] for i in range(num)])
        if not isinstance(found, Tensor) or len(found) != num:
            raise TypeError(f"not {num} numbers or tensors of one shape, but {type(found).__name__}")
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            f"Labels of {what} cannot be read ({error}); the last entry of every item must be a number, or a tensor "
            "where the task takes one."
        ) from error
    return found.float() if found.dtype == torch.float64 else found


def _require_labels(labels: Tensor, *, num_classes: int, what: str) -> None:
    """Raise unless all labels are in range and every class has an image."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise DataError(
            f"Labels of {what} must be from 0 to {num_classes - 1} ({num_classes} classes); they are from {low} to "
            f"{high}."
        )
    _require_classes(labels, num_classes=num_classes, what=what)


def _require_classes(labels: Tensor, *, num_classes: int, what: str) -> None:
    """Raise if some class has no image."""
    empty = torch.nonzero(torch.bincount(labels, minlength=num_classes) == 0).flatten().tolist()
    if empty:
        raise DataError(
            f"Every class needs at least one image in {what}; class(es) {', '.join(map(str, empty))} have none. Add "
            "images, renumber the labels without gaps, or make the part larger."
        )
