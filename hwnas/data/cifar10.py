"""CIFAR-10 as published for Python, the layout that torchvision downloads.

Six files of pickled dictionaries, with `data`, uint8 (N, 3072): the red, the green and the blue 32 x 32 pixels of an
image row by row; and `labels`, a list of N integers. A seventh, `batches.meta`, has the classes' `label_names`.
Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009,
https://www.cs.toronto.edu/~kriz/cifar.html

A pickle can run any code when it is read. The files are therefore read here by an unpickler that can make numpy
arrays and nothing else; torchvision's own class reads them without such care, after comparing MD5 hashes, which
refuses every data set in this layout but the published one.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import TensorDataset

from hwnas.data.augment import ShiftFlip
from hwnas.data.splits import Splits, split
from hwnas.errors import DataError

__all__ = ["cifar10"]

_FOLDER = "cifar-10-batches-py"
_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = ("test_batch",)
_META = "batches.meta"
_SHAPE = (3, 32, 32)

_ALLOWED = {
    (module, name)
    for module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")  # the last since numpy 2
    for name in ("ndarray", "dtype", "_reconstruct")
}


def cifar10(
    folder: str | Path,
    *,
    seed: int,
    train_size: int | None = None,
    search_size: int | None = None,
    augment: bool = True,
) -> Splits:
    """CIFAR-10: 50,000 images, 3 x 32 x 32, ten classes, and its published 10,000 to test on.

    Images are normalised by the mean and standard deviation of each channel over the train part. Training images are
    shifted by at most four pixels and mirrored.

    Any data set in the same layout will do: it has as many classes as `batches.meta` names.

    Args:
        folder: where `cifar-10-batches-py` is, or that folder itself.
        seed, train_size, search_size, augment: as of `hwnas.data.load_data`.

    Raises:
        DataError: for a missing or damaged file, one that holds something else, or labels out of range.
    """
    where = Path(folder) / _FOLDER
    if not where.is_dir():
        where = Path(folder)
    for name in (*_TRAIN, *_TEST, _META):
        if not (where / name).is_file():
            raise DataError(
                f"{where} has no file {name}; CIFAR-10 must lie in {Path(folder) / _FOLDER} as {', '.join(_TRAIN)}, "
                f"{_TEST[0]} and {_META}. Unpack cifar-10-python.tar.gz there, or set `folder` to where the files are."
            )
    names = _read(where / _META, "label_names")["label_names"]
    if not isinstance(names, list) or not names:
        raise DataError(f"{where / _META}: `label_names` must be a list of the classes' names; got {names!r}.")
    train, test = (_joined(where, files, num_classes=len(names)) for files in (_TRAIN, _TEST))
    return split(
        train,
        test=test,
        seed=seed,
        train_size=train_size,
        search_size=search_size,
        num_classes=len(names),
        normalise=True,
        augmentation=ShiftFlip(max_shift=4, flip=True) if augment else None,
    )


def _joined(folder: Path, names: tuple[str, ...], *, num_classes: int) -> TensorDataset:
    """The images and labels of several files, one after the other."""
    batches = [_batch(folder / name, num_classes=num_classes) for name in names]
    images = np.concatenate([images for images, _ in batches]).reshape(-1, *_SHAPE)
    return TensorDataset(torch.from_numpy(images), torch.from_numpy(np.concatenate([labels for _, labels in batches])))


def _batch(path: Path, *, num_classes: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The images, (N, 3072), and labels, (N,), of one file."""
    content = _read(path, "data", "labels")
    data, labels = content["data"], content["labels"]
    num_values = int(np.prod(_SHAPE))
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (num_values,):
        got = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(f"{path}: `data` must be an array uint8 (N, {num_values}); got {got}. Fetch the file again.")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{path}: `labels` must be a list of integers; got {labels!s:.60}. Fetch the file again.")
    if len(labels) != len(data):
        raise DataError(f"{path} holds {len(data)} images but {len(labels)} labels. Fetch the file again.")
    wrong = [label for label in labels if not 0 <= label < num_classes]
    if wrong:
        raise DataError(
            f"{path}: labels must be from 0 to {num_classes - 1}, as {_META} names {num_classes} classes; got "
            f"{wrong[0]}. Fetch the files again."
        )
    return data, np.array(labels, dtype=np.int64)


def _read(path: Path, *keys: str) -> dict[str, Any]:
    """The pickled dictionary in a file, which must have these keys."""
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="latin1").load()  # strings of Python 2 are bytes
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(f"{path} is no readable pickle ({error}). Fetch the file again.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold a dictionary; got {type(content).__name__}. Fetch the file again.")
    content = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in content.items()}
    for key in keys:
        if key not in content:
            raise DataError(
                f"{path} must have the key {key!r}; it has {', '.join(map(repr, content)) or 'none'}. CIFAR-100 and "
                "other data sets have another layout."
            )
    return content


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that makes numbers, strings, lists, dictionaries and numpy arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise DataError(
                f"the pickle asks for {module}.{name}, which may run code; only numpy arrays are read. Do not trust "
                "the file: fetch the published one."
            )
        return super().find_class(module, name)
