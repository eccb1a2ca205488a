"""Single Path One-Shot, step 2 of 3: the best architecture by evolution in the supernet, under hard limits.

Zichao Guo et al.: Single Path One-Shot Neural Architecture Search with Uniform Sampling, ECCV 2020,
https://arxiv.org/abs/1904.00420. With --latency-filter the blocks of the space are measured on the device first, and no
architecture over the limit is ever evaluated; what is found keeps the limit as measured. In OUT/search are
architecture.json, which evaluation.py trains, network.onnx and report.html. The same command goes on where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from setting import configuration, parse, shared_options

from hwnas.cli.console import print_note
from hwnas.cli.script import run
from hwnas.cli.search import run_search
from hwnas.device import connect
from hwnas.errors import CheckpointError
from hwnas.experiment.config import DeviceConfig, SearchConfig
from hwnas.experiment.search import DEFAULT_FINE_TUNE
from hwnas.nn.families import load_space
from hwnas.train import load_weights, read_weights, save_supernet

SMOKE = {
    "evolution_sample_size": 3,
    "evolution_population_size": 6,
    "evolution_cycles": 12,
    "fine_tune_epochs": 1.0,
    "batch_size": 16,
}


def options() -> argparse.ArgumentParser:
    """The command line: options as in the old toolkit, and what the library adds."""
    p = shared_options(
        __doc__,
        example="python examples/spos/search.py --latency-filter onnxruntime:cpu --latency-threshold-ms 20",
    )
    p.add_argument(
        "--checkpoint",
        metavar="FILE|URL",
        help="published weights of the supernet, such as data/checkpoint-150000.pth.tar, which go with "
        "--spos-preprocessing; without it those of supernet.py, in OUT/supernet",
    )
    p.add_argument("--allow-url", action="store_true", help="fetch --checkpoint from an address")
    p.add_argument("--latency-filter", metavar="DEVICE", help="limit the latency on this device: onnxruntime:cpu")
    p.add_argument(
        *("--latency-threshold-ms", "--latency-threshold"),
        type=float,
        default=100.0,
        help="the limit, in milliseconds for one image",
    )
    p.add_argument("--latency-table", type=Path, help="where measurements go; OUT/latency.sqlite if not given")
    p.add_argument("--flops-limit", type=float, help="multiply-accumulates at most, 330e6 in the paper")
    p.add_argument("--budget", action="append", default=[], help='a further limit, as in "params<=3.5M"; repeatable')
    p.add_argument(
        "--strategy",
        choices=("evolution", "spos", "random"),
        default="evolution",
        help="regularised evolution, as in the old toolkit, the paper's generations, or random search to hold them "
        "against",
    )
    p.add_argument("--evolution-sample-size", type=int, default=10, help="of a tournament; spos: the parents")
    p.add_argument("--evolution-population-size", type=int, default=50, help="alive at a time; spos: of a generation")
    p.add_argument("--evolution-cycles", type=int, default=1000, help="architectures evaluated, all in all")
    p.add_argument("--fine-tune-epochs", type=float, default=DEFAULT_FINE_TUNE.epochs, help="with inherited weights")
    p.add_argument("--batch-size", type=int, default=DEFAULT_FINE_TUNE.batch_size, help="images a step of fine-tuning")
    p.add_argument("--rivals", choices=("none", "score", "train"), default="none", help="random networks beside it")
    return p


def evolution(given: argparse.Namespace) -> dict[str, int]:
    """The strategy's own options."""
    size, cycles = given.evolution_population_size, given.evolution_cycles
    if given.strategy == "random":
        return {"max_trials": cycles}
    if given.strategy == "evolution":
        return {"sample_size": given.evolution_sample_size, "population_size": size, "max_trials": cycles}
    return {
        "num_top": given.evolution_sample_size,
        "population_size": size,
        "num_crossover": size // 2,
        "num_mutation": size // 2,
        "num_generations": -(-cycles // max(size, 1)),
        "max_trials": cycles,
    }


def supernet(given: argparse.Namespace, config: SearchConfig) -> Path:
    """The folder of the supernet; published weights are kept in one of their own."""
    if given.checkpoint is None:
        folder = Path(given.out, "supernet")
        if not folder.is_dir():
            raise CheckpointError(f"{folder} has no supernet yet. Train one with supernet.py, or give --checkpoint.")
        return folder
    if not given.spos_preprocessing:
        print_note("The published weights were trained with --spos-preprocessing; without it they are of no use.")
    space = load_space(config.space, **config.space_options)
    load_weights(space, read_weights(given.checkpoint, allow_url=given.allow_url))
    return save_supernet(space, Path(given.out, "published"))


def main(arguments: Sequence[str]) -> None:
    """Search and say what came of it."""
    given = parse(options(), arguments, **SMOKE)
    budgets = list(given.budget)
    if given.flops_limit is not None:
        budgets.append(f"macs<={given.flops_limit!r}")
    if given.latency_filter is not None:
        connect(given.latency_filter)  # an unknown one is said before anything is read
        budgets.append(f"latency<={given.latency_threshold_ms!r}ms")
    fine_tune = {"epochs": given.fine_tune_epochs, "warmup_epochs": given.fine_tune_epochs / 20}
    config = configuration(
        given,
        budgets=tuple(budgets),
        device=DeviceConfig(
            name=given.latency_filter or "onnxruntime:cpu",
            table=str(given.latency_table or given.out / "latency.sqlite"),
            **({"repeats": 1, "calibrate": 3} if given.smoke else {}),
        ),
        strategy=given.strategy,
        strategy_options=evolution(given),
        fine_tune=dataclasses.replace(DEFAULT_FINE_TUNE, batch_size=given.batch_size, **fine_tune),
        rivals=given.rivals,
    )
    config = dataclasses.replace(config, supernet=str(supernet(given, config)))
    run_search(config, given.out / "search", title="SPOS", json=False)


if __name__ == "__main__":
    run(main)
