"""Training a supernet, and finding its weights again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hwnas.cost import CostTable
from hwnas.data import Splits, Task
from hwnas.errors import CheckpointError, ConfigError
from hwnas.nn import ModelSpace
from hwnas.space import Architecture
from hwnas.space.option import canonical_uid
from hwnas.train.checkpoint import (
    Checkpoint,
    Run,
    last_file,
    latest_checkpoint,
    model_state,
    read_checkpoint,
    write_checkpoint,
)
from hwnas.train.cost_bins import CostBins
from hwnas.train.foreign_weights import load_weights
from hwnas.train.inputs import check_inputs
from hwnas.train.loop import CHECKPOINT_SECONDS, Progress, Step, TrainingResult, train
from hwnas.train.one_network import one_network
from hwnas.train.recipe import Recipe
from hwnas.train.sandwich import sandwich
from hwnas.train.single_path import single_path

__all__ = ["load_supernet", "save_supernet", "train_supernet"]

_KIND = "supernet"
_GIVEN = "given weights"
"""The role in a run of weights that were trained elsewhere, by their digest."""


def train_supernet(
    space: ModelSpace,
    splits: Splits,
    recipe: Recipe,
    *,
    seed: int,
    largest: Architecture | None = None,
    smallest: Architecture | None = None,
    cost: CostTable | None = None,
    weights: Mapping[str, Tensor] | None = None,
    directory: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    accelerator: Any | None = None,
    max_steps: int | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> TrainingResult:
    """Train the weights that all architectures of a space share, in place, on the train part.

    Interrupted and called again with the same arguments, it goes on from the last checkpoint in `directory` and ends
    with the weights that an uninterrupted run would have (on a CPU bit for bit).

    Args:
        space: the supernet; trained in place, on the best device there is.
        splits: of which only `train` is read.
        recipe: how; its `scheme` is "single_path", "sandwich" or "largest".
        seed: of all randomness.
        largest: the architecture with the most MACs; needed for "sandwich" and "largest".
        smallest: that with the fewest; needed for "sandwich".
        cost: multiply-accumulates; needed for a recipe with `macs_range`.
        weights: what training begins with, as `load_weights` takes them; those that the space has if not given. They
            are a part of what run it is.
        directory: for the checkpoints; None: none are written.
        progress: called after every step.
        accelerator: an `accelerate.Accelerator` of one's own; one is made if not given.
        max_steps: stop after this many steps; a later call goes on from there.
        checkpoint_seconds: how often to write a checkpoint within an epoch.

    Raises:
        CheckpointError: for checkpoints of another run, or that cannot be read or written; for `weights` that do not
            fit.
        ConfigError: for a scheme without the architectures that it needs, a `macs_range` without a cost or that no
            architecture meets, or a batch size that does not fit.
        DataError: for data of another shape than the space's example inputs.
        TrainingError: when training diverges; the last good checkpoint is kept and named.
    """
    check_inputs(space, splits)
    ends = {
        name: space.space.validate(a) for name, a in (("largest", largest), ("smallest", smallest)) if a is not None
    }
    needed = {"sandwich": ("largest", "smallest"), "largest": ("largest",), "single_path": ()}[recipe.scheme]
    roles = {name: ends[name].uid for name in needed if name in ends}
    if recipe.macs_range is not None and cost is not None:
        roles["cost"] = canonical_uid(cost.to_json())
    if weights is not None:
        load_weights(space, weights)
        roles[_GIVEN] = _digest(_state(space))
    run = Run(
        kind=_KIND,
        subject=space.space.uid,
        recipe=recipe.to_json(),
        seed=seed,
        splits=splits.hashes,
        roles=roles,
    )
    return train(
        space,
        splits.train,
        splits.task,
        recipe,
        _step(space, splits.task, recipe, ends, cost),
        run=run,
        directory=None if directory is None else Path(directory),
        progress=progress,
        accelerator=accelerator,
        max_steps=max_steps,
        checkpoint_seconds=checkpoint_seconds,
    )


def load_supernet(space: ModelSpace, path: str | Path) -> Checkpoint:
    """Load a trained supernet's weights into a space.

    Args:
        space: the weights are copied into it.
        path: a checkpoint, or the directory that training wrote its checkpoints into.

    Returns:
        The checkpoint: its recipe, splits, seed, and whether training had finished.

    Raises:
        CheckpointError: where there is none, or for a checkpoint of another kind or space.
    """
    path = Path(path)
    try:
        checkpoint = latest_checkpoint(path) if path.is_dir() else read_checkpoint(path)
    except CheckpointError as error:
        raise CheckpointError(
            f"{error} A supernet is a folder that `hwnas train` wrote, or a checkpoint in it; weights of others become "
            "one by `hwnas train --weights`, or as they are by `load_weights` and `save_supernet`."
        ) from error
    if checkpoint is None:
        raise CheckpointError(f"{path} holds no checkpoint. Train a supernet there first.")
    if checkpoint.run.kind != _KIND or checkpoint.run.subject != space.space.uid:
        raise CheckpointError(
            f"{path} is a {checkpoint.run.kind} of {checkpoint.run.subject[:12]}, not a supernet of this space, "
            f"{space.space.uid[:12]}. Build the space that it was trained for."
        )
    checkpoint.load_model(space)
    return checkpoint


def save_supernet(space: ModelSpace, directory: str | Path) -> Path:
    """Keep the weights that a space has now as those of a trained supernet.

    For weights that were trained elsewhere, such as a published checkpoint's: what is written is what `load_supernet`
    reads, so that a search can be given `directory` as its `supernet`.

    Args:
        space: whose weights and buffers.
        directory: for the checkpoint.

    Returns:
        `directory`.

    Raises:
        CheckpointError: the directory holds other weights, which are left as they are, or cannot be written.
    """
    directory = Path(directory)
    state = _state(space)
    run = Run(kind=_KIND, subject=space.space.uid, recipe={}, seed=0, splits={}, roles={_GIVEN: _digest(state)})
    present = latest_checkpoint(directory)
    if present is not None:
        run.require_same(present.run, path=last_file(directory) or directory)
        return directory
    write_checkpoint(
        directory,
        Checkpoint(
            run=run,
            step=0,
            num_steps=0,
            loss_sum=0.0,
            tensors={f"model.{name}": tensor for name, tensor in state.items()},
            versions={"torch": str(torch.__version__)},
        ),
    )
    return directory


def _state(space: ModelSpace) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model_state(space).items()}


def _digest(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _step(space: ModelSpace, task: Task, recipe: Recipe, ends: dict[str, Architecture], cost: CostTable | None) -> Step:
    if recipe.scheme == "single_path":
        bins = None
        if recipe.macs_range is not None:
            if cost is None:
                raise ConfigError("`macs_range` needs `cost`, the table of a FlopsProfiler; got none.")
            bins = CostBins(space.space, cost, recipe.macs_range, recipe.num_cost_bins)
        return single_path(space.space, task, label_smoothing=recipe.label_smoothing, bins=bins)
    if recipe.scheme == "largest":
        if "largest" not in ends:
            raise ConfigError("The scheme 'largest' needs `largest`: the architecture with the most MACs.")
        return one_network(ends["largest"], task, label_smoothing=recipe.label_smoothing)
    if len(ends) < 2:
        raise ConfigError(
            "The scheme 'sandwich' needs `largest` and `smallest`: the architectures with the most and the fewest MACs."
        )
    return sandwich(
        space.space,
        task,
        largest=ends["largest"],
        smallest=ends["smallest"],
        num_random=recipe.num_random,
        label_smoothing=recipe.label_smoothing,
        weight=recipe.distillation,
    )
