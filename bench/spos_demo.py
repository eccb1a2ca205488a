"""SPOS's multi-trial search beside random search, under a measured latency: one Markdown table.

    python bench/spos_demo.py [--seeds 10] [--out runs/spos-demo]
    python bench/spos_demo.py --smoke --seeds 2

What examples/spos does, for many seeds on one supernet: a small space of ShuffleNet blocks is trained by uniform single
paths on Fashion-MNIST, its blocks are measured on onnxruntime:cpu once, and from then on no architecture over the
latency threshold is evaluated. Random search, regularised evolution and SPOS's own generations then have the same
number of evaluations each, on the same weights and search images. An architecture's score is its accuracy on the search
images with batch norm re-estimated; it is looked up where another run has had it.

Everything is in the folder; interrupted and called again, the command goes on.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"  # read when torch and numpy are imported

import argparse
import dataclasses
import datetime
import functools
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hwnas import Architecture, Experiment, load_data
from hwnas.data import DataName
from hwnas.device import connect, measure
from hwnas.device.machine import processor_name
from hwnas.nn.families import load_space
from hwnas.profiler import LatencyProfiler
from hwnas.strategy.unbound import SPOS, Random, RegularizedEvolution, Unbound
from hwnas.train import Recipe, SupernetEvaluator, train_supernet

_DEVICE = "onnxruntime:cpu"
_SHARE = 0.5  # of the space that keeps the latency threshold
_NUM_DRAWS = 10_000
_TITLES = {"random": "random search", "evolution": "regularised evolution", "spos": "SPOS's generations"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """Sizes, chosen before any result was seen.

    Attributes:
        data: the data set's name.
        train_size: images that train the supernet; None: all.
        search_size: images that architectures are compared on; None: a fifth.
        space: options of `shufflenet_v2`.
        epochs: of the supernet.
        num_evaluations: of every search.
        population_size: of both evolutions.
        num_best: of a tournament; of SPOS: the parents.
        calibrate: measurements of the fixed part of a latency.
        repeats: of every measurement.
    """

    data: DataName = "fashion-mnist"
    train_size: int | None = 4096
    search_size: int | None = 1000
    space: Mapping[str, Any] = dataclasses.field(
        default_factory=lambda: {
            "resolution": 28,
            "in_channels": 1,
            "num_classes": 10,
            "widths": (16, 32),
            "depths": (4, 4),
            "stem_channels": 8,
            "stem_stride": 2,
            "last_channels": 64,
        }
    )
    epochs: float = 30.0
    num_evaluations: int = 100
    population_size: int = 20
    num_best: int = 5
    calibrate: int = 12
    repeats: int = 3

    @classmethod
    def smoke(cls) -> Setting:
        """To see that it runs."""
        space = {"resolution": 8, "in_channels": 1, "num_classes": 10, "widths": (16, 24), "depths": (1, 2)}
        return cls(
            data="digits",
            train_size=None,
            search_size=None,
            space=space | {"stem_channels": 8, "stem_stride": 1, "last_channels": 32},
            epochs=2.0,
            num_evaluations=8,
            population_size=4,
            num_best=2,
            calibrate=3,
            repeats=1,
        )

    @property
    def strategies(self) -> dict[str, Unbound]:
        """The rows."""
        size = self.population_size
        return {
            "random": Random(),
            "evolution": RegularizedEvolution(population_size=size, sample_size=self.num_best),
            "spos": SPOS(
                population_size=size,
                num_top=self.num_best,
                num_crossover=size // 2,
                num_mutation=size // 2,
                num_generations=self.num_evaluations // size,
            ),
        }


def search_all(setting: Setting, seeds: int, out: Path) -> dict[str, list[float]]:
    """The best score of every search, by row: one for each seed."""
    torch.manual_seed(0)  # of the first weights
    space = load_space("shufflenet_v2", **setting.space)
    splits = load_data(setting.data, seed=0, train_size=setting.train_size, search_size=setting.search_size)
    _say(f"supernet of {space.space.size:,} networks")
    recipe = Recipe(epochs=setting.epochs, batch_size=64, learning_rate=0.1, scheme="single_path")
    train_supernet(space, splits, recipe, seed=0, directory=out / "supernet")
    _say("latencies")
    path = out / "latency.sqlite"
    table = measure(space, connect(_DEVICE), out=path, repeats=setting.repeats, calibrate=setting.calibrate)
    profiler = LatencyProfiler(space, table, z=1.0)
    drawn = space.space.sample_codes(_NUM_DRAWS, np.random.default_rng(0))
    threshold_ms = float(np.quantile(profiler.cost.values(drawn), _SHARE))
    _say(f"threshold {threshold_ms:.4f} ms; latencies from {profiler.min():.4f} to {profiler.max():.4f} ms")
    evaluator = SupernetEvaluator(space, splits, num_bn_batches=2)

    @functools.cache
    def accuracy(architecture: Architecture) -> float:
        return evaluator.evaluate(architecture).accuracy

    best: dict[str, list[float]] = {}
    for seed in range(seeds):
        for row, strategy in setting.strategies.items():
            experiment = Experiment(
                space,
                accuracy,
                strategy,
                budgets=[profiler.at_most(threshold_ms)],
                directory=out / f"{row}-{seed}",
                seed=seed,
            )
            status = experiment.run(setting.num_evaluations)
            assert status.num_complete == setting.num_evaluations, status
            [found] = experiment.top(1)
            best.setdefault(row, []).append(found.metrics["score"])
            _say(f"{row}, seed {seed}: {best[row][-1]:.4f}")
    return best


def table(best: Mapping[str, Sequence[float]]) -> str:
    """The best accuracy of each seed, its mean, and the mean of the paired differences to random search."""
    lines = ["| search | best accuracy of each seed, % | mean | more than random, points | seeds won, lost |"]
    lines.append("|---|---|---|---|---|")
    for row, scores in best.items():
        values = 100.0 * np.array(scores)
        cells = [_TITLES[row], " ".join(f"{value:.1f}" for value in values), f"{values.mean():.2f}"]
        if row == "random":
            cells += ["", ""]
        else:
            differences = values - 100.0 * np.array(best["random"])
            error = differences.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
            cells += [f"{differences.mean():+.2f} ± {error:.2f}"]
            cells += [f"{(differences > 0).sum()}, {(differences < 0).sum()}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench/spos_demo.py", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="how many; default: 10")
    parser.add_argument("--out", type=Path, help="where the runs are; default: runs/spos-demo (or -smoke)")
    parser.add_argument("--smoke", action="store_true", help="on tiny data: to see that it runs")
    arguments = parser.parse_args(given)
    if arguments.seeds < 1:
        parser.error(f"--seeds must be at least 1; got {arguments.seeds}")
    torch.set_num_threads(1)
    setting = Setting.smoke() if arguments.smoke else Setting()
    out = arguments.out or Path("runs/spos-demo-smoke" if arguments.smoke else "runs/spos-demo")
    print(table(search_all(setting, arguments.seeds, out)))
    facts = {
        "date": datetime.date.today().isoformat(),
        "processor": processor_name(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "onnxruntime")},
        **{name: value for name, value in dataclasses.asdict(setting).items() if name != "space"},
    }
    print("\n" + "; ".join(f"{name}: {value}" for name, value in facts.items()))


if __name__ == "__main__":
    main()
