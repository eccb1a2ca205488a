"""What the programs of this folder share: the devices' names, the space, the images, and the options about them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwnas.cli.script import parser
from hwnas.device import Runtime, connect, known_devices
from hwnas.errors import BadInputError, ConfigError, DataError
from hwnas.experiment.config import DataConfig, SearchConfig
from hwnas.testing.layouts import write_image_folder, written_once

DEVICES = {"cpu": "torch:cpu", "gpu": "torch:cuda", "onnx": "onnxruntime:cpu"}
"""The devices of the published code, and what they are called here."""

SMOKE_SPACE: dict[str, Any] = {
    "widths": (16, 24),
    "strides": (2, 2),
    "activations": ("re", "hs"),
    "depths": (1, 2),
    "kernels": (3,),
    "expansions": (3.0, 6.0),
    "squeeze_excite": (0.0,),
    "last_channels": 64,
}
"""A small member of the space; its networks have the stem and the head of the published ones."""


def connect_target(name: str, *, threads: int = 1, batch_size: int = 1) -> Runtime:
    """A device by its name here, or by the one that the published code has for it."""
    device = DEVICES.get(name, name)
    if name in DEVICES and device not in known_devices():
        raise BadInputError(
            f"The target device {name!r} is PyTorch's own, {device} here, and no runtime of that name is registered; "
            f"known are {', '.join(known_devices())}. Measure what is deployed, an ONNX file: --target_device onnx."
        )
    return connect(device, threads=threads, batch_size=batch_size)


def shared_options(description: str | None, *, example: str) -> argparse.ArgumentParser:
    """A parser with the options of the programs that read images."""
    p = parser(description, example=example)
    p.add_argument(
        "data", type=Path, nargs="?", default="data/imagenet", metavar="DATA", help="has train/ and val/ in it"
    )
    p.add_argument("--out", type=Path, default=Path("runs/hardcorenas"), help="folder of the results of all programs")
    p.add_argument("--img-size", type=int, default=224, help="height and width of the images, in pixels")
    p.add_argument("--workers", type=int, default=4, help="processes that read images")
    p.add_argument("--seed", type=int, default=42, help="of everything; the same in all programs")
    p.add_argument("--smoke", action="store_true", help="a small network, a few steps; without DATA on made-up images")
    return p


def add_train_percent(p: argparse.ArgumentParser) -> None:
    """The option of the programs that learn; `--train_percent` must be the same in all of them."""
    p.add_argument(
        "--train_percent",
        type=float,
        default=80.0,
        help="of the training images: weights learn from them, architectures are compared on the others",
    )


def parse(p: argparse.ArgumentParser, arguments: Sequence[str], **smoke: Any) -> argparse.Namespace:
    """The options; with --smoke the defaults are `smoke`, and images are written where none are given."""
    if "--smoke" in arguments:
        p.set_defaults(data=None, img_size=32, workers=0, **smoke)
    given = p.parse_args(arguments)
    if given.data is None:
        given.data = written_once(given.out / "smoke-data", write_image_folder)
    if not _num_images(given):
        raise DataError(f"{given.data} has no images in train/CLASS/; give the folder that has train/ and val/ in it.")
    return given


def num_train_images(given: argparse.Namespace) -> int:
    """How many images weights learn from."""
    if not 0 < given.train_percent < 100:
        raise ConfigError(f"`--train_percent` must be above 0 and below 100; got {given.train_percent:g}.")
    share: float = given.train_percent / 100
    return round(_num_images(given) * share)


def configuration(given: argparse.Namespace, **fields: Any) -> SearchConfig:
    """The configuration of the space and the images, alike in all programs, with further fields."""
    num_classes = sum(folder.is_dir() for folder in given.data.glob("train/*")) or 1000
    options = {"resolution": given.img_size, "num_classes": num_classes} | (SMOKE_SPACE if given.smoke else {})
    return SearchConfig(
        space="mobilenet_v3",
        space_options=options | fields.pop("space_options", {}),
        data=DataConfig(
            name="image-folder",
            folder=str(given.data),
            search_size=_num_images(given) - num_train_images(given),
            image_size=given.img_size,
            num_workers=given.workers,
        ),
        seed=given.seed,
        **fields,
    )


def _num_images(given: argparse.Namespace) -> int:
    return sum(1 for _ in given.data.glob("train/*/*"))
