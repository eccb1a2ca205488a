"""The training loop, written once: for supernets and for fine-tuning, from the beginning or from a checkpoint.

All randomness of step n comes from (seed, n): the architectures, the augmentation, dropout; the order of an epoch's
images from the seed and the epoch's first step. Nothing else is random, so a resumed run takes exactly the steps that
an uninterrupted one would have taken.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from hwnas.data import Batch, Indices, Part, Request, Task, stream
from hwnas.errors import ConfigError, DataError, TrainingError
from hwnas.train.checkpoint import Checkpoint, Run, last_file, latest_checkpoint, make_folder, write_checkpoint
from hwnas.train.processes import Processes
from hwnas.train.recipe import Recipe
from hwnas.train.unused import unused_kept

__all__ = [
    "CHECKPOINT_SECONDS",
    "Forward",
    "Progress",
    "Stateful",
    "Step",
    "StepContext",
    "TrainingResult",
    "train",
]

CHECKPOINT_SECONDS = 60.0
"""How often a checkpoint is written within an epoch; at the end of every epoch one is written anyway."""

Forward = Callable[..., Any]
"""`forward(inputs, selection)`, or `forward(inputs)`: the network's outputs, through all wrappers: a tensor, or, of a
network with an auxiliary head, a pair of them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepContext:
    """What a step may use beside its batch.

    Attributes:
        step: from 0.
        num_steps: of the whole training.
        steps_per_epoch: of the training images.
        rng: of this step alone: it comes from (seed, step).
        backward: adds a loss's gradient to the parameters', averaged over the processes.
        mean: a tensor's mean over the processes.
        optimizer: of the parameters; the loop steps it after the step.
        device: of the batch.
        placed: another batch, put where this one is.
        unwrapped: the network without the wrapper of several processes, for `torch.autograd.grad`.
        process: this process's number and how many there are.
    """

    step: int
    num_steps: int
    steps_per_epoch: int
    rng: np.random.Generator
    backward: Callable[[Tensor], None]
    mean: Callable[[Tensor], Tensor]
    optimizer: torch.optim.Optimizer
    device: torch.device
    placed: Callable[[Batch], Batch]
    unwrapped: Forward
    process: tuple[int, int]


Step = Callable[[Forward, Batch, StepContext], Tensor]
"""One step as its paper has it: forward and backward passes on one batch; returns the loss to report, detached."""


class Stateful(Protocol):
    """Something beside the model that steps change; its tensors are kept in the checkpoints."""

    def state(self) -> Mapping[str, Tensor]:
        """Everything that steps have changed."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        ...


# Streams of random numbers of one step; architectures use (seed, step) itself.
_SHUFFLE, _AUGMENT, _DROPOUT = 1, 2, 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """Where training stands after a step."""

    step: int
    num_steps: int
    epoch: int
    loss: float
    learning_rate: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What came of training.

    Attributes:
        step: how many steps were taken altogether.
        num_steps: how many the recipe has; more than `step` only where `max_steps` stopped it.
        resumed_from: the step of the checkpoint it went on from; 0 if it began anew.
        loss: mean loss of the last epoch.
        seconds: of this call.
    """

    step: int
    num_steps: int
    resumed_from: int
    loss: float
    seconds: float


