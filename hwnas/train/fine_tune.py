"""Training one network, plain PyTorch, to the end."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hwnas.data import Batch, Splits, Task
from hwnas.train.checkpoint import Run
from hwnas.train.loop import CHECKPOINT_SECONDS, Forward, Progress, Step, StepContext, TrainingResult, train
from hwnas.train.recipe import Recipe

__all__ = ["evaluating", "fine_tune", "structure"]


def fine_tune(
    module: nn.Module,
    splits: Splits,
    recipe: Recipe,
    *,
    seed: int,
    teacher: nn.Module | None = None,
    directory: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    accelerator: Any | None = None,
    max_steps: int | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> TrainingResult:
    """Train a network in place on the train part: the task's loss, plus a teacher's distillation where there is one.

    Resumable as `train_supernet` is, from the same kind of checkpoints.

    Args:
        module: a network of `ModelSpace.freeze`, or any other; called as `module(*inputs)`.
        splits: of which only `train` is read.
        recipe: how; `distillation` is the weight of the teacher, `scheme` and `num_random` are of no account.
        seed: of all randomness.
        teacher: run in evaluation mode and without gradient.
        directory, progress, accelerator, max_steps, checkpoint_seconds: as of `train_supernet`.

    Raises:
        CheckpointError: for checkpoints of another run, or that cannot be read or written.
        ConfigError: for a batch size that does not fit.
        TrainingError: when training diverges; the last good checkpoint is kept and named.
    """
    run = Run(
        kind="fine_tune",
        subject=structure(module),
        recipe=recipe.to_json(),
        seed=seed,
        splits=splits.hashes,
        roles={} if teacher is None else {"teacher": structure(teacher)},
    )
    with evaluating(teacher):
        return train(
            module,
            splits.train,
            splits.task,
            recipe,
            _supervised(recipe, splits.task, teacher),
            run=run,
            directory=None if directory is None else Path(directory),
            progress=progress,
            accelerator=accelerator,
            max_steps=max_steps,
            checkpoint_seconds=checkpoint_seconds,
        )


def _supervised(recipe: Recipe, task: Task, teacher: nn.Module | None) -> Step:
    def step(network: Forward, batch: Batch, context: StepContext) -> Tensor:
        outputs = network(batch.inputs)
        loss = task.training_loss(outputs, batch.labels, label_smoothing=recipe.label_smoothing)
        if teacher is not None:
            with torch.no_grad():
                soft = teacher.to(batch.labels.device)(*batch.inputs)
            loss = loss + recipe.distillation * task.distillation(outputs, soft)
        context.backward(loss)
        return loss.detach()

    return step


@contextlib.contextmanager
def evaluating(teacher: nn.Module | None) -> Iterator[None]:
    """The teacher in evaluation mode, for as long as it lasts."""
    if teacher is None:
        yield
        return
    was_training = teacher.training
    teacher.eval()
    try:
        yield
    finally:
        teacher.train(was_training)


def structure(module: nn.Module) -> str:
    """SHA-256 over the names and shapes of all parameters and buffers."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    lines = (f"{name} {tuple(tensor.shape)}\n" for name, tensor in sorted(tensors.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
