"""Single Path One-Shot, step 1 of 3: train the supernet, one uniform path a step, on images in ImageNet's layout.

Zichao Guo et al.: Single Path One-Shot Neural Architecture Search with Uniform Sampling, ECCV 2020,
https://arxiv.org/abs/1904.00420. The defaults are the paper's. The checkpoints are in OUT/supernet, where search.py
finds them; the same command goes on from the last one. On several GPUs: torchrun --nproc-per-node 8 supernet.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from setting import configuration, parse, shared_options

from hwnas.cli.console import print_line, progress_bars
from hwnas.cli.script import run
from hwnas.experiment import train_configured
from hwnas.strategy import SPOS

PAPER = SPOS.supernet_recipe


def main(arguments: Sequence[str]) -> None:
    """Train, and say where the supernet is."""
    p = shared_options(__doc__, example="python examples/spos/supernet.py --data-dir data/imagenet")
    p.add_argument("--epochs", type=float, default=PAPER.epochs, help="passes over the training images")
    p.add_argument("--batch-size", type=int, default=PAPER.batch_size, help="images a step")
    p.add_argument("--learning-rate", type=float, default=PAPER.learning_rate, help="at first; it falls linearly to 0")
    p.add_argument("--momentum", type=float, default=PAPER.momentum, help="of SGD")
    p.add_argument("--weight-decay", type=float, default=PAPER.weight_decay, help="of weights, not of biases")
    p.add_argument("--label-smoothing", "--label-smooth", type=float, default=PAPER.label_smoothing)
    p.add_argument(
        "--macs-range",
        type=float,
        nargs=2,
        metavar=("LEAST", "MOST"),
        help="draw paths uniformly over seven bins of multiply-accumulates, 290e6 to 360e6 in the paper; without it "
        "uniformly over all architectures",
    )
    p.add_argument(
        "--load-checkpoint",
        metavar="FILE|URL",
        help="begin with published weights, such as data/checkpoint-150000.pth.tar, which go with --spos-preprocessing",
    )
    p.add_argument("--allow-url", action="store_true", help="fetch --load-checkpoint from an address")
    given = parse(p, arguments, epochs=2, batch_size=16, learning_rate=0.05)
    recipe = dataclasses.replace(
        PAPER,
        epochs=given.epochs,
        batch_size=given.batch_size,
        learning_rate=given.learning_rate,
        momentum=given.momentum,
        weight_decay=given.weight_decay,
        label_smoothing=given.label_smoothing,
        macs_range=tuple(given.macs_range) if given.macs_range else None,
    )
    directory = given.out / "supernet"
    with progress_bars() as show:
        result = train_configured(
            configuration(given, train=recipe),
            directory,
            weights=given.load_checkpoint,
            allow_url=given.allow_url,
            progress=lambda step: show("train supernet", step.step, step.num_steps, f"loss {step.loss:.3f}"),
        )
    print_line(f"supernet: {directory}, {result.step} steps, loss {result.loss:.3f}")


if __name__ == "__main__":
    run(main)
