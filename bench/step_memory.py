"""How much memory a step of a strategy takes: every allocation of torch on the CPU, by its profiler.

The peak is the largest sum of bytes, at any time of the step, that were allocated since it began and are still held:
activations kept for the backward pass, temporary tensors and gradients. What is there before (weights, momentum) does
not count, freed or not, nor does scratch memory inside of a kernel. It is exact and does not depend on the machine's
load. Steps are taken through the driver of searches; an *architecture* step is a strategy's step without the training
of weights in the same call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils import _pytree as pytree
from torch.utils.data import TensorDataset

from hwnas.data import split
from hwnas.experiment.one_shot import run_one_shot
from hwnas.nn import ModelSpace
from hwnas.nn.families import family
from hwnas.strategy import DARTS, ENAS, FBNet, HardCoReNAS, Moment, OneShot, ProxylessNAS
from hwnas.train import Recipe

__all__ = ["MEMORY_ROWS", "SPACES", "StepSetting", "peak_bytes", "step_memory"]

_NUM_STEPS = 8
"""Measured ones where paths are random, so that steps differ; after one that is not measured."""

_ENDLESS = 1e6
"""Epochs; no search comes to their end."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepSetting:
    """On what a step is measured: a space, its options, and images at random."""

    space: str
    options: Mapping[str, Any]
    batch_size: int

    def make(self) -> ModelSpace:
        """The space."""
        return family(self.space, **self.options)

    def __str__(self) -> str:
        """For the head of a table."""
        size = "x".join(map(str, _image_shape(self.make())))
        return f"`{self.space}`, {self.batch_size} images of {size}"


SPACES: Mapping[str, StepSetting] = {
    "full": StepSetting(space="proxylessnas", options={"resolution": 64, "num_classes": 10}, batch_size=32),
    "small": StepSetting(space="proxylessnas_28", options={}, batch_size=64),
}
"""The published space at a size that is quick, and the space of the comparison."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemoryRow:
    """A step: in words, its strategy, whether the training of weights belongs to it, and whether all options run."""

    what: str
    make: Callable[[ModelSpace], OneShot]
    trains: bool = False
    runs_all: bool = False


MEMORY_ROWS: Mapping[str, MemoryRow] = {
    "path": MemoryRow(
        what="a training step of a single path, gradients of its weights included",
        make=lambda space: ProxylessNAS(space, num_warmup_epochs=_ENDLESS),  # uniform paths, and weights alone
        trains=True,
    ),
    "hardcorenas": MemoryRow(what="HardCoRe-NAS: a path for every image, forward only", make=HardCoReNAS),
    "enas": MemoryRow(
        what="ENAS: a sampled path, forward only",
        make=lambda space: ENAS(
            space, num_samples=1, steps_per_controller_step=1, num_warmup_epochs=0, scoring_share=0
        ),
    ),
    "proxylessnas": MemoryRow(
        what="ProxylessNAS: two paths", make=lambda space: ProxylessNAS(space, num_warmup_epochs=0)
    ),
    "fbnet": MemoryRow(what="FBNet: all paths", make=lambda space: FBNet(space, start_epoch=0), runs_all=True),
    "darts": MemoryRow(what="DARTS, first order: all paths", make=DARTS, runs_all=True),
    "darts2": MemoryRow(
        what="DARTS, second order: all paths, gradients of all weights",
        make=lambda space: DARTS(space, unrolled=True),
        runs_all=True,
    ),
}


def _image_shape(space: ModelSpace) -> torch.Size:
    (image,) = pytree.tree_leaves(space.example_inputs)
    shape: torch.Size = image.shape[1:]
    return shape


def step_memory(name: str, setting: StepSetting) -> dict[str, Any]:
    """The peaks of some steps in bytes, and their mean.

    Args:
        name: of `MEMORY_ROWS`.
        setting: on what.
    """
    row = MEMORY_ROWS[name]
    torch.manual_seed(0)
    space = setting.make()
    measured = _Measured(row.make(space), trains=row.trains)
    num_steps = 1 + (1 if row.runs_all else _NUM_STEPS)
    recipe = Recipe(epochs=2 * _ENDLESS, batch_size=setting.batch_size, schedule="constant")  # ended by `max_steps`
    size = max(40, setting.batch_size)  # of each part, in which every class must be
    images = torch.randn(3 * size, *_image_shape(space))
    data = split(
        TensorDataset(images, torch.arange(len(images)) % 10),
        seed=0,
        train_size=size,
        search_size=size,
    )
    run_one_shot(measured, space, data, recipe, settings={}, seed=0, max_steps=num_steps)
    peaks = measured.peaks[1:]
    return {"peaks": peaks, "mean": float(np.mean(peaks)), "setting": str(setting)}


class _Measured:
    """A one-shot strategy whose every step is measured, by default without the training of weights."""

    name: ClassVar[str] = "measured"
    recipe: ClassVar[Recipe] = Recipe()
    trains_weights = True

    def __init__(self, strategy: OneShot, *, trains: bool) -> None:
        self._strategy = strategy
        self._trains = trains
        self.distribution, self.derive = strategy.distribution, strategy.derive
        self.state, self.load_state = strategy.state, strategy.load_state
        self.peaks: list[int] = []

    def step(self, moment: Moment) -> Tensor:
        """See `OneShot.step`."""
        if not self._trains:
            moment = dataclasses.replace(
                moment, training_loss=lambda selection: torch.zeros(()), backward=lambda loss: None
            )
        found: list[Tensor] = []
        self.peaks.append(peak_bytes(lambda: found.append(self._strategy.step(moment))))
        return found[0]


def peak_bytes(action: Callable[[], object]) -> int:
    """The most memory that `action` holds at a time of what it has allocated; torch's tensors on the CPU."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        action()
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return int(np.cumsum([0, *changes]).max())
