"""Drawn faces: the pose can be recovered from the points, and the points are where the picture has the features."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.spatial.transform import Rotation

from hwnas.errors import ConfigError
from hwnas.testing.drawn_face import LANDMARK_ORDERS, DrawnFace


@pytest.mark.parametrize("num_points", LANDMARK_ORDERS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_the_angles_are_those_of_the_points(num_points: int, seed: int) -> None:
    face = DrawnFace.random(np.random.default_rng(seed))
    seen = face.landmarks(num_points)
    assert seen.shape == (num_points, 2)
    assert ((seen > 0) & (seen < 1)).all()
    solid = np.concatenate([feature.curve(num) for feature, num in LANDMARK_ORDERS[num_points]])
    fitted, *_ = np.linalg.lstsq(np.column_stack([solid, np.ones(num_points)]), seen, rcond=None)
    across, down = fitted[:3].T / face.size  # two rows of the rotation; the third is their cross product
    rotation = Rotation.from_matrix(np.array([across, down, np.cross(across, down)]))
    np.testing.assert_allclose(rotation.as_euler("xyz", degrees=True), [face.pitch, face.yaw, face.roll], atol=1e-6)
    np.testing.assert_allclose(fitted[3], face.centre, atol=1e-9)


@pytest.mark.parametrize(("num_points", "corners"), [(106, (35, 93)), (98, (60, 72))])
def test_the_outer_eye_corners_are_where_the_published_orders_have_them(
    num_points: int, corners: tuple[int, int]
) -> None:
    face = DrawnFace(pitch=0, yaw=0, roll=0, size=0.5, centre=(0.5, 0.5))
    points = face.landmarks(num_points)
    left, right = (points[list(range(*group))] for group in EYES[num_points])
    assert points[corners[0], 0] == left[:, 0].min() < left[:, 0].max() < 0.5
    assert points[corners[1], 0] == right[:, 0].max() > right[:, 0].min() > 0.5


EYES = {106: ((33, 43), (87, 97)), 98: ((60, 68), (68, 76))}


def test_the_picture_has_the_features_where_the_points_are() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        face = DrawnFace.random(rng)
        pixels = np.asarray(face.picture(112, rng)).astype(float)
        points = face.landmarks(98)
        pupils = pixels[tuple((points[96:98, ::-1] * 112).astype(int).T)]
        assert (pupils.mean(1) < 90).all()  # dark
        mouth = pixels[tuple((points[76:96, ::-1].mean(0) * 112).astype(int))]
        assert mouth[0] > mouth[1] + 80  # red


def test_another_number_of_points() -> None:
    face = DrawnFace(pitch=0, yaw=0, roll=0, size=0.3, centre=(0.5, 0.5))
    with pytest.raises(ConfigError, match="`num_points` of a drawn face must be one of 106, 98; got 68"):
        face.landmarks(68)
