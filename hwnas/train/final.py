"""The final training of a found network: a recipe, and what papers add to it.

The additions are those of Hanxiao Liu, Karen Simonyan, Yiming Yang: "DARTS: Differentiable Architecture Search",
ICLR 2019, https://arxiv.org/abs/1806.09055, appendix A, which took them from NASNet and ENAS: the loss of an auxiliary
head, drop path that grows from epoch to epoch, and cutout.

What differs. Cutout's side is a share of the image's: 16 of 32 pixels in the paper, 4 of 8 here. SGD is Nesterov's, and
biases and normalisation do not decay, as in all training here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hwnas.data import Batch, Cutout, Part, Task
from hwnas.errors import ConfigError
from hwnas.train.checkpoint import Run
from hwnas.train.fine_tune import evaluating, structure
from hwnas.train.loop import CHECKPOINT_SECONDS, Forward, Progress, Step, StepContext, TrainingResult, train
from hwnas.train.recipe import Recipe

__all__ = ["FinalRecipe", "train_finally"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinalRecipe:
    """How a found network is trained to its final form.

    Attributes:
        recipe: the numbers; its `distillation` weighs the loss against a teacher, which those that inherit have.
        source: where the numbers are from.
        inherits: whether training begins with the supernet's weights, and not anew.
        auxiliary_weight: of the auxiliary head's loss.
        drop_path_rate: to which the rate of drop path grows: in epoch e of n, from 0, it is e / n of this.
        cutout: side of the square that is cut out of every image, as a share of the image's shorter side.

    Raises:
        ConfigError: for a value out of range, naming it.
    """

    recipe: Recipe
    source: str = ""
    inherits: bool = False
    auxiliary_weight: float = 0.0
    drop_path_rate: float = 0.0
    cutout: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.auxiliary_weight < float("inf"):
            raise ConfigError(f"`auxiliary_weight` must be at least 0; got {self.auxiliary_weight}.")
        if not 0 <= self.drop_path_rate < 1:
            raise ConfigError(f"`drop_path_rate` must be at least 0 and below 1; got {self.drop_path_rate}.")
        if not 0 <= self.cutout <= 1:
            raise ConfigError(f"`cutout` must be from 0 to 1, a share of the image's side; got {self.cutout}.")

    def resized(self, *, epochs: float | None = None, batch_size: int | None = None) -> FinalRecipe:
        """The same training, shorter or longer, or with other batches.

        Warm-up and decay keep their shares of the epochs. The learning rates stay in proportion to the batch size
        (P. Goyal et al., "Accurate, Large Minibatch SGD", arXiv:1706.02677, section 2.1).

        Raises:
            ConfigError: for a value out of range.
        """
        old = self.recipe
        epochs = old.epochs if epochs is None else epochs
        batch_size = old.batch_size if batch_size is None else batch_size
        share = max(epochs, 0.0) / old.epochs
        rate = batch_size / old.batch_size if batch_size > 0 else 1.0  # Recipe refuses the others by their name
        recipe = dataclasses.replace(
            old,
            epochs=epochs,
            batch_size=batch_size,
            warmup_epochs=old.warmup_epochs * share,
            decay_epochs=None if old.decay_epochs is None else old.decay_epochs * share,
            learning_rate=old.learning_rate * rate,
            min_learning_rate=old.min_learning_rate * rate,
        )
        return dataclasses.replace(self, recipe=recipe)

    def to_json(self) -> Mapping[str, Any]:
        """The fields as a JSON object."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return fields | {"recipe": self.recipe.to_json()}


def train_finally(
    module: nn.Module,
    part: Part,
    task: Task,
    final: FinalRecipe,
    *,
    seed: int,
    teacher: nn.Module | None = None,
    directory: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    accelerator: Any | None = None,
    max_steps: int | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> TrainingResult:
    """Train a found network in place, with all that its paper adds.

    Resumable as `fine_tune` is, from the same kind of checkpoints.

    Args:
        module: called as `module(*inputs)`. For `auxiliary_weight` it gives a pair in training mode, as
            `WithAuxiliaryHead` does; for `drop_path_rate` it, or a part of it, has `set_drop_path_rate`.
        part: what to train on.
        task: what is asked of the network.
        final: how.
        seed: of all randomness.
        teacher: run in evaluation mode and without gradient.
        directory, progress, accelerator, max_steps, checkpoint_seconds: as of `fine_tune`.

    Raises:
        CheckpointError: for checkpoints of another run, or that cannot be read or written.
        ConfigError: for a batch size that does not fit, or a module that cannot do what `final` asks for.
        DataError: for cutout of inputs that are no images.
        TrainingError: when training diverges; the last good checkpoint is kept and named.
    """
    droppable = [inner for inner in module.modules() if hasattr(inner, "set_drop_path_rate")]
    if final.drop_path_rate and not droppable:
        raise ConfigError(
            f"`drop_path_rate` is {final.drop_path_rate:g}, but no part of the network has `set_drop_path_rate`. Set "
            "it to 0, or give the network that method."
        )
    run = Run(
        kind="final training",
        subject=structure(module),
        recipe=final.to_json(),
        seed=seed,
        splits={"train": part.sha256},
        roles={} if teacher is None else {"teacher": structure(teacher)},
    )
    with evaluating(teacher):
        return train(
            module,
            part,
            task,
            final.recipe,
            _step(final, task, droppable, teacher),
            run=run,
            directory=None if directory is None else Path(directory),
            progress=progress,
            accelerator=accelerator,
            max_steps=max_steps,
            checkpoint_seconds=checkpoint_seconds,
        )


def _step(final: FinalRecipe, task: Task, droppable: list[Any], teacher: nn.Module | None) -> Step:
    recipe = final.recipe

    def step(network: Forward, batch: Batch, context: StepContext) -> Tensor:
        epoch = context.step // context.steps_per_epoch
        num_epochs = context.num_steps / context.steps_per_epoch
        for inner in droppable if final.drop_path_rate else ():
            inner.set_drop_path_rate(final.drop_path_rate * epoch / num_epochs)
        inputs = _cut_out(final.cutout, batch.inputs, context) if final.cutout else batch.inputs
        outputs = network(inputs)
        if final.auxiliary_weight and not isinstance(outputs, tuple):
            raise ConfigError(
                f"`auxiliary_weight` is {final.auxiliary_weight:g}, but in training mode the network gives no pair "
                "(outputs, auxiliary outputs). Set it to 0, or give the network an auxiliary head."
            )
        outputs, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = task.training_loss(outputs, batch.labels, label_smoothing=recipe.label_smoothing)
        for others in auxiliary:
            extra = task.training_loss(others, batch.labels, label_smoothing=recipe.label_smoothing)
            loss = loss + final.auxiliary_weight * extra
        if teacher is not None:
            with torch.no_grad():
                soft = teacher.to(batch.labels.device)(*inputs)
            loss = loss + recipe.distillation * task.distillation(outputs, soft)
        context.backward(loss)
        return loss.detach()

    return step


def _cut_out(share: float, inputs: tuple[Tensor, ...], context: StepContext) -> tuple[Tensor, ...]:
    """The inputs with a square less in every image of the first, each process's its own."""
    index, num_processes = context.process
    images, *others = inputs
    cutout = Cutout(size=max(1, round(share * min(images.shape[-2:]))))
    numbers = context.rng.integers(2**63, size=num_processes)
    return cutout(images, torch.Generator().manual_seed(int(numbers[index]))), *others
