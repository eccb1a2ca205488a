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

from hwnas.arguments import finite_number, truth, whole_number
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
        channels_last: keep images and weights in that memory format; faster for convolutions. Of no account for models
            with weights of five dimensions (`Conv3d`).
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
        finite_number("epochs", self.epochs, above=0)
        whole_number("batch_size", self.batch_size, at_least=2)  # batch norm needs two
        rate = finite_number("learning_rate", self.learning_rate, above=0)
        finite_number("warmup_epochs", self.warmup_epochs, at_least=0, below=self.epochs, otherwise="the `epochs`")
        least = self.min_learning_rate
        finite_number("min_learning_rate", least, at_least=0, at_most=rate, otherwise="the `learning_rate`")
        if self.decay_epochs is not None:
            finite_number("decay_epochs", self.decay_epochs, above=0, otherwise="or None")
        finite_number("decay_rate", self.decay_rate, above=0, at_most=1)
        finite_number("momentum", self.momentum, at_least=0, below=1)
        finite_number("weight_decay", self.weight_decay, at_least=0)
        finite_number("label_smoothing", self.label_smoothing, at_least=0, below=1)
        if self.gradient_clip is not None:
            finite_number("gradient_clip", self.gradient_clip, above=0, otherwise="or None for no limit")
        if self.macs_range is not None:
            if isinstance(self.macs_range, list):  # as JSON has it
                object.__setattr__(self, "macs_range", tuple(self.macs_range))
            _require("macs_range", self.macs_range, "two numbers, the lower first", _is_range(self.macs_range))
            _require("macs_range", self.macs_range, "None unless `scheme` is single_path", self.scheme == "single_path")
        whole_number("num_cost_bins", self.num_cost_bins, at_least=1)
        whole_number("num_random", self.num_random, at_least=0)
        finite_number("distillation", self.distillation, at_least=0)
        truth("channels_last", self.channels_last)
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
        num_steps = whole_number("num_steps", num_steps, at_least=1)
        rule = f"at most the {num_examples} training images"
        _require("batch_size", self.batch_size, rule, self.batch_size <= num_examples)
        return dataclasses.replace(self, epochs=num_steps / (num_examples // self.batch_size))

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Recipe:
        """The recipe of `to_json`'s fields; those left out have their defaults.

        Raises:
            ConfigError: no mapping, an unknown field, or a value out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(fields, Mapping):
            raise ConfigError(f"A recipe must be a Recipe, or a mapping of its fields; got {fields!r:.80}.")
        if unknown := [name for name in fields if name not in known]:
            raise ConfigError(f"A recipe has no field {unknown[0]!r}; known are {', '.join(known)}.")
        return cls(**fields)

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
    if not holds:
        raise ConfigError(f"`{name}` must be {rule}; got {value!r}.")
