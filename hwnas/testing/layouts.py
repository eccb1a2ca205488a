"""Small data sets in the layouts of the published ones, drawn so that networks can learn them.

For tests and for trying programs out: the files lie and are named as those of CIFAR-10, ImageNet and the landmark
lists, and what is in them can be seen. A class is the colour of a disc somewhere in a noisy picture; landmarks are the
points of a drawn face. The same seed gives the same files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from hwnas.errors import ConfigError
from hwnas.testing import python2_pickle
from hwnas.testing.drawn_face import DrawnFace

__all__ = ["write_cifar10", "write_image_folder", "write_landmark_list", "written_once"]

_NUM_BATCHES = 5


def written_once(folder: str | Path, write: Callable[[Path], object]) -> Path:
    """A folder as `write` fills it, all of it or nothing: processes may ask for it together, or be killed meanwhile.

    Args:
        folder: what is there already stays as it is.
        write: `write_cifar10` or another function of this file; called with a folder beside it, which is then moved.

    Returns:
        The folder.
    """
    folder = Path(folder)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
        written = Path(beside) / folder.name
        write(written)
        try:
            written.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was quicker
                raise
    return folder


def write_cifar10(
    folder: str | Path, *, num_train: int = 500, num_test: int = 100, num_classes: int = 10, seed: int = 0
) -> Path:
    """Write `cifar-10-batches-py` with its seven files into a folder, pickled as Python 2 did.

    Args:
        folder: is made where it does not exist.
        num_train: images in the five training batches together.
        num_test: images in the test batch.
        num_classes: at most both numbers.
        seed: of the pictures.

    Returns:
        The folder.

    Raises:
        ConfigError: for fewer images than classes, or than batches.
    """
    rng = np.random.default_rng([seed, 0])
    where = Path(folder) / "cifar-10-batches-py"
    where.mkdir(parents=True, exist_ok=True)
    if num_train < _NUM_BATCHES:
        raise ConfigError(f"`num_train` must be at least {_NUM_BATCHES}, an image a batch; got {num_train}.")
    train = np.array_split(_labels(num_train, num_classes, rng, what="num_train"), _NUM_BATCHES)
    for number, labels in enumerate(train, start=1):
        title = f"training batch {number} of {_NUM_BATCHES}"
        _write_batch(where / f"data_batch_{number}", title, labels, num_classes=num_classes, rng=rng)
    labels = _labels(num_test, num_classes, rng, what="num_test")
    _write_batch(where / "test_batch", "testing batch 1 of 1", labels, num_classes=num_classes, rng=rng)
    names = [f"class_{number}".encode() for number in range(num_classes)]
    meta = {b"num_cases_per_batch": len(train[0]), b"label_names": names, b"num_vis": 3 * 32 * 32}
    (where / "batches.meta").write_bytes(python2_pickle.dumps(meta))
    return Path(folder)


def write_image_folder(
    folder: str | Path,
    *,
    num_classes: int = 4,
    train_per_class: int = 16,
    val_per_class: int = 4,
    image_size: int = 64,
    seed: int = 0,
) -> Path:
    """Write ImageNet's layout, JPEG files in `train/<class>` and `val/<class>`, into a folder.

    Args:
        folder: is made where it does not exist.
        num_classes: the folders are named like WordNet's sets of synonyms, n00000001, n00000002, ...
        train_per_class: images of each class to train on, at least 1.
        val_per_class: images of each class to test on, at least 1.
        image_size: height and width in pixels.
        seed: of the pictures.

    Returns:
        The folder.

    Raises:
        ConfigError: for no class, or a class without images.
    """
    _require_some(num_classes=num_classes, train_per_class=train_per_class, val_per_class=val_per_class)
    rng = np.random.default_rng([seed, 1])
    for part, num in (("train", train_per_class), ("val", val_per_class)):
        for label in range(num_classes):
            name = f"n{label + 1:08d}"
            where = Path(folder) / part / name
            where.mkdir(parents=True, exist_ok=True)
            images = _images(np.full(num, label), num_classes=num_classes, size=image_size, rng=rng)
            for number, image in enumerate(images):
                picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
                picture.save(where / f"{name}_{number}.JPEG", quality=95)
    return Path(folder)


def write_landmark_list(
    folder: str | Path,
    *,
    num_train: int = 64,
    num_test: int = 16,
    num_points: int = 106,
    image_size: int = 112,
    seed: int = 0,
) -> Path:
    """Write `train_data` and `test_data`, each with `imgs` and `list.txt`, into a folder.

    A line is as `hwnas.data.landmark_list` reads it: of 106 points without attributes, of WFLW's 98 with six, of which
    only the first, a large pose, is ever 1. The angles are those by which the drawn head is turned.

    Args:
        folder: is made where it does not exist.
        num_train: images to train on.
        num_test: images to test on.
        num_points: 106 or 98.
        image_size: height and width in pixels.
        seed: of the pictures.

    Returns:
        The folder.

    Raises:
        ConfigError: for another number of points, or a part without images.
    """
    _require_some(num_train=num_train, num_test=num_test)
    rng = np.random.default_rng([seed, 2])
    for part, num in (("train_data", num_train), ("test_data", num_test)):
        images = Path(folder) / part / "imgs"
        images.mkdir(parents=True, exist_ok=True)
        lines = []
        for number in range(num):
            face = DrawnFace.random(rng)
            points = face.landmarks(num_points).ravel()
            name = f"{number}_face_0.png"
            face.picture(image_size, rng).save(images / name)
            attributes = [] if num_points == 106 else [int(abs(face.yaw) > 20), 0, 0, 0, 0, 0]
            values = [f"{value:.6f}" for value in points]
            angles = [f"{angle:.6f}" for angle in (face.pitch, face.yaw, face.roll)]
            lines.append(" ".join([f"{part}/imgs/{name}", *values, *map(str, attributes), *angles]) + "\n")
        (Path(folder) / part / "list.txt").write_text("".join(lines), encoding="utf-8")
    return Path(folder)


def _require_some(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ConfigError(f"`{name}` must be at least 1; got {number}.")


def _labels(num: int, num_classes: int, rng: np.random.Generator, *, what: str) -> npt.NDArray[np.int64]:
    """Shuffled labels, as many of each class as can be."""
    if not 1 <= num_classes <= num:
        raise ConfigError(f"`num_classes` must be from 1 to `{what}`, {num}, so that none is empty; got {num_classes}.")
    return rng.permutation(np.arange(num) % num_classes)


def _images(
    labels: npt.NDArray[np.int64], *, num_classes: int, size: int, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Pictures (n, 3, size, size) of a disc on a grey ground; its hue, one of `num_classes`, is the class."""
    num = len(labels)
    least, most = [0.35, 0.35, 0.2, 0.7, 0.2], [0.65, 0.65, 0.35, 1.0, 0.8]
    x, y, radius, light, ground = rng.uniform(least, most, (num, 5)).T[:, :, None, None]
    place = (np.arange(size) + 0.5) / size
    distance = np.hypot(place - x, place[:, None] - y)
    disc = np.clip((radius - distance) * size + 0.5, 0, 1)[:, None]
    sector = (np.array([5, 3, 1]) + 6 * labels[:, None] / num_classes) % 6  # of the hue, for red, green and blue
    strength = 1 - 0.9 * np.clip(np.minimum(sector, 4 - sector), 0, 1)  # saturation 0.9
    pictures = disc * strength[:, :, None, None] * light[:, None] + (1 - disc) * ground[:, None]
    noisy = pictures + rng.normal(0, 0.06, pictures.shape)
    pixels: npt.NDArray[np.uint8] = (noisy.clip(0, 1) * 255).astype(np.uint8)
    return pixels


def _write_batch(
    path: Path, title: str, labels: npt.NDArray[np.int64], *, num_classes: int, rng: np.random.Generator
) -> None:
    images = _images(labels, num_classes=num_classes, size=32, rng=rng)
    names = [f"class_{label}_s_{number:06d}.png".encode() for number, label in enumerate(labels)]
    content = {
        b"batch_label": title.encode(),
        b"labels": labels.tolist(),
        b"data": images.reshape(len(images), -1),
        b"filenames": names,
    }
    path.write_bytes(python2_pickle.dumps(content))
