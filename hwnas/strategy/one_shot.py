"""What a one-shot strategy is: it takes steps while the supernet trains, and derives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from hwnas.cost import Budget
from hwnas.nn import Selection
from hwnas.space import Distribution
from hwnas.strategy.protocol import Derived
from hwnas.train import Precision, Recipe

__all__ = ["Moment", "OneShot"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moment:
    """One step of a one-shot search: two batches as functions of a selection, and when it is.

    The training batch is of data that only weights learn from, the validation batch of data that only the architecture
    learns from. Every call runs the supernet anew on the same images.

    Attributes:
        step: of the search, from 0.
        epoch: passes over the training data done before this step; with its fraction.
        num_epochs: of the whole search.
        rng: of this step alone: it comes from (seed, step).
        batch_size: images in the validation batch of this process: the rows of paths per image.
        training_batch_size: those in its training batch.
        device: where selections with paths must be.
        precision: of the forward passes, "float32" or "bfloat16".
        training_loss: mean loss on the training batch, label smoothing and all, through the wrappers of several
            processes; for `backward`.
        validation_loss: mean loss on the validation batch; for `torch.autograd.grad`.
        validation_losses: the same for every image, shape (batch_size,).
        validation_scores: the task's metric for every image, shape (batch_size,), larger is better; no gradient.
        unwrapped_training_loss: `training_loss` for `torch.autograd.grad` (second-order methods).
        backward: adds a loss's gradient to that of the weights, averaged over the processes.
        mean: a tensor's mean over the processes. Whatever the architecture learns from goes through it.
        weights: the supernet's parameters.
        optimizer: of the weights; stepped by the driver after the strategy's step, never by the strategy.
    """

    step: int
    epoch: float
    num_epochs: float
    rng: np.random.Generator
    batch_size: int
    training_batch_size: int
    device: torch.device
    precision: Precision
    training_loss: Callable[[Selection], Tensor]
    validation_loss: Callable[[Selection], Tensor]
    validation_losses: Callable[[Selection], Tensor]
    validation_scores: Callable[[Selection], Tensor]
    unwrapped_training_loss: Callable[[Selection], Tensor]
    backward: Callable[[Tensor], None]
    mean: Callable[[Tensor], Tensor]
    weights: Sequence[nn.Parameter]
    optimizer: torch.optim.Optimizer


@runtime_checkable
class OneShot(Protocol):
    """A one-shot search algorithm.

    It is made with `Strategy(space, budgets, *, seed=..., penalty=..., filter=..., ...)`, where `space` is the
    `ModelSpace` that is being trained. Guarantees: what it does in a step depends on nothing but its arguments, its
    state and the moment, so that a search that was killed goes on from `state()` as if it had not been; validation
    images never change a weight nor a running statistic; weights that a step did not sample have no gradient.
    `hwnas.testing.one_shot_contract` has the guarantees as tests.

    Attributes:
        name: the word in configurations, "darts" for example.
        recipe: how its paper trains the weights.
        trains_weights: whether its steps do; otherwise the supernet must have been trained before.
    """

    name: ClassVar[str]
    recipe: ClassVar[Recipe]
    trains_weights: bool

    def step(self, moment: Moment) -> Tensor:
        """Improve the architecture on the validation batch, and leave the gradient of the training loss in the weights.

        Returns:
            The training loss to report, detached.
        """
        ...

    def distribution(self) -> Distribution:
        """The probability of every option now: for the log, and for expected costs."""
        ...

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The architecture to hand on under `budgets`, which may be tighter than at the start; cheap.

        Raises:
            InfeasibleError: no architecture keeps the budgets; it names the least achievable.
        """
        ...

    def state(self) -> Mapping[str, Tensor]:
        """Everything that steps have changed, the optimiser of the architecture included; for checkpoints."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from `state`, which a strategy made with the same arguments gave.

        Raises:
            CheckpointError: tensors that are missing or of another shape.
        """
        ...
