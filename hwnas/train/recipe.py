"""How a network is trained: the numbers, and the optimiser and schedule that they make."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler, PolyLRScheduler, StepLRScheduler
from torch import nn

from hwnas.errors import ConfigError

__all__ = ["Precision", "Recipe", "Scheme"]

Optimizer = Literal["adamw", "sgd"]
Precision = Literal["bfloat16", "float32"]
Schedule = Literal["constant", "cosine", "linear", "step"]
Scheme = Literal["largest", "sandwich", "single_path"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained; for a supernet and for fine-tuning alike.

    Attributes:
        epochs: passes over the training images; a fraction is allowed.
        batch_size: images a step, over all processes together.
        optimizer: "sgd" (with Nesterov momentum) or "adamw", both timm's.
        learning_rate: at its highest, after the warm-up.
        schedule: how the learning rate goes from there to the least: "cosine", "linear", or not at all: "constant";
            "step": it is multiplied by `decay_rate` after every `decay_epochs`.
        decay_epochs: of the schedule "step"; None: a quarter of the training.
        decay_rate: of the schedule "step", above 0 and at most 1.
        min_learning_rate: at the end of the schedule; of no account for "step".
        warmup_epochs: epochs in which the learning rate rises linearly from 0.
        momentum: of SGD.
        weight_decay: on weights, not on biases and normalisation.
        label_smoothing: of the cross-entropy, from 0 to below 1.
        gradient_clip: the largest norm of the gradient of a step; None: no limit.
        scheme: of a supernet: "single_path" or "sandwich"; "largest" trains the largest network alone.
        macs_range: of the single paths: draw them uniformly over bins of multiply-accumulates from the first number to
            the second, and uniformly within a bin; None: uniformly over all architectures.
        num_cost_bins: how many bins of one width the range has; 7 of 10 million each in SPOS, from 290 to 360 million.
        num_random: of the sandwich rule: random architectures a step, beside the largest and the smallest.
        distillation: weight of the loss against a teacher's outputs, in the sandwich rule and in fine-tuning.
        channels_last: keep images and weights in that memory format; faster for convolutions.
        precision: "float32", or "bfloat16" for automatic mixed precision.

    Raises:
        ConfigError: for a value out of range, naming it.
    """

    epochs: float = 20.0
    batch_size: int = 128
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.1
    schedule: Schedule = "cosine"
    decay_epochs: float | None = None
    decay_rate: float = 0.1
    min_learning_rate: float = 0.0
    warmup_epochs: float = 0.0
    momentum: float = 0.9
    weight_decay: float = 4e-5
    label_smoothing: float = 0.1
    gradient_clip: float | None = 5.0
    scheme: Scheme = "single_path"
    macs_range: tuple[float, float] | None = None
    num_cost_bins: int = 7
    num_random: int = 2
    distillation: float = 1.0
    channels_last: bool = True
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        _require("epochs", self.epochs, "above 0", self.epochs > 0)
        _require("batch_size", self.batch_size, "at least 2 (batch norm needs two)", self.batch_size >= 2)
        _require("learning_rate", self.learning_rate, "above 0", self.learning_rate > 0)
        within = 0 <= self.warmup_epochs < self.epochs
        _require("warmup_epochs", self.warmup_epochs, f"at least 0 and below `epochs` ({self.epochs:g})", within)
        least = 0 <= self.min_learning_rate <= self.learning_rate
        _require("min_learning_rate", self.min_learning_rate, "at least 0 and at most `learning_rate`", least)
        if self.decay_epochs is not None:
            _require("decay_epochs", self.decay_epochs, "above 0", self.decay_epochs > 0)
        _require("decay_rate", self.decay_rate, "above 0 and at most 1", 0 < self.decay_rate <= 1)
        _require("momentum", self.momentum, "at least 0 and below 1", 0 <= self.momentum < 1)
        _require("weight_decay", self.weight_decay, "at least 0", self.weight_decay >= 0)
        _require("label_smoothing", self.label_smoothing, "at least 0 and below 1", 0 <= self.label_smoothing < 1)
        if self.gradient_clip is not None:
            _require("gradient_clip", self.gradient_clip, "above 0", self.gradient_clip > 0)
        if self.macs_range is not None:
            if isinstance(self.macs_range, list):  # as JSON has it
                object.__setattr__(self, "macs_range", tuple(self.macs_range))
            _require("macs_range", self.macs_range, "two numbers, the lower first", _is_range(self.macs_range))
            _require("macs_range", self.macs_range, "None unless `scheme` is single_path", self.scheme == "single_path")
        _require("num_cost_bins", self.num_cost_bins, "at least 1", self.num_cost_bins >= 1)
        _require("num_random", self.num_random, "at least 0", self.num_random >= 0)
        _require("distillation", self.distillation, "at least 0", self.distillation >= 0)
        for name, words in _WORDS.items():
            value = getattr(self, name)
            _require(name, value, f"one of {', '.join(words)}", value in words)

    def of_steps(self, num_steps: int, *, num_examples: int) -> Recipe:
        """The same training, so many steps long whatever the size of the data; papers often say steps.

        Args:
            num_steps: of `batch_size` examples each.
            num_examples: of the part that is trained on; an incomplete batch at an epoch's end is left out.

        Raises:
            ConfigError: fewer than 1 step, or fewer examples than a batch.
        """
        _require("num_steps", num_steps, "at least 1", num_steps >= 1)
        rule = f"at most the {num_examples} training images"
        _require("batch_size", self.batch_size, rule, self.batch_size <= num_examples)
        return dataclasses.replace(self, epochs=num_steps / (num_examples // self.batch_size))

    def to_json(self) -> Mapping[str, Any]:
        """The fields as a JSON object."""
        fields = dataclasses.asdict(self)
        return fields | {"macs_range": self.macs_range and list(self.macs_range)}

    def make_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of the model's parameters; biases and normalisation in a group without decay."""
        extra: dict[str, Any] = {"momentum": self.momentum} if self.optimizer == "sgd" else {}
        made: torch.optim.Optimizer = create_optimizer_v2(
            model, opt=self.optimizer, lr=self.learning_rate, weight_decay=self.weight_decay, **extra
        )
        return made

    def make_schedule(self, optimizer: torch.optim.Optimizer, *, num_steps: int) -> Any:
        """timm's scheduler; its `step_update(n)` sets the learning rate of step n and remembers nothing."""
        warmup = round(num_steps * self.warmup_epochs / self.epochs)
        shared: dict[str, Any] = {"t_initial": num_steps, "warmup_t": warmup, "t_in_epochs": False}
        if self.schedule == "cosine":
            return CosineLRScheduler(optimizer, lr_min=self.min_learning_rate, **shared)
        if self.schedule == "step":
            epochs = self.epochs / 4 if self.decay_epochs is None else self.decay_epochs
            decay: dict[str, Any] = {"decay_t": num_steps * epochs / self.epochs, "decay_rate": self.decay_rate}
            return StepLRScheduler(optimizer, **decay, warmup_t=warmup, warmup_prefix=False, t_in_epochs=False)
        power = 1.0 if self.schedule == "linear" else 0.0
        return PolyLRScheduler(optimizer, power=power, lr_min=self.min_learning_rate, **shared)


_WORDS: Mapping[str, tuple[str, ...]] = {
    "optimizer": get_args(Optimizer),
    "precision": get_args(Precision),
    "schedule": get_args(Schedule),
    "scheme": get_args(Scheme),
}


def _is_range(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(end, int | float) for end in value)
        and -math.inf < value[0] < value[1] < math.inf
    )


def _require(name: str, value: object, rule: str, holds: bool) -> None:
    if not holds or (isinstance(value, float) and not math.isfinite(value)):
        raise ConfigError(f"`{name}` must be {rule}; got {value!r}.")
