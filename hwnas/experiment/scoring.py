"""Scoring proposals in this process, with the supernet's weights."""

from __future__ import annotations

from torch import nn

from hwnas.data import Splits
from hwnas.nn import ModelSpace
from hwnas.space import Architecture
from hwnas.strategy import Outcome, Proposal
from hwnas.train import Evaluation, Recipe, SupernetEvaluator, evaluate_accuracy, fine_tune

__all__ = ["Scorer"]


class Scorer:
    """The in-line executor's evaluator: one proposal in, its outcome out; the same one always gets the same.

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
