"""Test a network that an architecture string describes, with given weights, on the validation images.

Niv Nayman et al.: HardCoRe-NAS, ICML 2021, https://arxiv.org/abs/2102.11646. The weights are those of search.py or
train.py (network.safetensors), or the published ones, of this code or of timm's hardcorenas_a to _f.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from setting import parse, shared_options

from hwnas.cli.console import print_line
from hwnas.cli.script import run
from hwnas.data import image_folder
from hwnas.errors import ConfigError
from hwnas.nn.families import architecture_string
from hwnas.report.formats import format_score
from hwnas.train import evaluate_accuracy, load_weights, read_weights


def main(arguments: Sequence[str]) -> None:
    """Test, and say what came of it."""
    p = shared_options(
        __doc__,
        example="python validate.py data/imagenet -b 512 --mobilenet_string \"[['ds_r1_k3_s1_e1_c16_nre'], ...]\" "
        "--checkpoint runs/hardcorenas/search/network.safetensors",
    )
    p.add_argument("-b", "--batch-size", type=int, default=512, help="images at a time")
    p.add_argument("--mobilenet_string", help="the architecture string of the network; required")
    p.add_argument("--checkpoint", metavar="FILE|URL", help="its weights; required")
    p.add_argument("--allow-url", action="store_true", help="fetch --checkpoint from an address")
    p.add_argument("--stem-channels", type=int, default=32, help="40 for the published networks of width 1.2")
    given = parse(p, arguments, batch_size=16)
    for name in ("mobilenet_string", "checkpoint"):
        if getattr(given, name) is None:
            raise ConfigError(f"`--{name}` is missing: the network to test, and its weights.")
    stages = architecture_string.parse(given.mobilenet_string)  # a typing mistake is said before anything is read
    data = image_folder(given.data, seed=given.seed, image_size=given.img_size, num_workers=given.workers)
    network = architecture_string.build(stages, num_classes=data.test.num_classes, stem_channels=given.stem_channels)
    load_weights(network, read_weights(given.checkpoint, allow_url=given.allow_url))
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    found = evaluate_accuracy(network, data.test, batch_size=given.batch_size)
    score = format_score(found.accuracy, found.standard_error, name="accuracy")
    print_line(f"accuracy {score} of {len(data.test)} images, loss {found.loss:.4f}")


if __name__ == "__main__":
    run(main)
