"""Faces to draw: a head of known pose, its landmarks in the published orders, and its picture.

The head is a half ellipsoid in front of the camera with features on it, x to the right, y down and z towards the
viewer, about one unit high from the middle to the chin. It is turned, and seen from far away, so that z falls away.
C points of a curve, P landmarks; the left is the picture's left.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from hwnas.errors import ConfigError

__all__ = ["LANDMARK_ORDERS", "DrawnFace"]

Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Feature:
    """Part of an ellipse on the head: centre, radii, the degrees where it begins and how many it goes on, clockwise."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    begin: float
    extent: float
    bulge: float = 0.0

    def curve(self, num: int) -> Array:
        """Points along it, (C, 3); of a closed one the last is one before the first."""
        degrees = self.begin + self.extent * np.linspace(0, 1, num, endpoint=self.extent < 360)
        angle = np.deg2rad(degrees)
        x = self.centre[0] + self.radii[0] * np.cos(angle)
        y = self.centre[1] + self.radii[1] * np.sin(angle)
        z = 0.8 * np.sqrt(np.maximum(0, 1 - (x / 0.8) ** 2 - y**2)) + self.bulge
        return np.stack([x, y, z], axis=1)


_OUTLINE = _Feature(centre=(0, 0), radii=(0.8, 1), begin=190, extent=-200)  # from ear to ear around the chin
_NOSE = _Feature(centre=(0, 0.05), radii=(0.14, 0.25), begin=-60, extent=240, bulge=0.2)
_MOUTH = _Feature(centre=(0, 0.6), radii=(0.28, 0.1), begin=180, extent=360)


def _eye(side: int, *, begin: float) -> _Feature:
    return _Feature(centre=(0.36 * side, -0.25), radii=(0.16, 0.08), begin=begin, extent=360)


def _brow(side: int) -> _Feature:
    return _Feature(centre=(0.36 * side, -0.4), radii=(0.22, 0.1), begin=190, extent=160)


LANDMARK_ORDERS = {
    106: (
        (_OUTLINE, 33),
        (_eye(-1, begin=108), 10),  # 35, the third, is the outer corner, at 180 degrees
        (_brow(-1), 9),
        (_MOUTH, 20),
        (_NOSE, 15),
        (_eye(1, begin=144), 10),  # 93, the seventh, is the outer corner, at 360
        (_brow(1), 9),
    ),
    98: (
        (_OUTLINE, 33),
        (_brow(-1), 9),
        (_brow(1), 9),
        (_NOSE, 9),
        (_eye(-1, begin=180), 8),  # 60 is the outer corner
        (_eye(1, begin=180), 8),  # 72, the fifth, is the outer corner
        (_MOUTH, 20),
        (_Feature(centre=(-0.36, -0.25), radii=(0, 0), begin=0, extent=0), 1),  # the pupils
        (_Feature(centre=(0.36, -0.25), radii=(0, 0), begin=0, extent=0), 1),
    ),
}
"""Features and how many landmarks are on them, by number of landmarks: parts and outer eye corners are where the
published 106 points and the 98 of WFLW have them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DrawnFace:
    """A face in a square picture of side 1.

    Attributes:
        pitch, yaw, roll: how far it nods, looks aside, and leans, in degrees.
        size: from the middle of the head to its chin.
        centre: of the head.
    """

    pitch: float
    yaw: float
    roll: float
    size: float
    centre: tuple[float, float]

    @classmethod
    def random(cls, rng: np.random.Generator) -> DrawnFace:
        """A face that lies in the picture whole."""
        pitch, yaw, roll = (float(rng.uniform(-most, most)) for most in (15, 25, 20))
        centre = (float(rng.uniform(0.44, 0.56)), float(rng.uniform(0.44, 0.56)))
        return cls(pitch=pitch, yaw=yaw, roll=roll, size=float(rng.uniform(0.28, 0.36)), centre=centre)

    def landmarks(self, num_points: int) -> Array:
        """Where the landmarks are, (P, 2), in fractions of the picture's side.

        Raises:
            ConfigError: for a number of points without a published order.
        """
        if num_points not in LANDMARK_ORDERS:
            known = ", ".join(map(str, LANDMARK_ORDERS))
            raise ConfigError(f"`num_points` of a drawn face must be one of {known}; got {num_points}.")
        return np.concatenate([self._seen(feature.curve(num)) for feature, num in LANDMARK_ORDERS[num_points]])

    def picture(self, image_size: int, rng: np.random.Generator) -> Image.Image:
        """The face drawn with random colours and noise, `image_size` pixels a side."""
        side = 4 * image_size  # and made smaller, so that edges lie between pixels, too
        skin, back = (tuple(rng.integers(low, low + 70, 3).tolist()) for low in (165, 20))
        image = Image.new("RGB", (side, side), back)
        draw = ImageDraw.Draw(image)

        def curve(feature: _Feature) -> list[tuple[float, float]]:
            return [(x * side, y * side) for x, y in self._seen(feature.curve(60)).tolist()]

        draw.polygon(curve(dataclasses.replace(_OUTLINE, extent=360)), fill=skin)
        for eye in (_eye(-1, begin=0), _eye(1, begin=0)):
            draw.polygon(curve(eye), fill="white")
            pupil = dataclasses.replace(eye, radii=(0.07, 0.07))
            draw.polygon(curve(pupil), fill=(40, 30, 20))
        draw.polygon(curve(_MOUTH), fill=(170, 30, 50))
        for line in (_brow(-1), _brow(1), _NOSE):
            draw.line(curve(line), fill=(90, 50, 30), width=side // 50)
        pixels = np.asarray(image.resize((image_size, image_size), Image.Resampling.BOX), dtype=np.float64)
        noisy = pixels + rng.normal(0, 6, pixels.shape)
        return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))

    def _seen(self, points_C3: Array) -> Array:
        """The points turned, about x by the pitch, then y by the yaw, then z by the roll, and put into the picture."""
        pitch, yaw, roll = np.deg2rad([self.pitch, self.yaw, self.roll])
        about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
        about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
        about_z = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
        turned = points_C3 @ (np.array(about_z) @ np.array(about_y) @ np.array(about_x)).T
        seen: Array = self.size * turned[:, :2] + np.array(self.centre)
        return seen