def train(
    model: nn.Module,
    part: Part,
    task: Task,
    recipe: Recipe,
    take_step: Step,
    *,
    run: Run,
    directory: Path | None,
    progress: Callable[[Progress], None] | None,
    accelerator: Any | None,
    max_steps: int | None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    beside: Stateful | None = None,
) -> TrainingResult:
    """Train a model in place, from the last checkpoint in `directory` if there is one.

    Args:
        model: trained in place; it ends on the device it was trained on, in the mode it had.
        part: the images to train on.
        task: what is asked of the model.
        recipe: how.
        take_step: the forward and backward passes of a step.
        run: what identifies this training, in its checkpoints.
        directory: for the checkpoints; None: none are written.
        progress: called after every step, in every process.
        accelerator: an `accelerate.Accelerator`; a suitable one is made if not given.
        max_steps: stop after this many steps altogether; a later call goes on from there.
        checkpoint_seconds: how often to write a checkpoint within an epoch.
        beside: what else the steps change.

    Raises:
        CheckpointError: for checkpoints of another run, or that cannot be read or written.
        ConfigError: for a batch size that the processes cannot share, or that exceeds the data.
        TrainingError: when the loss or a weight is not finite.
    """
    began = time.monotonic()
    if directory is not None:
        make_folder(directory)
    processes = Processes(recipe.precision, accelerator)
    if max_steps is not None and max_steps < 1:
        raise ConfigError(f"`max_steps` must be at least 1; got {max_steps}.")
    steps_per_epoch = _steps_per_epoch(part, recipe, processes)
    num_steps = max(1, round(recipe.epochs * steps_per_epoch))
    last = num_steps if max_steps is None else min(num_steps, max_steps)

    # `Module.to` takes volumes for images.
    has_volumes = any(tensor.ndim == 5 for tensor in (*model.parameters(), *model.buffers()))
    memory_format = torch.channels_last if recipe.channels_last and not has_volumes else torch.preserve_format
    model.to(device=processes.device, memory_format=memory_format)  # type: ignore[call-overload]
    parameters = list(model.parameters())
    optimizer = recipe.make_optimizer(model)
    schedule = recipe.make_schedule(optimizer, num_steps=num_steps)
    start, loss_sum = 0, 0.0
    if directory is not None and (checkpoint := latest_checkpoint(directory)) is not None:
        run.require_same(checkpoint.run, path=directory)
        checkpoint.load_model(model)
        checkpoint.load_optimizer(optimizer, model)
        if beside is not None:
            beside.load_state(checkpoint.beside)
        start, loss_sum = checkpoint.step, checkpoint.loss_sum
    processes.wait()
    num_classes = part.num_classes if task.has_classes else 0
    network, stepper = processes.prepare(_Network(model, num_classes=num_classes), optimizer)

    unwrapped = processes.unwrap(network)

    def placed(batch: Batch) -> Batch:
        return batch.to(processes.device, memory_format=memory_format)

    saved_at = time.monotonic()
    with _training(model, processes.device):
        batches = stream(part, _requests(part, recipe, run.seed, range(start, last), steps_per_epoch, processes))
        for step, batch in zip(range(start, last), batches, strict=True):
            torch.manual_seed(_number(run.seed, step, _DROPOUT, processes.index))
            schedule.step_update(step)
            stepper.zero_grad(set_to_none=True)  # None, not 0: what a step does not use neither decays nor coasts
            context = StepContext(
                step=step,
                num_steps=num_steps,
                steps_per_epoch=steps_per_epoch,
                rng=np.random.default_rng([run.seed, step]),
                backward=processes.backward,
                mean=processes.mean,
                optimizer=optimizer,
                device=processes.device,
                placed=placed,
                unwrapped=unwrapped,
                process=(processes.index, processes.num),
            )
            loss = float(processes.mean(take_step(network, placed(batch), context)))
            if not math.isfinite(loss):
                raise _diverged(f"the loss is {loss}", step, recipe, directory)
            if recipe.gradient_clip is not None:
                processes.clip_gradient(parameters, recipe.gradient_clip)
            with unused_kept(parameters, optimizer):
                stepper.step()

            loss_sum = loss if step % steps_per_epoch == 0 else loss_sum + loss
            taken = step + 1
            at_end = taken % steps_per_epoch == 0 or taken == last
            if directory is not None and (at_end or time.monotonic() - saved_at >= checkpoint_seconds):
                if processes.index == 0:
                    now = Checkpoint.of(
                        model,
                        optimizer,
                        {} if beside is None else beside.state(),
                        run=run,
                        step=taken,
                        num_steps=num_steps,
                        loss_sum=loss_sum,
                    )
                    if not now.is_finite:
                        raise _diverged("a weight is not finite", step, recipe, directory)
                    write_checkpoint(directory, now)
                saved_at = time.monotonic()
            if progress is not None:
                progress(
                    Progress(
                        step=taken,
                        num_steps=num_steps,
                        epoch=step // steps_per_epoch,
                        loss=loss,
                        learning_rate=optimizer.param_groups[0]["lr"],
                    )
                )
    taken = max(start, last)
    return TrainingResult(
        step=taken,
        num_steps=num_steps,
        resumed_from=start,
        loss=loss_sum / ((taken - 1) % steps_per_epoch + 1),
        seconds=time.monotonic() - began,
    )


class _Network(nn.Module):
    """What the processes wrap: the model's forward pass with its inputs as one argument, and its outputs checked."""

    def __init__(self, model: nn.Module, *, num_classes: int) -> None:
        super().__init__()
        self.model = model
        self._num_classes = num_classes

    def forward(self, inputs: tuple[Tensor, ...], selection: Any | None = None) -> Any:
        outputs: Any = self.model(*inputs) if selection is None else self.model(inputs, selection)
        for each in outputs if isinstance(outputs, tuple) else (outputs,):  # the second of a pair is auxiliary
            if self._num_classes and (each.ndim != 2 or each.shape[1] < self._num_classes):
                raise DataError(
                    f"The model must give one number a class, {self._num_classes} an image; its output has the shape "
                    f"{tuple(each.shape)}. Give the model as many outputs as the data have classes."
                )
        return outputs


def _steps_per_epoch(part: Part, recipe: Recipe, processes: Processes) -> int:
    if recipe.batch_size % processes.num:
        raise ConfigError(
            f"`batch_size` must be a multiple of the number of processes, {processes.num}; got {recipe.batch_size}."
        )
    if recipe.batch_size > len(part):
        raise ConfigError(f"`batch_size` must be at most the {len(part)} training images; got {recipe.batch_size}.")
    return len(part) // recipe.batch_size


def _requests(
    part: Part, recipe: Recipe, seed: int, steps: range, steps_per_epoch: int, processes: Processes
) -> Iterator[Request]:
    """This process's share of every step's batch; an incomplete batch at an epoch's end is left out."""
    order: Indices | None = None
    for step in steps:
        place = step % steps_per_epoch
        if order is None or place == 0:
            order = np.random.default_rng([seed, step - place, _SHUFFLE]).permutation(len(part))
        indices = order[place * recipe.batch_size : (place + 1) * recipe.batch_size]
        yield Request(indices=indices[processes.index :: processes.num], seed=(seed, step, _AUGMENT, processes.index))


@contextlib.contextmanager
def _training(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Training mode, and torch's global generators, for as long as it lasts."""
    was_training = model.training
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        model.train()
        try:
            yield
        finally:
            model.train(was_training)


def _number(*seed: int) -> int:
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _diverged(what: str, step: int, recipe: Recipe, directory: Path | None) -> TrainingError:
    kept = None if directory is None else last_file(directory)
    return TrainingError(
        f"Training diverged: {what} at step {step}. "
        + (f"The last good checkpoint is {kept}. " if kept is not None else "No checkpoint was written before. ")
        + f"Lower `learning_rate` (now {recipe.learning_rate:g}) or set `gradient_clip` (now {recipe.gradient_clip})."
    )
