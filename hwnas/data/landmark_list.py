"""Faces with landmarks in the layout of the PFLD programs: two folders, each with images and a list of their points.

    train_data/imgs/   train_data/list.txt   test_data/imgs/   test_data/list.txt

A line of a list, its fields parted by white space:

    image  x_1 y_1 ... x_P y_P  [six attributes]  pitch yaw roll

- `image` is a path without spaces. What the lists' programs wrote holds on their own machine only, or from this or
  another folder, so what counts is what stands behind the last `imgs/`.
- The points are fractions of the image's width and height, from 0 to 1: 106 points (212 fields), the list of the
  program of NNI, or the 98 of WFLW (196 fields).
- The attributes (pose, expression, illumination, make-up, occlusion, blur; 0 or 1) stand in the lists of WFLW, not in
  those of 106 points. They are not used.
- The angles are in degrees: OpenCV's `decomposeProjectionMatrix` gave them. Here they become radians. (The programs
  take the cosine of their difference in degrees as if it were radians.)

Sources, whose lists are meant: github.com/polarisZhao/PFLD-pytorch, data/SetPreparation.py (206 fields);
github.com/microsoft/nni, examples/nas/oneshot/pfld/datasets.py (216 fields). P points, n images.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from hwnas.data.image_files import listing_sha256, read_image, require_reading
from hwnas.data.splits import Splits, split
from hwnas.data.task import landmarks
from hwnas.errors import ConfigError, DataError

__all__ = ["landmark_list"]

_OUTER_EYE_CORNERS = {106: (35, 93), 98: (60, 72)}
_NUM_ATTRIBUTES = (0, 6)
_NUM_ANGLES = 3
_BRIGHTNESS = 0.3


def landmark_list(
    folder: str | Path,
    *,
    seed: int,
    train_size: int | None = None,
    search_size: int | None = None,
    augment: bool = True,
    image_size: int = 112,
    num_workers: int = 0,
    num_points: int | None = None,
    eyes: tuple[int, int] | None = None,
    angles: bool = True,
) -> Splits:
    """Faces with landmarks, `train_data` and `test_data`; the layout is described at the top of this file.

    Images are RGB, (3, image_size, image_size), from 0 to 1. Targets are (2 P,) fractions of the width and height, x
    and y in turns, and with `angles` (2 P + 3,), the angles in radians. Training images are shifted by at most 1/28 of
    their side, their points with them, and made brighter or darker by at most 30 %; they are not mirrored, which would
    exchange points of the left and of the right.

    Args:
        folder: where `train_data` and `test_data` are.
        image_size: height and width in pixels to which images are brought.
        num_workers: processes that read ahead.
        num_points: P; if not given, 106 or 98, as the number of fields says.
        eyes: the two points whose distance is the scale of the NME; if not given, the outer eye corners of 106 points,
            (35, 93), or of 98, (60, 72).
        angles: whether the targets have the angles, for `WithAngleHead`.
        seed, train_size, search_size, augment: as of `hwnas.data.load_data`.

    Raises:
        ConfigError: for `num_points` without `eyes`, or eyes that are not among the points.
        DataError: for a missing list, a line that is not as above (its number is given), or missing images; and, when
            a batch is read, for a damaged image.
    """
    require_reading(image_size=image_size, num_workers=num_workers)
    folder = Path(folder)
    train, test = (_List(folder / part, num_points=num_points) for part in ("train_data", "test_data"))
    if train.num_points != test.num_points:
        raise DataError(
            f"The lists in {folder} must have the same points; train_data has {train.num_points} and test_data "
            f"{test.num_points}."
        )
    eyes = _eyes(eyes, num_points=train.num_points)
    for part in (train, test):
        part.require_scale(eyes)
    plain, changed, tested = (
        _Faces(part, image_size=image_size, angles=angles, change=change)
        for part, change in ((train, False), (train, True), (test, False))
    )
    return split(
        plain,
        test=tested,
        seed=seed,
        train_size=train_size,
        search_size=search_size,
        augmented=changed if augment else None,
        content=str(image_size) + listing_sha256(train.images, folder) + listing_sha256(test.images, folder),
        num_workers=num_workers,
        task=landmarks(eyes=eyes, angles=angles),
    )


def _eyes(eyes: tuple[int, int] | None, *, num_points: int) -> tuple[int, int]:
    if eyes is None:
        eyes = _OUTER_EYE_CORNERS.get(num_points)
    if eyes is None:
        raise ConfigError(f"`eyes` must be given for {num_points} points: the numbers of the two outer eye corners.")
    if eyes[0] == eyes[1] or not all(0 <= eye < num_points for eye in eyes):
        raise ConfigError(f"`eyes` must be two points from 0 to {num_points - 1}; got {eyes}.")
    return eyes


class _List:
    """A list and the images it names.

    Attributes:
        images: n paths.
        points: fractions, (n, 2 P).
        angles: in radians, (n, 3).
        num_points: P.
    """

    def __init__(self, folder: Path, *, num_points: int | None) -> None:
        self._path = folder / "list.txt"
        self._numbers: list[int] = []  # of the lines, from 1
        self.images: list[Path] = []
        num_fields = 0
        rows: list[npt.NDArray[np.float64]] = []
        for number, line in enumerate(self._text().splitlines(), start=1):
            fields = line.split()
            if not fields:
                continue
            if not rows:
                num_fields, self.num_points = len(fields), self._points_in(len(fields), num_points, number)
            if len(fields) != num_fields:
                raise self._wrong(number, f"has {len(fields)} fields; lines before have {num_fields}")
            self._numbers.append(number)
            self.images.append(folder / "imgs" / _behind_imgs(fields[0]))
            rows.append(self._row(fields, number))
        if not rows:
            raise DataError(f"{self._path} is empty; it must have a line for every image.")
        values = np.stack(rows)
        self.points = values[:, : 2 * self.num_points]
        self.angles = np.deg2rad(values[:, -_NUM_ANGLES:])
        self._require_images()

    def require_scale(self, eyes: tuple[int, int]) -> None:
        """Raise for a line whose eyes are in one place: its NME would be infinite."""
        points = self.points.reshape(len(self.points), -1, 2)
        for index in np.flatnonzero((points[:, eyes[0]] == points[:, eyes[1]]).all(1))[:1]:
            raise self._wrong(
                self._numbers[index], f"has the eye corners, points {eyes[0]} and {eyes[1]}, in one place"
            )

    def _text(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"{self._path} cannot be read ({error}). Landmarks must lie in train_data/list.txt and "
                "test_data/list.txt, images in train_data/imgs and test_data/imgs, all below the one `folder`."
            ) from error

    def _points_in(self, num_fields: int, wanted: int | None, number: int) -> int:
        """How many points a line of so many fields has."""
        candidates = _OUTER_EYE_CORNERS if wanted is None else (wanted,)
        known = {1 + 2 * num + more + _NUM_ANGLES: num for num in candidates for more in _NUM_ATTRIBUTES}
        if num_fields not in known:
            counts = "; ".join(f"{count} for {num} points" for count, num in known.items())
            raise self._wrong(number, f"has {num_fields} fields. Known are {counts} (`num_points` may say another)")
        return known[num_fields]

    def _row(self, fields: list[str], number: int) -> npt.NDArray[np.float64]:
        try:
            row = np.array([float(field) for field in fields[1:]])
        except ValueError as error:
            raise self._wrong(number, f"has a field that is no number ({error})") from error
        points = row[: 2 * self.num_points]
        if not np.isfinite(row).all():
            raise self._wrong(number, "has a field that is not finite")
        if not ((points >= 0) & (points <= 1)).all():
            odd = points[(points < 0) | (points > 1)][0]
            raise self._wrong(number, f"has the coordinate {odd:g}; divide by the image's width and height")
        return row

    def _wrong(self, number: int, what: str) -> DataError:
        return DataError(
            f"{self._path}, line {number} {what}. A line must be: image, x and y of every point as fractions from 0 to "
            "1, then six attributes or none, then pitch, yaw and roll in degrees."
        )

    def _require_images(self) -> None:
        missing = [path for path in self.images if not path.is_file()]
        if missing:
            raise DataError(
                f"{len(missing)} of the {len(self.images)} images in {self._path} are missing; the first is "
                f"{missing[0]}. Put them there, or remove their lines."
            )


def _behind_imgs(name: str) -> PurePosixPath:
    """The part of a path behind its last folder `imgs`; all of it, but made relative, where there is none."""
    parts = [part for part in PurePosixPath(name).parts if part != "/"]
    behind = parts[len(parts) - parts[::-1].index("imgs") :] if "imgs" in parts else parts
    return PurePosixPath(*behind)


class _Faces(Dataset[tuple[Tensor, Tensor]]):
    """Images and targets of a list; `change` alters them at random, by torch's global generator."""

    def __init__(self, faces: _List, *, image_size: int, angles: bool, change: bool) -> None:
        targets = np.concatenate([faces.points, faces.angles], axis=1) if angles else faces.points
        self.targets = torch.from_numpy(targets).float()
        self._images = faces.images
        self._num_coordinates = 2 * faces.num_points
        self._image_size = image_size
        self._change = change

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = read_image(self._images[index]).resize((self._image_size, self._image_size))
        image_CHW = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        if not self._change:
            return image_CHW, self.targets[index]
        return self._changed(image_CHW, self.targets[index].clone())

    def _changed(self, image_CHW: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        most = self._image_size // 28  # 4 pixels of 112
        right, down = torch.randint(-most, most + 1, (2,)).tolist()
        image_CHW = functional.pad(image_CHW, (right, -right, down, -down))
        points = target[: self._num_coordinates].view(-1, 2)
        points += torch.tensor([right, down]) / self._image_size
        brightness = 1 + _BRIGHTNESS * (2 * torch.rand(()) - 1)
        return (image_CHW * brightness).clamp(max=1.0), target
