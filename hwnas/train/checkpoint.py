"""Checkpoints: one safetensors file a step, with its JSON record in the header, so that it is whole or not there.

Written aside, fsynced, renamed; the last two are kept. Tensors are named `model.<parameter or buffer>` and
`optimizer.<parameter>/<state>`, those that training keeps beside the model `beside.<name>`. Nothing is pickled.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from hwnas.errors import CheckpointError

__all__ = [
    "Checkpoint",
    "Run",
    "last_file",
    "latest_checkpoint",
    "make_folder",
    "model_state",
    "read_checkpoint",
    "write_checkpoint",
]

FORMAT = "hwnas checkpoint 1"
"""What the headers of our checkpoints say."""
_NAME = re.compile(r"step-(\d{9})\.safetensors")
_NUM_KEPT = 2
_BESIDE = "beside."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What training this is; a checkpoint continues the same run only.

    Attributes:
        kind: "supernet" or "fine_tune".
        subject: the space's uid, or a hash of the network's tensors' names and shapes.
        recipe: as JSON.
        seed: of all randomness.
        splits: SHA-256 of every part of the data.
        roles: further networks that the result depends on: "largest", "smallest", "teacher".
    """

    kind: str
    subject: str
    recipe: Mapping[str, Any]
    seed: int
    splits: Mapping[str, str]
    roles: Mapping[str, str]

    def require_same(self, other: Run, *, path: Path) -> None:
        """Raise unless `other`, that of the checkpoint at `path`, is the same run.

        Raises:
            CheckpointError: naming every field that differs, with both values.
        """
        mine, theirs = _flat(dataclasses.asdict(self)), _flat(dataclasses.asdict(other))
        differing = [name for name in sorted({*mine, *theirs}) if mine.get(name) != theirs.get(name)]
        if differing:
            fields = ", ".join(
                f"{name} is {theirs.get(name)!r} there and {mine.get(name)!r} here" for name in differing
            )
            raise CheckpointError(
                f"{path} is of another run: {fields}. Use the settings it was made with, or another directory."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A run after `step` of its `num_steps` steps.

    Attributes:
        run: what was trained.
        step: how many steps were taken.
        num_steps: how many the run has altogether.
        loss_sum: the losses of the steps of this epoch so far, added up.
        tensors: weights, buffers and the optimiser's state by name.
        versions: of the packages that wrote it.
    """

    run: Run
    step: int
    num_steps: int
    loss_sum: float
    tensors: Mapping[str, Tensor]
    versions: Mapping[str, str]

    @property
    def finished(self) -> bool:
        """Whether the run was complete."""
        return self.step == self.num_steps

    @classmethod
    def of(
        cls,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        beside: Mapping[str, Tensor] | None = None,
        *,
        run: Run,
        step: int,
        num_steps: int,
        loss_sum: float,
    ) -> Self:
        """The present state of a model, of its optimiser, and of what is kept beside them."""
        tensors = {f"model.{name}": tensor for name, tensor in model_state(model).items()}
        for name, parameter in model.named_parameters():
            for key, value in optimizer.state.get(parameter, {}).items():
                if value is not None:
                    tensors[f"optimizer.{name}/{key}"] = torch.as_tensor(value)
        tensors |= {f"{_BESIDE}{name}": tensor for name, tensor in (beside or {}).items()}
        versions = {"torch": str(torch.__version__)}
        return cls(run=run, step=step, num_steps=num_steps, loss_sum=loss_sum, tensors=tensors, versions=versions)

    @property
    def is_finite(self) -> bool:
        """Whether all numbers of the model and its optimiser are."""
        return all(bool(t.isfinite().all()) for name, t in self.tensors.items() if not name.startswith(_BESIDE))

    @property
    def beside(self) -> dict[str, Tensor]:
        """What was kept beside the model."""
        return {name.removeprefix(_BESIDE): t for name, t in self.tensors.items() if name.startswith(_BESIDE)}

    def load_model(self, model: nn.Module) -> None:
        """Copy weights and buffers into the model.

        Raises:
            CheckpointError: where names or shapes differ.
        """
        prefix = "model."
        stored = {name.removeprefix(prefix): t for name, t in self.tensors.items() if name.startswith(prefix)}
        present = model_state(model)
        for name in sorted({*stored, *present}):
            theirs, mine = stored.get(name), present.get(name)
            if theirs is None or mine is None or theirs.shape != mine.shape:
                raise CheckpointError(
                    f"The checkpoint does not fit the model: {name} has the shape {_shape(theirs)} there and "
                    f"{_shape(mine)} here. Build the model with the same options."
                )
        with torch.no_grad():
            for name, tensor in present.items():
                tensor.copy_(stored[name])

    def load_optimizer(self, optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
        """Copy the optimiser's state, for a model that `load_model` has accepted."""
        parameters = dict(model.named_parameters())
        for full_name, stored in self.tensors.items():
            if full_name.startswith("optimizer."):
                name, key = full_name.removeprefix("optimizer.").rsplit("/", 1)
                parameter = parameters[name]
                like = torch.empty_like(parameter, dtype=stored.dtype) if stored.shape == parameter.shape else stored
                optimizer.state[parameter][key] = like.copy_(stored)


def write_checkpoint(directory: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint durably, and remove all but the last two.

    Returns:
        The file.

    Raises:
        CheckpointError: when it cannot be written; what was there before is kept.
    """
    header = {field.name: getattr(checkpoint, field.name) for field in dataclasses.fields(checkpoint)}
    del header["tensors"]
    header["run"] = dataclasses.asdict(checkpoint.run)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    data = save(tensors, metadata={"format": FORMAT, "checkpoint": json.dumps(header, sort_keys=True)})
    path = directory / f"step-{checkpoint.step:09d}.safetensors"
    aside = directory / "checkpoint.tmp"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _sync_directory(directory)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise CheckpointError(
            f"{path} cannot be written ({error}). Free some space, or choose another directory, and give the same "
            f"command again; it goes on from {last_file(directory) or 'the beginning'}."
        ) from error
    for old in _files(directory)[:-_NUM_KEPT]:
        old.unlink()
    return path


def read_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint.

    Raises:
        CheckpointError: for a file that is missing, truncated or not ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is missing, truncated or not a checkpoint ({error}). Remove it to go on from the one before."
        ) from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is not a checkpoint of this version of hwnas: its format is {metadata.get('format')!r}, not "
            f"{FORMAT!r}. Choose another directory."
        )
    try:
        header = json.loads(metadata["checkpoint"])
        return Checkpoint(**{**header, "run": Run(**header["run"]), "tensors": tensors})
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its record cannot be read ({error!r}). Remove it.") from error


def make_folder(directory: Path) -> None:
    """Make the folder of checkpoints, before anything is trained that could not be kept.

    Raises:
        CheckpointError: there cannot be a folder.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{directory} cannot be a folder of checkpoints ({error}). Give another path.") from error


def latest_checkpoint(directory: Path) -> Checkpoint | None:
    """The last checkpoint in a directory that can be read; None if there is none at all.

    An unreadable one is passed over with a warning while an earlier one is good.

    Raises:
        CheckpointError: if there are checkpoints and none of them can be read.
    """
    damaged: list[CheckpointError] = []
    for path in reversed(_files(directory)):
        try:
            found = read_checkpoint(path)
        except CheckpointError as error:
            damaged.append(error)
            continue
        for damage in damaged:
            warnings.warn(f"{damage} Going on from {path}.", stacklevel=2)
        return found
    if damaged:
        raise damaged[0]
    return None


def last_file(directory: Path) -> Path | None:
    """The file of the last checkpoint in a directory; None if there is none."""
    files = _files(directory)
    return files[-1] if files else None


def _files(directory: Path) -> list[Path]:
    """The checkpoints of a directory, oldest first."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))


def model_state(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, shared ones once."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _shape(tensor: Tensor | None) -> str:
    return "nothing" if tensor is None else str(tuple(tensor.shape))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested mappings by their dotted path."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _sync_directory(directory: Path) -> None:
    """Make a rename in the directory durable, where the system lets directories be synced."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
