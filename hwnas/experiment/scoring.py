"""Scoring proposals with the supernet's weights, in this process or in a worker that makes everything again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hwnas.data import Splits, load_data
from hwnas.experiment.trials import ProposalEvaluator
from hwnas.nn import ModelSpace
from hwnas.nn.families import load_space
from hwnas.space import Architecture
from hwnas.strategy import Outcome, Proposal
from hwnas.train import Evaluation, Recipe, SupernetEvaluator, evaluate_accuracy, fine_tune, load_supernet
from hwnas.trial import EvaluatorReference
from hwnas.trial.imported import whole_path

__all__ = ["Named", "Scorer", "scorer_reference", "worker_scorer"]


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
    """One proposal in, its outcome out; the same one always gets the same.

    Args:
        space: the trained supernet.
        splits: scored on `search`; batch norm and short trainings use `train`. `test` is not touched.
        teacher: the largest architecture, for the quick comparisons on one batch.
        short_recipe: how finalists are trained for the fidelity "trained".
        seed: decides which images make which batch, and the short trainings' randomness.
    """

    def __init__(
        self, space: ModelSpace, splits: Splits, *, teacher: Architecture, short_recipe: Recipe, seed: int
    ) -> None:
        self._splits = splits
        self._short_recipe = short_recipe
        self._seed = seed
        self._evaluator = SupernetEvaluator(space, splits, teacher=teacher, seed=seed)

    def __call__(self, proposal: Proposal) -> Outcome:
        """Score a proposal at the fidelity it asks for."""
        if proposal.fidelity == "batch":
            loss = float(self._evaluator.batch_losses([proposal.architecture], proposal.batch_index)[0])
            return Outcome(score=-loss, loss=loss)
        if proposal.fidelity == "full":
            return _outcome(self._evaluator.evaluate(proposal.architecture))
        module = self.calibrated(proposal.architecture)
        fine_tune(module, self._splits, self._short_recipe, seed=self._seed)
        return _outcome(evaluate_accuracy(module, self._splits.search, self._splits.task))

    def calibrated(self, architecture: Architecture) -> nn.Module:
        """The frozen architecture with the supernet's weights and its own batch-norm statistics."""
        return self._evaluator.calibrated(architecture)


def _outcome(evaluation: Evaluation) -> Outcome:
    return Outcome(score=evaluation.accuracy, loss=evaluation.loss, scores=evaluation.scores)


def scorer_reference(
    named: Named, supernet: str | Path, *, teacher: Architecture, short_recipe: Recipe, seed: int
) -> EvaluatorReference:
    """How a worker makes a `Scorer` that gives the same scores; files by their whole paths, wherever it runs.

    Args:
        named: the space and the data.
        supernet: the folder of the weights.
        teacher, short_recipe, seed: as of `Scorer`.
    """
    data = dict(named.data)
    if data.get("folder") is not None:
        data["folder"] = str(Path(data["folder"]).resolve())
    return EvaluatorReference(
        factory="hwnas.experiment.scoring:worker_scorer",
        options={
            "space": whole_path(named.space),
            "space_options": dict(named.space_options),
            "data": data,
            "supernet": str(Path(supernet).resolve()),
            "teacher": teacher.to_json(),
            "short_recipe": short_recipe.to_json(),
            "seed": seed,
        },
    )


def worker_scorer(
    *,
    space: str,
    space_options: Mapping[str, Any],
    data: Mapping[str, Any],
    supernet: str,
    teacher: Mapping[str, Any],
    short_recipe: Mapping[str, Any],
    seed: int,
) -> ProposalEvaluator:
    """What `scorer_reference` refers to; on the worker's GPU if it has one.

    Raises:
        BadInputError: the space, the data or the weights cannot be loaded here.
    """
    model = load_space(space, **space_options)
    load_supernet(model, supernet)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    scorer = Scorer(
        model,
        load_data(**data),
        teacher=Architecture.from_json(teacher),
        short_recipe=Recipe.from_json(short_recipe),
        seed=seed,
    )
    return ProposalEvaluator(scorer)
