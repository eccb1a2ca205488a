"""Scoring architectures with the supernet's weights, in this process or in a worker that makes everything again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hwnas.data import Splits, load_data
from hwnas.errors import ConfigError
from hwnas.nn import ModelSpace
from hwnas.nn.families import load_space
from hwnas.space import Architecture
from hwnas.train import Evaluation, Recipe, SupernetEvaluator, evaluate_accuracy, fine_tune, load_supernet
from hwnas.train.named_data import data_reference
from hwnas.trial import Evaluated, EvaluatorReference, TrialContext
from hwnas.trial.imported import whole_path

__all__ = ["Named", "Scorer", "worker_scorer"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Named:
    """What names a space and data to another process.

    Attributes:
        space: a family, or "file.py:factory".
        space_options: its arguments.
        data: the arguments of `load_data`.
    """

    space: str
    space_options: Mapping[str, Any]
    data: Mapping[str, Any]


class Scorer:
    """Scores with the supernet's weights, as `SupernetEvaluator` does, and trains shortly for the fidelity "trained".

    Args:
        space: the trained supernet.
        splits: scored on `search`; batch norm and short trainings use `train`. `test` is not touched.
        teacher: the largest architecture, for the quick comparisons on one batch.
        short_recipe: how finalists are trained for the fidelity "trained".
        seed: decides which images make which batch, and the short trainings' randomness.
        named: what names the space and the data to a worker, and
        supernet: the folder of the weights there; None: it cannot make the same.
    """

    def __init__(
        self,
        space: ModelSpace,
        splits: Splits,
        *,
        teacher: Architecture,
        short_recipe: Recipe,
        seed: int,
        named: Named | None = None,
        supernet: Path | None = None,
    ) -> None:
        self._splits = splits
        self._teacher = teacher
        self._short_recipe = short_recipe
        self._seed = seed
        self._named = named
        self._supernet = supernet
        self._evaluator = SupernetEvaluator(space, splits, teacher=teacher, seed=seed)

    def evaluate_trial(self, architecture: Architecture, context: TrialContext) -> Evaluated:
        """The metrics "score" and "loss", at the fidelity that the strategy wants."""
        if context.fidelity != "trained":
            return self._evaluator.evaluate_trial(architecture, context)
        module = self.calibrated(architecture)
        fine_tune(module, self._splits, self._short_recipe, seed=self._seed)
        return evaluate_accuracy(module, self._splits.search, self._splits.task).evaluated()

    def reference(self) -> EvaluatorReference:
        """How a worker makes one that gives the same scores; files by their whole paths, wherever it runs.

        Raises:
            ConfigError: nothing names space, data and weights.
        """
        if self._named is None or self._supernet is None:
            raise ConfigError("A supernet in this process is scored in line only; use the executor 'inline'.")
        return EvaluatorReference(
            factory="hwnas.experiment.scoring:worker_scorer",
            options={
                "space": whole_path(self._named.space),
                "space_options": dict(self._named.space_options),
                "data": data_reference(self._named.data, needed_by="Scorer"),
                "supernet": str(self._supernet.resolve()),
                "teacher": self._teacher.to_json(),
                "short_recipe": self._short_recipe.to_json(),
                "seed": self._seed,
            },
        )

    def evaluate(self, architecture: Architecture) -> Evaluation:
        """The scores and the loss with the supernet's weights."""
        return self._evaluator.evaluate(architecture)

    def calibrated(self, architecture: Architecture) -> nn.Module:
        """The frozen architecture with the supernet's weights and its own batch-norm statistics."""
        return self._evaluator.calibrated(architecture)


def worker_scorer(
    *,
    space: str,
    space_options: Mapping[str, Any],
    data: Mapping[str, Any],
    supernet: str,
    teacher: Mapping[str, Any],
    short_recipe: Mapping[str, Any],
    seed: int,
) -> Scorer:
    """What the reference of a `Scorer` names; on the worker's GPU if it has one.

    Raises:
        BadInputError: the space, the data or the weights cannot be loaded here.
    """
    model = load_space(space, **space_options)
    load_supernet(model, supernet)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    return Scorer(
        model,
        load_data(**data),
        teacher=Architecture.from_json(teacher),
        short_recipe=Recipe.from_json(short_recipe),
        seed=seed,
    )
