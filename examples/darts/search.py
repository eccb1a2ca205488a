"""Search for the cells of a network by DARTS, on CIFAR-10 and, if wanted, under hard budgets.

Hanxiao Liu, Karen Simonyan, Yiming Yang: DARTS, ICLR 2019, https://arxiv.org/abs/1806.09055. The defaults are the
paper's; retrain.py trains what was found to its final form. In OUT/search are architecture.json, the network with the
weights of the search, its ONNX file and report.html. The same command goes on where it was.
"""

import argparse
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

from hwnas.cli.script import parser, run
from hwnas.cli.search import run_search
from hwnas.experiment.config import DataConfig, DeviceConfig, SearchConfig
from hwnas.experiment.search import DEFAULT_FINE_TUNE
from hwnas.nn.families import FAMILIES
from hwnas.strategy import DARTS
from hwnas.testing.layouts import write_cifar10, written_once

PAPER = DARTS.recipe
SMOKE = {"channels": 2, "layers": 3, "nodes": 2, "epochs": 2.0, "batch_size": 32, "search_size": 128, "data_dir": None}
NUM_SMOKE_IMAGES = {"num_train": 256, "num_test": 40}


def options() -> argparse.ArgumentParser:
    """The command line: options as on the pages of the old toolkit, and what the library adds."""
    p = parser(__doc__, example='python examples/darts/search.py --epochs 50 --budget "latency<=5ms"')
    p.add_argument("--data-dir", type=Path, default=Path("data"), help="has cifar-10-batches-py in it")
    p.add_argument("--out", type=Path, default=Path("runs/darts"), help="folder of the results")
    p.add_argument("--epochs", "--num-epochs", type=float, default=PAPER.epochs, help="passes over the train part")
    p.add_argument("--batch-size", type=int, default=PAPER.batch_size, help="images a step")
    p.add_argument("--learning-rate", type=float, default=PAPER.learning_rate, help="of the weights")
    p.add_argument("--arc-learning-rate", type=float, default=3e-4, help="of the architecture")
    p.add_argument("--grad-clip", type=float, default=PAPER.gradient_clip, help="largest norm; 0: none")
    p.add_argument("--unrolled", action="store_true", help="the second order: the architecture sees the next weights")
    p.add_argument("--channels", type=int, default=16, help="of a node in the first cells")
    p.add_argument("--layers", type=int, default=8, help="cells")
    p.add_argument("--nodes", type=int, default=4, help="of a cell")
    p.add_argument("--search-size", type=int, default=25_000, help="training images for the architecture alone")
    p.add_argument("--budget", action="append", default=[], help='as in "latency<=5ms" or "params<=4M"; repeatable')
    p.add_argument("--device", default="onnxruntime:cpu", help="where latencies are measured")
    p.add_argument("--seed", type=int, default=0, help="of everything")
    p.add_argument(
        "--smoke", action="store_true", help="a small network, two epochs; without --data-dir on made-up images"
    )
    return p


def main(arguments: Sequence[str]) -> None:
    """Search and say what came of it."""
    p = options()
    if "--smoke" in arguments:  # what is given beside it still counts
        p.set_defaults(**SMOKE)
    given = p.parse_args(arguments)
    if given.data_dir is None:
        given.data_dir = written_once(given.out / "smoke-data", functools.partial(write_cifar10, **NUM_SMOKE_IMAGES))
    size = {"channels": given.channels, "num_cells": given.layers, "num_nodes": given.nodes}
    usual = FAMILIES["darts"].options
    config = SearchConfig(
        space="darts",
        # What is as usual is left out, so that `hwnas retrain` lets it grow as the paper does.
        space_options={name: value for name, value in size.items() if value != usual[name]},
        budgets=tuple(given.budget),
        strategy="darts",
        strategy_options={"unrolled": given.unrolled, "architecture_learning_rate": given.arc_learning_rate},
        seed=given.seed,
        data=DataConfig(name="cifar10", folder=str(given.data_dir), search_size=given.search_size),
        device=DeviceConfig(name=given.device),
        search=dataclasses.replace(
            PAPER,
            epochs=given.epochs,
            batch_size=given.batch_size,
            learning_rate=given.learning_rate,
            gradient_clip=given.grad_clip or None,
        ),
        fine_tune=dataclasses.replace(DEFAULT_FINE_TUNE, batch_size=given.batch_size),
        rivals="none" if given.smoke else "score",
    )
    run_search(config, given.out / "search", title="DARTS on CIFAR-10", json=False)


if __name__ == "__main__":
    run(main)
