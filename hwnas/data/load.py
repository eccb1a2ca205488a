"""The data sets that can be named in a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch.utils.data import TensorDataset

from hwnas.data.augment import ShiftFlip
from hwnas.data.cifar10 import cifar10
from hwnas.data.idx import read_idx
from hwnas.data.image_folder import Preprocessing, image_folder
from hwnas.data.landmark_list import landmark_list
from hwnas.data.splits import Splits, split
from hwnas.errors import ConfigError, DataError

__all__ = ["DataName", "digits", "fashion_mnist", "load_data"]

DataName = Literal["cifar10", "digits", "fashion-mnist", "image-folder", "landmark-list"]

_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def load_data(
    name: DataName,
    *,
    seed: int,
    folder: str | Path | None = None,
    train_size: int | None = None,
    search_size: int | None = None,
    augment: bool = True,
    image_size: int | None = None,
    num_workers: int = 0,
    preprocessing: Preprocessing = "imagenet",
) -> Splits:
    """Load a data set by name.

    Args:
        name: "cifar10", "digits", "fashion-mnist", "image-folder" or "landmark-list"; each is the function of that
            name, whose docstring says more.
        seed: decides which image goes into which part.
        folder: where the files lie; needed for all but "digits" and "fashion-mnist".
        train_size: how many images to train on; all, if not given.
        search_size: how many to compare architectures on; a fifth, if not given.
        augment: change the training images at random.
        image_size: height and width in pixels to which the images of an image folder (224, if not given) or of a
            landmark list (112) are brought.
        num_workers: processes that read the images of a folder or list ahead.
        preprocessing: of an image folder, "imagenet" or "spos".

    Raises:
        ConfigError: for an unknown name, no `folder`, or a preprocessing or size that the data set does not take.
        DataError: for missing or damaged files, or sizes that the data cannot give.
    """
    if preprocessing != "imagenet" and name != "image-folder":
        raise ConfigError(f"`preprocessing` is for the data set 'image-folder'; got {preprocessing!r} for {name!r}.")
    if image_size is not None and name not in ("image-folder", "landmark-list"):
        raise ConfigError(
            f"`image_size` is for the data sets 'image-folder' and 'landmark-list'; got {image_size} for {name!r}, "
            "whose images have the size they are published in."
        )
    if name == "digits":
        return digits(seed=seed, train_size=train_size, search_size=search_size, augment=augment)
    if name == "fashion-mnist":
        where = _FASHION_MNIST if folder is None else folder
        return fashion_mnist(where, seed=seed, train_size=train_size, search_size=search_size, augment=augment)
    if name not in get_args(DataName):
        raise ConfigError(f"Unknown data set {name!r}; known are {', '.join(get_args(DataName))}.")
    if folder is None:
        raise ConfigError(f"`folder` must be given for the data set {name!r}.")
    if name == "cifar10":
        return cifar10(folder, seed=seed, train_size=train_size, search_size=search_size, augment=augment)
    if name == "landmark-list":
        return landmark_list(
            folder,
            seed=seed,
            train_size=train_size,
            search_size=search_size,
            augment=augment,
            image_size=112 if image_size is None else image_size,
            num_workers=num_workers,
        )
    return image_folder(
        folder,
        seed=seed,
        train_size=train_size,
        search_size=search_size,
        augment=augment,
        image_size=224 if image_size is None else image_size,
        num_workers=num_workers,
        preprocessing=preprocessing,
    )


def digits(*, seed: int, train_size: int | None = None, search_size: int | None = None, augment: bool = True) -> Splits:
    """scikit-learn's 1,797 handwritten digits, 1 x 8 x 8, ten classes; a fifth of them to test on.

    Training images are shifted by at most a pixel.
    """
    from sklearn.datasets import load_digits  # slow to import, and needed here alone

    loaded: Any = load_digits()
    images = torch.from_numpy(loaded.images).float().unsqueeze(1)
    return split(
        TensorDataset(images, torch.from_numpy(loaded.target).long()),
        seed=seed,
        train_size=train_size,
        search_size=search_size,
        normalise=True,
        augmentation=ShiftFlip(max_shift=1) if augment else None,
    )


def fashion_mnist(
    folder: str | Path = _FASHION_MNIST,
    *,
    seed: int,
    train_size: int | None = None,
    search_size: int | None = None,
    augment: bool = True,
) -> Splits:
    """Fashion-MNIST: 60,000 images, 1 x 28 x 28, ten classes, and its published 10,000 to test on.

    Training images are shifted by at most two pixels and mirrored. Source: H. Xiao, K. Rasul, R. Vollgraf,
    "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", arXiv:1708.07747.

    Args:
        folder: where the four IDX files lie, with or without `.gz`.
        seed, train_size, search_size, augment: as of `load_data`.

    Raises:
        DataError: for a missing or damaged file.
    """
    return split(
        _idx_pair(Path(folder), "train"),
        test=_idx_pair(Path(folder), "t10k"),
        seed=seed,
        train_size=train_size,
        search_size=search_size,
        normalise=True,
        augmentation=ShiftFlip(max_shift=2, flip=True) if augment else None,
    )


def _idx_pair(folder: Path, prefix: str) -> TensorDataset:
    images = read_idx(_existing(folder, f"{prefix}-images-idx3-ubyte"), num_dimensions=3)
    labels = read_idx(_existing(folder, f"{prefix}-labels-idx1-ubyte"), num_dimensions=1)
    if len(images) != len(labels):
        raise DataError(
            f"{folder} holds {len(images)} {prefix} images but {len(labels)} labels. Fetch the files again."
        )
    return TensorDataset(torch.tensor(images).unsqueeze(1), torch.tensor(labels).long())


def _existing(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(
        f"{folder} has no file {name} or {name}.gz. Install Debian's package dataset-fashion-mnist "
        f"(apt install dataset-fashion-mnist), or set `folder` to where the files are."
    )
