"""How good a network is: on given images, or as a subnet with the supernet's weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hwnas.arguments import whole_number
from hwnas.data import CLASSIFICATION, Batch, Part, Request, Splits, Task, nth_batch, stream
from hwnas.errors import ConfigError
from hwnas.nn import ModelSpace
from hwnas.nn.families import load_space
from hwnas.space import Architecture
from hwnas.train.batch_norm import batch_statistics, reestimate_batch_norm
from hwnas.train.inputs import check_inputs
from hwnas.train.named_data import data_reference, loaded_data
from hwnas.train.supernet import load_supernet
from hwnas.trial import Evaluated, EvaluatorReference, TrialContext
from hwnas.trial.imported import whole_path

__all__ = ["Evaluation", "SupernetEvaluator", "evaluate_accuracy"]

# Streams of random numbers; the first entry of a seed is the user's.
_BATCH_NORM, _SEARCH = 11, 12


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """How a network did on a set of images.

    Attributes:
        scores: the task's score of each image, (n,) in the part's order, 1 and 0 for right and wrong classes; two such
            arrays give a paired comparison.
        loss: the task's mean loss (classes: cross-entropy in nats).
    """

    scores: npt.NDArray[np.float32]
    loss: float

    @property
    def accuracy(self) -> float:
        """The mean score: with classes the fraction classified rightly, from 0 to 1."""
        return float(self.scores.mean(dtype=np.float64))

    @property
    def standard_error(self) -> float:
        """The standard error of the mean score; with classes the binomial one."""
        return float(self.scores.std(dtype=np.float64)) / math.sqrt(len(self.scores))

    def evaluated(self) -> Evaluated:
        """The same as what a trial came to: the metrics "score" (the mean) and "loss", and the scores."""
        return Evaluated(metrics={"score": self.accuracy, "loss": self.loss}, scores=self.scores)


@torch.no_grad()
def evaluate_accuracy(
    module: nn.Module, part: Part, task: Task = CLASSIFICATION, *, batch_size: int = 500
) -> Evaluation:
    """Run a network over a part of the data, in evaluation mode, without augmentation.

    Args:
        module: called as `module(*inputs)`, on the device of its parameters; its mode is put back afterwards.
        part: the images.
        task: what is asked of the network.
        batch_size: images at a time; of no account for the result.
    """
    device = _device(module)
    was_training = module.training
    module.eval()
    try:
        scores: list[Tensor] = []
        loss = 0.0
        for batch in stream(part, _in_order(len(part), batch_size)):
            batch = batch.to(device)
            outputs = module(*batch.inputs)
            scores.append(task.scores(outputs, batch.labels).cpu())
            loss += float(task.losses(outputs, batch.labels).sum())
    finally:
        module.train(was_training)
    return Evaluation(scores=torch.cat(scores).numpy(), loss=loss / len(part))


class SupernetEvaluator:
    """Scores architectures with the supernet's weights.

    `evaluate` freezes the architecture, re-estimates its batch norm on training images and runs it over the whole part;
    `batch_losses` is quick and noisy: one batch, batch norm on that batch's own statistics, the teacher's loss on the
    same batch subtracted. Neither changes the supernet, and no candidate leaves a trace for the next.

    Args:
        space: the trained supernet.
        splits: `train` for batch norm, `search` (or, at the very end, `test`) for the score.
        num_bn_batches: batches for the re-estimation; fewer where the train part has fewer.
        split: the part that `evaluate` and `batch_losses` score on.
        teacher: the largest architecture; needed for `batch_losses`.
        batch_size: images a batch, for the re-estimation and for `batch_losses`.
        seed: decides which images make which batch.

    Raises:
        ConfigError: for a number that is no whole one, or out of range.
        DataError: for data of another shape than the space's example inputs.
    """

    def __init__(
        self,
        space: ModelSpace,
        splits: Splits,
        *,
        num_bn_batches: int = 20,
        split: Literal["search", "test"] = "search",
        teacher: Architecture | None = None,
        batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        num_bn_batches = whole_number("num_bn_batches", num_bn_batches, at_least=1)
        batch_size = whole_number("batch_size", batch_size, at_least=1)
        seed = whole_number("seed", seed, at_least=0)
        check_inputs(space, splits)
        self._space = space
        self._part = splits.parts[split]
        self._task = splits.task
        self._teacher = teacher
        self._batch_size = min(batch_size, len(self._part))
        self._seed = seed
        order = np.random.default_rng([seed, _BATCH_NORM]).permutation(len(splits.train))
        size = min(batch_size, len(order))
        requests = [Request(indices=order[i : i + size]) for i in range(0, len(order) - size + 1, size)]
        device = _device(space)
        self._bn_inputs = [b.to(device).inputs for b in stream(splits.train, requests[:num_bn_batches])]
        self._teacher_losses: dict[int, float] = {}
        self._reference: EvaluatorReference | None = None

    @classmethod
    def load(
        cls,
        space: str,
        data: Mapping[str, Any] | object,
        supernet: str | Path,
        *,
        space_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """An evaluator that other processes can make again, from what names its space, data and supernet.

        Args:
            space: the name of a family, or "file.py:factory".
            data: the arguments of `load_data` as a mapping or a dataclass.
            supernet: the folder of a trained supernet, or a checkpoint in it.
            space_options: arguments of the family or the factory.
            options: of the constructor; the teacher as an architecture or as JSON.

        Raises:
            ConfigError: a wrong option.
            BadInputError: space, data or supernet cannot be loaded.
        """
        named = data_reference(data, needed_by="SupernetEvaluator")
        made_space = load_space(space, **dict(space_options or {}))
        load_supernet(made_space, supernet)
        teacher = options.pop("teacher", None)
        teacher = None if teacher is None else made_space.space.validate(Architecture.from_json(teacher))
        evaluator = cls(made_space, loaded_data(named), teacher=teacher, **options)
        evaluator._reference = EvaluatorReference(
            factory="hwnas.train:SupernetEvaluator.load",
            options={
                "space": whole_path(space),
                "data": named,
                "supernet": str(Path(supernet).resolve()),
                "space_options": dict(space_options or {}),
                "teacher": None if teacher is None else teacher.to_json(),
                **options,
            },
        )
        return evaluator

    def reference(self) -> EvaluatorReference:
        """What names space, data and supernet.

        Raises:
            ConfigError: it was made from objects of this process, not by `load`.
        """
        if self._reference is None:
            raise ConfigError(
                "A SupernetEvaluator made from a space and data of this process runs in line only. Make it with "
                "SupernetEvaluator.load(space, data, supernet), which names them, or use the executor 'inline'."
            )
        return self._reference

    def evaluate_trial(self, architecture: Architecture, context: TrialContext) -> Evaluated:
        """The metrics "score" (the task's mean score) and "loss", at the fidelity that the strategy wants.

        Raises:
            ConfigError: the fidelity "trained", for which nothing is trained here, or "batch" without a teacher.
        """
        if context.fidelity == "trained":
            raise ConfigError(
                "SupernetEvaluator scores with the supernet's weights and trains nothing, but the strategy wants an "
                "architecture trained. Use hwnas.search, or a strategy that compares without training."
            )
        if context.fidelity == "batch":
            loss = float(self.batch_losses([architecture], context.batch_index)[0])
            return Evaluated(metrics={"score": -loss, "loss": loss})
        return self.evaluate(architecture).evaluated()

    def evaluate(self, architecture: Architecture) -> Evaluation:
        """Accuracy and loss with inherited weights and re-estimated batch norm."""
        return evaluate_accuracy(self.calibrated(architecture), self._part, self._task)

    def calibrated(self, architecture: Architecture) -> nn.Module:
        """The frozen architecture with the supernet's weights and its own batch-norm statistics."""
        module = self._space.freeze(architecture)
        reestimate_batch_norm(module, self._bn_inputs)
        return module

    @torch.no_grad()
    def batch_losses(self, architectures: Sequence[Architecture], batch_index: int) -> npt.NDArray[np.float64]:
        """The task's loss of each architecture minus the teacher's, on one batch, (n,); with classes in nats.

        Args:
            architectures: to score.
            batch_index: from 0; the part is gone through again and again, in another order each time.

        Raises:
            ConfigError: for an evaluator made without a teacher.
        """
        if self._teacher is None:
            raise ConfigError("`batch_losses` needs a teacher; give SupernetEvaluator the largest architecture.")
        batch = self._search_batch(batch_index)
        if batch_index not in self._teacher_losses:
            self._teacher_losses[batch_index] = self._batch_loss(self._teacher, batch)
        teacher_loss = self._teacher_losses[batch_index]
        return np.array([self._batch_loss(architecture, batch) - teacher_loss for architecture in architectures])

    def _batch_loss(self, architecture: Architecture, batch: Batch) -> float:
        view = self._space.view(architecture)
        with batch_statistics(view):
            return float(self._task.losses(view(*batch.inputs), batch.labels).mean())

    def _search_batch(self, batch_index: int) -> Batch:
        """Batch number `batch_index` of an endless series over the part."""
        indices = nth_batch(len(self._part), self._batch_size, batch_index, seed=(self._seed, _SEARCH))
        return self._part.batch(indices).to(_device(self._space))


def _device(module: nn.Module) -> torch.device:
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))


def _in_order(num: int, batch_size: int) -> list[Request]:
    return [Request(indices=np.arange(i, min(i + batch_size, num))) for i in range(0, num, batch_size)]
