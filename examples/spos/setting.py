"""What the three programs of this folder share: their options, and the configuration that these make."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwnas.cli.script import parser
from hwnas.experiment.config import DataConfig, SearchConfig
from hwnas.testing.layouts import write_image_folder, written_once

SMOKE_SPACE = {"widths": (16, 24), "depths": (1, 2), "stem_channels": 8, "last_channels": 64}
"""A small member of the space."""


def shared_options(description: str | None, *, example: str) -> argparse.ArgumentParser:
    """A parser with the options of all three programs."""
    p = parser(description, example=example)
    p.add_argument("--data-dir", "--imagenet-dir", type=Path, default="data/imagenet", help="has train/ and val/ in it")
    p.add_argument("--out", type=Path, default="runs/spos", help="folder of the results of all three programs")
    p.add_argument(
        "--spos-preprocessing",
        action="store_true",
        help="images as the published checkpoint needs them: BGR, values from 0 to 255, not normalised",
    )
    p.add_argument("--image-size", type=int, default=224, help="height and width of the images, in pixels")
    p.add_argument(
        "--search-size",
        type=int,
        help="how many of the training images are kept for comparing architectures, 50000 in the paper; a fifth if "
        "not given",
    )
    p.add_argument("--workers", type=int, default=4, help="processes that read images")
    p.add_argument("--seed", type=int, default=42, help="of everything; the same in all three programs")
    p.add_argument(
        "--smoke", action="store_true", help="a small network, a few steps; without --data-dir on made-up images"
    )
    return p


def parse(p: argparse.ArgumentParser, arguments: Sequence[str], **smoke: Any) -> argparse.Namespace:
    """The options; with --smoke the defaults are `smoke`, and images are written where none are given."""
    if "--smoke" in arguments:
        p.set_defaults(data_dir=None, image_size=32, workers=0, **smoke)
    given = p.parse_args(arguments)
    if given.data_dir is None:
        given.data_dir = written_once(given.out / "smoke-data", write_image_folder)
    return given


def configuration(given: argparse.Namespace, **fields: Any) -> SearchConfig:
    """The configuration of the space and the images, alike in all three programs, with further fields."""
    num_classes = sum(folder.is_dir() for folder in given.data_dir.glob("train/*")) or 1000
    return SearchConfig(
        space="shufflenet_v2",
        space_options={"resolution": given.image_size, "num_classes": num_classes}
        | (SMOKE_SPACE if given.smoke else {}),
        data=DataConfig(
            name="image-folder",
            folder=str(given.data_dir),
            search_size=given.search_size,
            image_size=given.image_size,
            num_workers=given.workers,
            preprocessing="spos" if given.spos_preprocessing else "imagenet",
        ),
        seed=given.seed,
        **fields,
    )
