"""The runs behind `bench/pfld.py`: on what, and every network from the supernet to its file."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from hwnas.cost import Budget, LatencyTable
from hwnas.data import Splits, landmark_list
from hwnas.device import connect, measure, onnx_difference
from hwnas.experiment import SearchResult, search
from hwnas.experiment.phases import Advance
from hwnas.experiment.supernet import train_whole_space
from hwnas.nn import ModelSpace
from hwnas.nn.families import pfld
from hwnas.profiler import LatencyProfiler
from hwnas.space import Space
from hwnas.strategy import Derived, Outcome, Proposal
from hwnas.strategy.feasible import sample_feasible
from hwnas.testing.layouts import write_landmark_list
from hwnas.train import Recipe

__all__ = ["RandomFeasible", "Setting", "run_all"]

_DEVICE = "onnxruntime:cpu"
_NUM_POINTS = 106
_NUM_COMPARED = 32  # test faces on which the file is held against the network


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """On what is compared; chosen before any result, the defaults are those of the published table.

    Attributes:
        image_size: side of the faces in pixels.
        widths: of the networks; the published ones are (16, 32, 64).
        num_train: faces drawn to train and to search on, of which a quarter is searched on.
        num_test: faces drawn to test on.
        supernet_epochs: passes over the training faces.
        epochs: of the fine-tuning, the same for all networks.
        budget_quantile: the budget is the latency that this share of the networks keeps, by the table.
        repeats: rounds in which the table is measured.
        calibrate: whole networks that calibrate it.
        num_random: networks that the searched one is held against.
        num_samples, num_held_out, num_candidates, max_rounds: of the strategy, `Certified`.
        num_finalists: of it: networks that it fine-tunes, as all others are, and compares on the search faces.
    """

    image_size: int = 48
    widths: tuple[int, int, int] = (8, 16, 32)
    num_train: int = 4096
    num_test: int = 1024
    supernet_epochs: int = 12
    epochs: int = 4
    budget_quantile: float = 0.5
    repeats: int = 3
    calibrate: int = 12
    num_random: int = 5
    num_samples: int = 120
    num_held_out: int = 10
    num_candidates: int = 4
    max_rounds: int = 3
    num_finalists: int = 5

    @classmethod
    def smoke(cls) -> Setting:
        """The smallest at which networks still learn where faces are."""
        return cls(
            image_size=32, num_train=1024, num_test=256, supernet_epochs=6, epochs=3, repeats=1, calibrate=3,
            num_random=2, num_samples=16, num_held_out=4, num_candidates=2, max_rounds=2, num_finalists=2,
        )  # fmt: skip

    @property
    def certified(self) -> dict[str, int]:
        """Options of the strategy."""
        names = ("num_samples", "num_held_out", "num_candidates", "max_rounds", "num_finalists")
        return {name: getattr(self, name) for name in names}

    @property
    def supernet(self) -> Recipe:
        """How supernets are trained: by the sandwich rule, with one random network a step.

        The smaller networks learn the largest one's coordinates, by the mean of squares; the largest learns the faces',
        by their sum. The weight makes them equal.
        """
        return Recipe(
            epochs=self.supernet_epochs,
            batch_size=32,
            optimizer="adamw",
            learning_rate=0.02,
            warmup_epochs=1,
            weight_decay=1e-5,
            scheme="sandwich",
            num_random=1,
            distillation=2 * _NUM_POINTS,
        )

    @property
    def fine_tune(self) -> Recipe:
        """How networks are fine-tuned: finalists of the search, what it hands on, and the random ones."""
        return dataclasses.replace(
            self.supernet, epochs=self.epochs, learning_rate=0.01, warmup_epochs=0, distillation=0.0
        )


class RandomFeasible:
    """One network drawn uniformly from those that keep the budgets; no score is asked for."""

    def __init__(self, space: Space, budgets: Sequence[Budget] = (), *, seed: int = 0) -> None:
        self._space, self._seed = space, seed

    def ask(self, num: int = 1) -> list[Proposal]:
        """Nothing."""
        return []

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Nothing is told."""

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The network; another one where that broke a budget as measured, and limits are lower now."""
        drawn = sample_feasible(self._space, budgets, 1, np.random.default_rng(self._seed))
        return Derived(architecture=drawn[0])


def run_all(setting: Setting, seeds: Sequence[int], out: Path) -> None:
    """Do what is not done yet: the faces, the table, and seed by seed a supernet and its networks."""
    faces = out / "faces"
    if not (faces / "test_data" / "list.txt").exists():  # the last file to be written
        write_landmark_list(
            faces,
            num_train=setting.num_train,
            num_test=setting.num_test,
            num_points=_NUM_POINTS,
            image_size=setting.image_size,
            seed=1,  # other faces than those on which the sizes were tried
        )
    with torch.random.fork_rng(devices=[]):
        table = measure(
            _space(setting),
            connect(_DEVICE),
            out=out / "table.sqlite",
            repeats=setting.repeats,
            calibrate=setting.calibrate,
            progress=lambda step: _say("table", Advance(phase="measure", done=step.done, total=step.total)),
        )
    for seed in seeds:
        _run_seed(setting, faces, table, seed, out)


def _run_seed(setting: Setting, faces: Path, table: LatencyTable, seed: int, out: Path) -> None:
    """A supernet, the network that is searched in it, and the random ones."""
    data = landmark_list(
        faces, seed=seed, image_size=setting.image_size, search_size=setting.num_train // 4, angles=False
    )
    supernet = out / f"supernet-{seed}"
    torch.manual_seed(seed)  # of the weights that the space begins with
    train_whole_space(
        _space(setting),
        data,
        setting.supernet,
        seed=seed,
        directory=supernet,
        progress=lambda step: _say(supernet.name, Advance(phase="train", done=step.step, total=step.num_steps)),
    )
    finish = functools.partial(_finish, setting, data, table, supernet)
    finish("certified", setting.certified, seed=seed, directory=out / f"searched-{seed}")
    for number in range(setting.num_random):
        finish(RandomFeasible, {}, seed=1000 * seed + number, directory=out / f"random-{seed}-{number}")


def _finish(
    setting: Setting,
    data: Splits,
    table: LatencyTable,
    supernet: Path,
    strategy: Any,
    options: dict[str, Any],
    *,
    seed: int,
    directory: Path,
) -> None:
    """One network from the supernet to its file, and how far that is from the network on test faces."""
    space = _space(setting)
    result = search(
        space,
        data,
        [_budget(space, table, setting.budget_quantile)],
        repeats=setting.repeats,
        calibrate=setting.calibrate,
        strategy=strategy,
        strategy_options=options,
        supernet=supernet.resolve(),
        fine_tune=setting.fine_tune,
        short=setting.fine_tune,
        rivals="none",
        seed=seed,
        directory=directory,
        title=directory.name,
        space_name="pfld",
        progress=functools.partial(_say, directory.name),
    )
    difference = _difference(space, data, result)
    (directory / "agreement.json").write_text(json.dumps({"difference": difference}) + "\n")


def _budget(space: ModelSpace, table: LatencyTable, quantile: float) -> Budget:
    """The latency that a share of the networks keeps, by the table."""
    profiler = LatencyProfiler(space, table)
    codes = space.space.sample_codes(20_000, np.random.default_rng(0))
    return profiler.at_most(float(np.quantile(profiler.cost.values(codes), quantile)))


def _difference(space: ModelSpace, data: Splits, result: SearchResult) -> float:
    """The largest of all coordinates on some test faces, from the files alone."""
    network = space.freeze(result.architecture).eval()
    network.load_state_dict(load_file(result.directory / "network.safetensors"))
    images = data.test.batch(np.arange(min(_NUM_COMPARED, len(data.test)))).inputs[0]
    runtime, path = connect(_DEVICE), result.directory / "network.onnx"
    return max(onnx_difference(path, network, (image[None],), runtime) for image in images)


def _space(setting: Setting) -> ModelSpace:
    return pfld(resolution=setting.image_size, num_points=_NUM_POINTS, widths=setting.widths)


_said = ""


def _say(run: str, advance: Advance) -> None:
    """Name a phase when it begins."""
    global _said
    if f"{run}: {advance.phase}" != _said:
        _said = f"{run}: {advance.phase}"
        print(_said, file=sys.stderr, flush=True)
