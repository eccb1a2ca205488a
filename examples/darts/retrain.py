"""Train a network of cells to its final form, on CIFAR-10 as in the paper of DARTS.

Hanxiao Liu, Karen Simonyan, Yiming Yang: DARTS, ICLR 2019, https://arxiv.org/abs/1806.09055, appendix A: 20 cells, 36
channels, 600 epochs, with an auxiliary head, drop path and cutout, on all training images. In OUT/retrain are
network.safetensors, network.onnx and result.json with the test accuracy. The same command goes on where it was.
"""

import argparse
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

from hwnas import Architecture, retrain
from hwnas.cli.architecture_argument import read_architecture
from hwnas.cli.console import progress_bars
from hwnas.cli.retrain import print_results
from hwnas.cli.script import parser, run
from hwnas.data import cifar10
from hwnas.experiment import FINAL_RECIPES
from hwnas.nn.families import DARTS_NETWORKS, darts
from hwnas.testing.layouts import write_cifar10, written_once

PAPER = FINAL_RECIPES["darts"]
SMOKE = {"channels": 2, "layers": 3, "nodes": 2, "epochs": 2.0, "batch_size": 32, "data_dir": None}
NUM_SMOKE_IMAGES = {"num_train": 256, "num_test": 40}


def options() -> argparse.ArgumentParser:
    """The command line: options as in the old toolkit, and what the library adds."""
    p = parser(
        __doc__, example="python examples/darts/retrain.py --arch-checkpoint runs/darts/search/architecture.json"
    )
    p.add_argument(
        *("--arch-checkpoint", "--arc-checkpoint"),
        metavar="FILE|NAME",
        help="the architecture.json of a search, or a published one: darts-v1, darts-v2; without it that of OUT/search",
    )
    p.add_argument("--data-dir", type=Path, default=Path("data"), help="has cifar-10-batches-py in it")
    p.add_argument("--out", type=Path, default=Path("runs/darts"), help="folder of the results")
    p.add_argument("--epochs", type=float, default=PAPER.recipe.epochs, help="passes over the training images")
    p.add_argument(
        "--batch-size",
        type=int,
        default=PAPER.recipe.batch_size,
        help="images a step; the learning rate stays in proportion",
    )
    p.add_argument("--channels", type=int, default=36, help="of a node in the first cells")
    p.add_argument("--layers", type=int, default=20, help="cells")
    p.add_argument("--nodes", type=int, default=4, help="of a cell")
    p.add_argument("--aux-weight", type=float, default=PAPER.auxiliary_weight, help="of the auxiliary head's loss")
    p.add_argument("--drop-path-prob", type=float, default=PAPER.drop_path_rate, help="to which drop path grows")
    p.add_argument("--seed", type=int, default=0, help="of everything")
    p.add_argument(
        "--smoke", action="store_true", help="a small network, two epochs; without --data-dir on made-up images"
    )
    return p


def main(arguments: Sequence[str]) -> None:
    """Train and say what came of it."""
    p = options()
    if "--smoke" in arguments:  # what is given beside it still counts
        p.set_defaults(**SMOKE)
    given = p.parse_args(arguments)
    if given.data_dir is None:
        given.data_dir = written_once(given.out / "smoke-data", functools.partial(write_cifar10, **NUM_SMOKE_IMAGES))
    wanted = given.arch_checkpoint or str(given.out / "search" / "architecture.json")
    if wanted in DARTS_NETWORKS:
        architecture = Architecture(DARTS_NETWORKS[wanted].architecture)
    else:  # cells are the same ones whatever their number and channels
        architecture = read_architecture(darts(channels=1, num_cells=3, num_nodes=given.nodes), wanted)
    with progress_bars() as show:
        result = retrain(
            functools.partial(
                darts, channels=given.channels, num_cells=given.layers, num_nodes=given.nodes, affine=True
            ),
            cifar10(given.data_dir, seed=given.seed),
            architecture,
            dataclasses.replace(PAPER, auxiliary_weight=given.aux_weight, drop_path_rate=given.drop_path_prob),
            epochs=given.epochs,
            batch_size=given.batch_size,
            seed=given.seed,
            directory=given.out / "retrain",
            progress=lambda advance: show(advance.phase, advance.done, advance.total, advance.detail),
        )
    print_results([result])


if __name__ == "__main__":
    run(main)
