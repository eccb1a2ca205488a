"""The command line of main.py: options as on the pages of the old toolkit, and what the library adds."""

from __future__ import annotations

import argparse
from pathlib import Path

from hwnas.cli.script import parser
from hwnas.experiment import FINAL_RECIPES
from hwnas.experiment.search import DEFAULT_FINE_TUNE
from hwnas.strategy import ProxylessNAS

PAPER, FINAL = ProxylessNAS.recipe, FINAL_RECIPES["proxylessnas"].recipe
SMOKE = {
    "data_dir": None,
    "dummy_input": (1, 3, 32, 32),
    "epochs": 3.0,
    "warmup_epochs": 1.0,
    "retrain_epochs": 2.0,
    "fine_tune_epochs": 1.0,
    "batch_size": 16,
    "workers": 0,
}


def options(description: str | None) -> argparse.ArgumentParser:
    """The parser."""
    p = parser(
        description,
        example="python examples/proxylessnas/main.py --applied-hardware onnxruntime:cpu --reference-latency-ms 20 "
        '--budget "latency<=20ms"',
    )
    p.add_argument("--data-dir", "--data-path", type=Path, default="data/imagenet", help="has train/ and val/ in it")
    p.add_argument("--out", type=Path, default="runs/proxylessnas", help="folder of the results")
    p.add_argument("--train-mode", choices=("search", "retrain"), default="search", help="what to do")
    p.add_argument("--applied-hardware", metavar="DEVICE", help="put the latency on this device into the loss")
    p.add_argument("--latency-table", type=Path, help="where measurements go; OUT/latency.sqlite if not given")
    p.add_argument("--reference-latency-ms", "--reference-latency", type=float, help="T of that loss, in milliseconds")
    p.add_argument(
        "--grad-reg-loss-type",
        choices=("mul#log", "add#linear"),
        default="add#linear",
        help="a loss L with the expected latency E becomes L * alpha * (log E / log T) ** beta, with both in "
        "milliseconds, or L + lambda * (E - T) / T",
    )
    p.add_argument("--grad-reg-loss-lambda", type=float, default=0.1, help="of add#linear")
    p.add_argument("--grad-reg-loss-alpha", type=float, default=0.2, help="of mul#log")
    p.add_argument("--grad-reg-loss-beta", type=float, default=0.3, help="of mul#log")
    p.add_argument(
        "--dummy-input",
        type=_input_shape,
        default=(1, 3, 224, 224),
        metavar="B,3,SIZE,SIZE",
        help="what latency is measured on: a batch of images; the space and the data set have that size too",
    )
    p.add_argument("--budget", action="append", default=[], help='hard, as "latency<=20ms" or "params<=4M"; repeatable')
    p.add_argument("--device", default="onnxruntime:cpu", help="of a budget on latency, without --applied-hardware")
    p.add_argument("--arch-path", type=Path, help="where the architecture goes as well, beside OUT/search")
    p.add_argument(
        "--exported-arch-path",
        metavar="FILE|NAME",
        help="what to retrain: an architecture.json, or proxyless-mobile as published; without it what was searched",
    )
    p.add_argument("--epochs", type=float, default=PAPER.epochs, help="of the search, warm-up included")
    p.add_argument("--warmup-epochs", type=float, default=40.0, help="of these, in which only weights learn")
    p.add_argument("--retrain-epochs", type=float, default=FINAL.epochs, help="of the final training")
    p.add_argument("--batch-size", "--train-batch-size", type=int, default=PAPER.batch_size, help="images a step")
    p.add_argument("--learning-rate", type=float, default=PAPER.learning_rate, help="of the weights, in the search")
    p.add_argument("--arc-learning-rate", type=float, default=1e-3, help="of the architecture")
    p.add_argument(
        "--search-size",
        type=int,
        help="training images for the architecture alone, 50000 in the paper; a fifth if not given",
    )
    p.add_argument("--fine-tune-epochs", type=float, default=DEFAULT_FINE_TUNE.epochs, help="with inherited weights")
    p.add_argument("--workers", "--n-worker", type=int, default=4, help="processes that read images")
    p.add_argument("--seed", type=int, default=0, help="of everything")
    p.add_argument(
        "--smoke", action="store_true", help="a small network, a few steps; without --data-dir on made-up images"
    )
    return p


def _input_shape(text: str) -> tuple[int, ...]:
    """The shape of square colour images, as in 1,3,224,224 or (1, 3, 224, 224)."""
    try:
        shape = tuple(int(size) for size in text.strip("() ").split(","))
    except ValueError:
        shape = ()
    if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3]:
        raise argparse.ArgumentTypeError(f"must be square colour images, as in 1,3,224,224; got {text!r}")
    return shape
