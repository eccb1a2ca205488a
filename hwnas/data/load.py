"""The data sets that can be named in a configuration."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch.utils.data import TensorDataset

from hwnas.data.augment import ShiftFlip
from hwnas.data.idx import read_idx
from hwnas.data.splits import Splits, split
from hwnas.errors import ConfigError, DataError

__all__ = ["DataName", "digits", "fashion_mnist", "image_folder", "load_data"]

DataName = Literal["digits", "fashion-mnist", "image-folder"]

_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def load_data(
    name: DataName,
    *,
    seed: int,
    folder: str | Path | None = None,
    train_size: int | None = None,
    search_size: int | None = None,
    augment: bool = True,
    image_size: int = 224,
    num_workers: int = 0,
) -> Splits:
    """Load a data set by name.

    Args:
        name: "digits", "fashion-mnist" or "image-folder".
        seed: decides which image goes into which part.
        folder: where the files lie; needed for "image-folder".
        train_size: how many images to train on; all, if not given.
        search_size: how many to compare architectures on; a fifth, if not given.
        augment: change the training images at random.
        image_size: height and width in pixels to which an image folder's images are brought.
        num_workers: processes that read an image folder ahead.

    Raises:
        ConfigError: for an unknown name.
        DataError: for missing or damaged files, or sizes that the data cannot give.
    """
    if name == "digits":
        return digits(seed=seed, train_size=train_size, search_size=search_size, augment=augment)
    if name == "fashion-mnist":
        where = _FASHION_MNIST if folder is None else folder
        return fashion_mnist(where, seed=seed, train_size=train_size, search_size=search_size, augment=augment)
    if name == "image-folder":
        if folder is None:
            raise ConfigError("`folder` must be given for the data set 'image-folder'.")
        return image_folder(
            folder,
            seed=seed,
            train_size=train_size,
            search_size=search_size,
            augment=augment,
            image_size=image_size,
            num_workers=num_workers,
        )
    raise ConfigError(f"Unknown data set {name!r}; known are {', '.join(get_args(DataName))}.")


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


def image_folder(
    folder: str | Path,
    *,
    seed: int,
    train_size: int | None = None,
    search_size: int | None = None,
    augment: bool = True,
    image_size: int = 224,
    num_workers: int = 0,
) -> Splits:
    """Images in ImageNet's layout, `train/<class>/*` and `val/<class>/*`; `val` is the test set.

    Images are resized and cropped as timm does, and normalised with ImageNet's published statistics.

    Args:
        folder: the folder with `train` and `val` in it.
        image_size: height and width in pixels.
        num_workers: processes that read ahead.
        seed, train_size, search_size, augment: as of `load_data`.

    Raises:
        DataError: for a missing folder, a class without images, or classes that differ between the two.
    """
    from timm.data import create_transform  # these two are slow to import, and needed here alone
    from torchvision.datasets import ImageFolder  # type: ignore[import-untyped]

    size = (3, image_size, image_size)
    plain = create_transform(size, is_training=False)
    random = create_transform(size, is_training=True, auto_augment="rand-m9-mstd0.5")
    folders = [Path(folder) / "train", Path(folder) / "val"]
    for path in folders:
        if not path.is_dir():
            raise DataError(
                f"{path} is not a folder; images must lie in {folder}/train/<class> and {folder}/val/<class>."
            )
    try:
        train, augmented, test = (
            ImageFolder(path, transform, allow_empty=False)
            for path, transform in zip((folders[0], *folders), (plain, random, plain), strict=True)
        )
    except FileNotFoundError as error:
        raise DataError(f"{folder}: {error} Every class needs at least one image.") from error
    if train.classes != test.classes:
        odd = sorted(set(train.classes) ^ set(test.classes))
        raise DataError(
            f"{folders[0]} and {folders[1]} must have the same classes; only one of them has {', '.join(odd)}."
        )
    return split(
        train,
        test=test,
        seed=seed,
        train_size=train_size,
        search_size=search_size,
        augmented=augmented if augment else None,
        content=_listing(train.samples, Path(folder)) + _listing(test.samples, Path(folder)),
        num_workers=num_workers,
    )


def _listing(samples: list[tuple[str, int]], folder: Path) -> str:
    """SHA-256 over the relative paths and the sizes in bytes of all files (reading them all would take too long)."""
    lines = (f"{Path(path).relative_to(folder)} {Path(path).stat().st_size}\n" for path, _ in samples)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
