"""What the programs of this folder share: the faces, and the space for them."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

import numpy as np

from hwnas.data import Splits, landmark_list
from hwnas.nn import ModelSpace
from hwnas.nn.families import pfld
from hwnas.testing.layouts import write_landmark_list, written_once

__all__ = ["SMOKE_IMAGE_SIZE", "load_faces", "make_space", "num_points_of"]

SMOKE_IMAGE_SIZE = 32
_WIDTHS = {"published": (16, 32, 64), "smoke": (8, 16, 32)}


def load_faces(options: argparse.Namespace, *, angles: bool = True) -> Splits:
    """The faces in `data_root`; without it a few drawn ones, which are written into the snapshot's folder."""
    folder = options.data_root
    if folder is None:  # only with --smoke
        draw = functools.partial(write_landmark_list, num_train=192, num_test=32, image_size=options.img_size)
        folder = written_once(Path(options.snapshot) / "smoke-data", draw)
    return landmark_list(
        folder, seed=options.seed, image_size=options.img_size, num_workers=options.workers, angles=angles
    )


def num_points_of(data: Splits) -> int:
    """P of targets (N, 2 P), or (N, 2 P + 3) with angles."""
    targets = data.test.batch(np.array([0])).labels
    return (targets.shape[1] - data.task.num_auxiliary) // 2


def make_space(*, num_points: int, image_size: int, smoke: bool) -> ModelSpace:
    """The published space of 59,049 networks, or for a smoke run as many narrow ones."""
    return pfld(resolution=image_size, num_points=num_points, widths=_WIDTHS["smoke" if smoke else "published"])
