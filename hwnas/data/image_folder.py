"""Images in ImageNet's layout, one folder a class, prepared as timm or as SPOS prepares them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from torch import Tensor

from hwnas.data.image_files import listing_sha256, read_image, require_reading
from hwnas.data.splits import Splits, split
from hwnas.errors import ConfigError, DataError

__all__ = ["Preprocessing", "image_folder"]

Preprocessing = Literal["imagenet", "spos"]


def image_folder(
    folder: str | Path,
    *,
    seed: int,
    train_size: int | None = None,
    search_size: int | None = None,
    augment: bool = True,
    image_size: int = 224,
    num_workers: int = 0,
    preprocessing: Preprocessing = "imagenet",
) -> Splits:
    """Images in ImageNet's layout, `train/<class>/*` and `val/<class>/*`; `val` is the test set.

    Images to compare are resized to 8/7 of `image_size` and cropped in the middle; a training image is a random crop
    of any size and shape, mirrored half of the time.

    - "imagenet": RGB, normalised by ImageNet's mean and standard deviation, trained with RandAugment (timm).
    - "spos": BGR, values from 0 to 255, not normalised, as the published weights of SPOS want them (Z. Guo et al.,
      "Single Path One-Shot Neural Architecture Search with Uniform Sampling", ECCV 2020, arXiv:1904.00420), trained
      with changes of brightness, contrast and saturation by up to 40 %. Their authors resized with OpenCV, which does
      not smooth; Pillow does.

    Args:
        folder: where `train` and `val` are.
        image_size: height and width in pixels.
        num_workers: processes that read ahead.
        preprocessing: "imagenet" or "spos".
        seed, train_size, search_size, augment: as of `load_data`.

    Raises:
        ConfigError: another preprocessing, or a size or number of workers that cannot be.
        DataError: for a missing folder, a class without images, or classes that differ between the two; and, when a
            batch is read, for a damaged image.
    """
    from torchvision.datasets import ImageFolder  # type: ignore[import-untyped]  # slow to import

    require_reading(image_size=image_size, num_workers=num_workers)
    plain, random = _transforms(preprocessing, image_size)
    folders = [Path(folder) / "train", Path(folder) / "val"]
    for path in folders:
        if not path.is_dir():
            raise DataError(
                f"{path} is not a folder; images must lie in {folder}/train/<class> and {folder}/val/<class>."
            )
    try:
        train, augmented, test = (
            ImageFolder(path, transform, loader=read_image, allow_empty=False)
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
        content=f"{preprocessing} {image_size}"
        + "".join(listing_sha256((path for path, _ in part.samples), Path(folder)) for part in (train, test)),
        num_workers=num_workers,
    )


def _transforms(preprocessing: Preprocessing, image_size: int) -> tuple[Any, Any]:
    """From a Pillow image to a tensor (3, size, size): to compare, and, at random, to train."""
    from timm.data import create_transform  # these two are slow to import
    from torchvision.transforms import Compose  # type: ignore[import-untyped]

    size = (3, image_size, image_size)
    if preprocessing == "imagenet":
        return (
            create_transform(size, is_training=False),
            create_transform(size, is_training=True, auto_augment="rand-m9-mstd0.5"),
        )
    if preprocessing == "spos":
        plain, random = (create_transform(size, is_training=training, normalize=False) for training in (False, True))
        return Compose([plain, _to_bgr]), Compose([random, _to_bgr])
    raise ConfigError(f"Unknown preprocessing {preprocessing!r}; known are {', '.join(get_args(Preprocessing))}.")


def _to_bgr(image_CHW: Tensor) -> Tensor:
    return image_CHW.flip(0).float()
