"""Search for a network by ENAS, on CIFAR-10 and, if wanted, under hard budgets: its layers and skips, or its cells.

Hieu Pham, Melody Guan, Barret Zoph, Quoc Le, Jeff Dean: ENAS, ICML 2018, https://arxiv.org/abs/1802.03268. The defaults
are the paper's. In OUT/macro or OUT/micro are architecture.json, the network with the weights of the search, its ONNX
file and report.html. The same command goes on where it was; `hwnas retrain OUT/macro` does the paper's final training.
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
from hwnas.strategy import ENAS
from hwnas.testing.layouts import write_cifar10, written_once

PAPER = ENAS.recipe
EPOCHS = {"macro": 310, "micro": 150}
SMOKE = {
    "epochs": 3.0,
    "batch_size": 32,
    "search_size": 128,
    "ctrl_steps_aggregate": 4,
    "steps_per_controller_step": 1,
    "scoring_share": 0.1,
    "data_dir": None,
}
SMOKE_SPACES = {"macro": {"filters": 4, "num_layers": 3}, "micro": {"channels": 4, "num_cells": 3, "num_nodes": 2}}
NUM_SMOKE_IMAGES = {"num_train": 256, "num_test": 40}


def options() -> argparse.ArgumentParser:
    """The command line: options as on the pages of the old toolkit, and what the library adds."""
    p = parser(__doc__, example='python examples/enas/search.py --search-for micro --budget "latency<=5ms"')
    p.add_argument("--search-for", choices=("macro", "micro"), default="macro", help="layers and skips, or cells")
    p.add_argument("--data-dir", type=Path, default=Path("data"), help="has cifar-10-batches-py in it")
    p.add_argument("--out", type=Path, default=Path("runs/enas"), help="folder of the results")
    p.add_argument("--epochs", "--num-epochs", type=float, help="passes over the train part; without it 310, micro 150")
    p.add_argument("--batch-size", type=int, default=PAPER.batch_size, help="images a step")
    p.add_argument("--learning-rate", type=float, default=PAPER.learning_rate, help="of the weights")
    p.add_argument(
        "--grad-clip",
        type=float,
        default=PAPER.gradient_clip,
        help="largest norm of the gradients of weights and of the controller; 0: none",
    )
    p.add_argument("--entropy-weight", type=float, default=1e-4, help="in the reward")
    p.add_argument("--skip-weight", type=float, default=0.8, help="of the skips' divergence")
    p.add_argument("--skip-target", type=float, default=0.4, help="how likely a skip is to be")
    p.add_argument("--baseline-decay", type=float, default=0.999, help="of the mean of rewards")
    p.add_argument("--ctrl-lr", type=float, default=3.5e-4, help="learning rate of the controller")
    p.add_argument(
        "--ctrl-steps-aggregate",
        type=int,
        default=20,
        help="paths that a step of the controller averages over",
    )
    p.add_argument(
        "--steps-per-controller-step",
        type=int,
        default=7,
        help="steps of weights for one of the controller; 7 make 50 in the paper's epoch of 351",
    )
    p.add_argument("--lstm-size", type=int, default=64, help="of the controller")
    p.add_argument("--lstm-num-layers", type=int, default=1, help="of the controller")
    p.add_argument("--tanh-constant", type=float, default=1.5, help="largest logit; 0: no limit")
    p.add_argument("--temperature", type=float, help="of the controller's choices; without it 1")
    p.add_argument("--scoring-share", type=float, default=0.02, help="of the search, at its end, to score the samples")
    p.add_argument("--search-size", type=int, default=5_000, help="training images for the controller alone")
    p.add_argument("--budget", action="append", default=[], help='as in "latency<=5ms" or "params<=4M"; repeatable')
    p.add_argument("--device", default="onnxruntime:cpu", help="where latencies are measured")
    p.add_argument("--seed", type=int, default=0, help="of everything")
    p.add_argument(
        "--smoke", action="store_true", help="a small network, three epochs; without --data-dir on made-up images"
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
    config = SearchConfig(
        space=f"enas_{given.search_for}",
        space_options=SMOKE_SPACES[given.search_for] if given.smoke else {},
        budgets=tuple(given.budget),
        strategy="enas",
        strategy_options={
            "controller_learning_rate": given.ctrl_lr,
            "lstm_size": given.lstm_size,
            "lstm_num_layers": given.lstm_num_layers,
            "tanh_constant": given.tanh_constant or None,
            "temperature": given.temperature,
            "entropy_weight": given.entropy_weight,
            "skip_target": given.skip_target,
            "skip_weight": given.skip_weight,
            "baseline_decay": given.baseline_decay,
            "num_samples": given.ctrl_steps_aggregate,
            "steps_per_controller_step": given.steps_per_controller_step,
            "scoring_share": given.scoring_share,
            "gradient_clip": given.grad_clip or None,
        },
        seed=given.seed,
        data=DataConfig(name="cifar10", folder=str(given.data_dir), search_size=given.search_size),
        device=DeviceConfig(name=given.device),
        search=dataclasses.replace(
            PAPER,
            epochs=EPOCHS[given.search_for] if given.epochs is None else given.epochs,
            batch_size=given.batch_size,
            learning_rate=given.learning_rate,
            gradient_clip=given.grad_clip or None,
        ),
        fine_tune=dataclasses.replace(DEFAULT_FINE_TUNE, batch_size=given.batch_size),
        rivals="none" if given.smoke else "score",
    )
    run_search(config, given.out / given.search_for, title=f"ENAS ({given.search_for}) on CIFAR-10", json=False)


if __name__ == "__main__":
    run(main)
