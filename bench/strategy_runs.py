"""The runs behind `bench/strategies.py`: on what, with which options, and one run by its name."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from step_memory import MEMORY_ROWS, SPACES, step_memory

from hwnas.data import DataName, Splits, load_data
from hwnas.device import connect, measure
from hwnas.experiment import search_each
from hwnas.experiment.phases import Advance
from hwnas.experiment.result import write_json
from hwnas.experiment.supernet import train_whole_space
from hwnas.nn.families import family
from hwnas.train import Recipe

__all__ = ["ROWS", "RunRow", "Setting", "finished", "jobs", "run_job"]

_TRAVEL = 6.0
"""How far Adam, whose steps are about as long as its learning rate, can move a logit in a search: DARTS's own learning
rate, 3e-4, times the 19,500 steps of its own search. The same for all strategies with logits."""

_FRANK_WOLFE_TRAVEL = 20.0  # HardCoRe-NAS's own: steps of 0.002, 10,000 of them
_FBNET_COOLING = -0.045 * 90  # the logarithm of what its temperature falls by, in the 90 epochs of its paper
_ENAS_LEARNING_RATE, _ENAS_NUM_STEPS = 3.5e-4, 310 * 50  # of its published program
_WARM_UP = 0.25  # of a search, in which weights alone learn: ProxylessNAS's 40 epochs of 160


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """On what strategies are compared; the defaults are those of the published table.

    Attributes:
        space: of all runs but those of memory.
        data: its images are divided by each seed anew.
        train_size: images that weights learn from.
        search_size: images that the architecture is chosen by.
        epochs: passes over the training images in a search, or for the supernet.
        fine_tune_epochs: of every network that is handed on.
        batch_size: of all training.
        budget: the one limit.
        repeats: rounds in which the table is measured.
        calibrate: whole networks that calibrate it.
        num_samples: of certified: architectures scored on a batch.
        num_held_out: of certified: random ones scored in full; besides `num_candidates` in each of 3 rounds.
        num_candidates: of certified.
    """

    space: str = "proxylessnas_28"
    data: DataName = "fashion-mnist"
    train_size: int = 4096
    search_size: int = 1024
    epochs: int = 6
    fine_tune_epochs: int = 4
    batch_size: int = 64
    budget: str = "latency<=50%"
    repeats: int = 3
    calibrate: int = 12
    num_samples: int = 36
    num_held_out: int = 5
    num_candidates: int = 3

    @classmethod
    def smoke(cls) -> Setting:
        """The same on scikit-learn's digits, to see that it runs."""
        return cls(
            space="proxylessnas_8", data="digits", train_size=512, search_size=128, epochs=2, fine_tune_epochs=1,
            budget="latency<=80%", repeats=1, calibrate=3, num_samples=8, num_held_out=4, num_candidates=1,
        )  # fmt: skip

    @property
    def num_passes(self) -> int:
        """Training images seen by the steps of a search: the same in all rows."""
        return self.num_steps * self.batch_size

    @property
    def num_steps(self) -> int:
        """Of a search."""
        return self.epochs * (self.train_size // self.batch_size)

    @property
    def num_architecture_steps(self) -> float:
        """Of a search, those after the warm-up."""
        return (1 - _WARM_UP) * self.num_steps

    @property
    def num_evaluations(self) -> int:
        """Architectures that can be scored on the search images with as many passes of these."""
        return self.num_passes // self.search_size

    @property
    def search(self) -> Recipe:
        """How all supernets are trained."""
        return Recipe(epochs=self.epochs, batch_size=self.batch_size, learning_rate=0.05, warmup_epochs=0.5)

    @property
    def fine_tune(self) -> Recipe:
        """How all networks that are handed on are trained."""
        return Recipe(
            epochs=self.fine_tune_epochs,
            batch_size=self.batch_size,
            learning_rate=0.02,
            warmup_epochs=0.5,
            distillation=0.0,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRow:
    """A strategy of the table.

    Attributes:
        what: in words.
        strategy: its name in `hwnas.experiment`.
        options: of the strategy, for a setting.
        shares_supernet: searches the seed's supernet, trained before, and trains none itself.
        memory: the row of `step_memory` that is its largest step.
    """

    what: str
    strategy: str
    options: Callable[[Setting], dict[str, Any]]
    shares_supernet: bool
    memory: str


def _certified(setting: Setting) -> dict[str, Any]:
    names = ("num_samples", "num_held_out", "num_candidates")
    return {name: getattr(setting, name) for name in names} | {"max_rounds": 3, "num_finalists": 0}


def _evolution(setting: Setting) -> dict[str, Any]:
    size = setting.num_evaluations // 4
    return {"max_trials": setting.num_evaluations, "population_size": size, "sample_size": max(2, size // 3)}


def _spos(setting: Setting) -> dict[str, Any]:
    size = setting.num_evaluations // 4
    return {
        "population_size": size,
        "num_top": max(1, size // 2),
        "num_crossover": size // 2,
        "num_mutation": size - size // 2,
        "num_generations": 4,
    }


def _logits(setting: Setting) -> dict[str, Any]:
    return {
        "architecture_learning_rate": _TRAVEL / setting.num_architecture_steps,
        "num_warmup_epochs": _WARM_UP * setting.epochs,
    }


def _enas(setting: Setting) -> dict[str, Any]:
    # One sample a step, with which its paper did well: as many search images as training images. Its gradients are
    # mostly noise, so that over fewer steps the learning rate grows by the square root only.
    longer = math.sqrt(_ENAS_NUM_STEPS / setting.num_architecture_steps)
    return {
        "controller_learning_rate": _ENAS_LEARNING_RATE * longer,
        "num_samples": 1,
        "steps_per_controller_step": 1,
        "num_warmup_epochs": _WARM_UP * setting.epochs,
        "num_derived_samples": 20,
        "scoring_share": _WARM_UP / 20,  # no more search images in it than the warm-up has left over
    }


def _fbnet(setting: Setting) -> dict[str, Any]:
    return {
        "nas_lr": _TRAVEL / setting.num_architecture_steps,
        "start_epoch": _WARM_UP * setting.epochs,
        "exp_anneal_rate": math.exp(_FBNET_COOLING / ((1 - _WARM_UP) * setting.epochs)),
    }


def _hardcorenas(setting: Setting) -> dict[str, Any]:
    return {"step_size": min(1.0, _FRANK_WOLFE_TRAVEL / setting.num_steps)}


ROWS: Mapping[str, RunRow] = {
    "certified": RunRow(
        what="certified", strategy="certified", options=_certified, shares_supernet=True, memory="path"
    ),
    "evolution": RunRow(
        what="regularised evolution", strategy="evolution", options=_evolution, shares_supernet=True, memory="path"
    ),
    "spos": RunRow(what="SPOS", strategy="spos", options=_spos, shares_supernet=True, memory="path"),
    "hardcorenas": RunRow(
        what="HardCoRe-NAS", strategy="hardcorenas", options=_hardcorenas, shares_supernet=True, memory="hardcorenas"
    ),
    "enas": RunRow(what="ENAS", strategy="enas", options=_enas, shares_supernet=False, memory="enas"),
    "proxylessnas": RunRow(
        what="ProxylessNAS (gradient)",
        strategy="proxylessnas",
        options=_logits,
        shares_supernet=False,
        memory="proxylessnas",
    ),
    "fbnet": RunRow(what="FBNet", strategy="fbnet", options=_fbnet, shares_supernet=False, memory="fbnet"),
    "darts": RunRow(
        what="DARTS, first order", strategy="darts", options=_logits, shares_supernet=False, memory="darts"
    ),
    "darts2": RunRow(
        what="DARTS, second order",
        strategy="darts",
        options=lambda setting: _logits(setting) | {"unrolled": True},
        shares_supernet=False,
        memory="darts2",
    ),
}
"""The strategies by the name of their runs, the quickest first."""


def jobs(rows: list[str], seeds: list[int]) -> list[list[str]]:
    """The names of all runs, in stages: what is in one needs what is in those before. Long ones come first."""
    shared = [f"supernet-{seed}" for seed in seeds if any(ROWS[row].shares_supernet for row in rows)]
    largest_steps = {"path"} | {ROWS[row].memory for row in rows}
    memory = [f"memory-{space}-{row}" for space in SPACES for row in MEMORY_ROWS if row in largest_steps]
    longest_first = [row for row in reversed(list(ROWS)) if row in rows]
    return [["table"], shared + memory, [f"{row}-{seed}" for row in longest_first for seed in seeds]]


def finished(job: str, out: Path) -> Path:
    """The file that is there once a run is finished."""
    kind = job.split("-")[0]
    if kind in ROWS:
        return out / job / "result.json"
    return out / f"{job}.json"


def run_job(job: str, out: Path, setting: Setting, listen: Callable[[Advance], None]) -> None:
    """One run, from where it was interrupted, to its file; call it in a process of its own."""
    torch.set_num_threads(1)
    kind, *of = job.split("-")
    if kind == "table":
        _table(out, setting, listen)
    elif kind == "supernet":
        _supernet(job, out, setting, int(of[0]), listen)
    elif kind == "memory":
        write_json(finished(job, out), step_memory(of[1], SPACES[of[0]]))
    else:
        _search(kind, out, setting, int(of[0]), listen)


def _table(out: Path, setting: Setting, listen: Callable[[Advance], None]) -> None:
    start = time.monotonic()
    table = measure(
        family(setting.space),
        connect("onnxruntime:cpu"),
        out=out / "table.sqlite",
        repeats=setting.repeats,
        calibrate=setting.calibrate,
        progress=lambda step: listen(Advance(phase="measure", done=step.done, total=step.total, detail=step.phase)),
    )
    content = {"blocks": len(table.milliseconds), "baseline_ms": table.baseline_ms, "noise_floor": table.noise_floor}
    write_json(out / "table.json", content | {"seconds": time.monotonic() - start})


def _supernet(job: str, out: Path, setting: Setting, seed: int, listen: Callable[[Advance], None]) -> None:
    """Short enough to begin anew after a kill, so that its time is that of all its steps."""
    shutil.rmtree(out / job, ignore_errors=True)
    start = time.monotonic()
    torch.manual_seed(seed)
    train_whole_space(
        family(setting.space),
        _data(setting, seed),
        setting.search,
        seed=seed,
        directory=out / job,
        progress=lambda step: listen(Advance(phase="train", done=step.step, total=step.num_steps)),
    )
    write_json(out / f"{job}.json", {"seconds": time.monotonic() - start})


def _search(row_name: str, out: Path, setting: Setting, seed: int, listen: Callable[[Advance], None]) -> None:
    row = ROWS[row_name]
    job = f"{row_name}-{seed}"
    torch.manual_seed(seed)  # of the weights that the space begins with
    search_each(
        family(setting.space),
        _data(setting, seed),
        [setting.budget],
        device="onnxruntime:cpu",
        table=_copied(out / "table.sqlite", out / "tables" / f"{job}.sqlite"),
        repeats=setting.repeats,
        calibrate=setting.calibrate,
        strategy=row.strategy,
        strategy_options=row.options(setting),
        search=setting.search,
        fine_tune=setting.fine_tune,
        supernet=(out / f"supernet-{seed}").resolve() if row.shares_supernet else None,
        rivals="train" if row_name == "certified" else "none",
        seed=seed,
        directory=out / job,
        title=f"{row.what}, seed {seed}",
        space_name=setting.space,
        progress=listen,
    )


def _data(setting: Setting, seed: int) -> Splits:
    return load_data(setting.data, seed=seed, train_size=setting.train_size, search_size=setting.search_size)


def _copied(table: Path, copy: Path) -> Path:
    """The one table with its exported files, as the run's own: a table has one writer, and runs go side by side."""
    if not copy.exists():
        copy.parent.mkdir(exist_ok=True)
        shutil.copytree(f"{table}.onnx", f"{copy}.onnx", dirs_exist_ok=True)
        aside = copy.with_suffix(".new")
        aside.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(table)) as source, contextlib.closing(sqlite3.connect(aside)) as made:
            source.backup(made)
        aside.replace(copy)
    return copy
