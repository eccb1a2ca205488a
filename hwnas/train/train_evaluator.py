"""Training from scratch as an evaluator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from hwnas.data import Splits
from hwnas.errors import ConfigError
from hwnas.nn import ModelSpace
from hwnas.nn.families import load_space
from hwnas.space import Architecture
from hwnas.train.evaluator import Evaluation, evaluate_accuracy
from hwnas.train.fine_tune import fine_tune
from hwnas.train.loop import Progress
from hwnas.train.named_data import data_reference, loaded_data
from hwnas.train.recipe import Recipe
from hwnas.trial import Evaluated, EvaluatorReference, TrialContext
from hwnas.trial.imported import imported, reference_text, whole_path

__all__ = ["TrainEvaluator"]


class TrainEvaluator:
    """Trains every architecture from new weights and scores it on the search part, after every epoch and at the end.

    Its metrics are "score", the task's mean score (accuracy, with classes), and "loss". Weights and training are
    random by the trial's seed alone. Other processes make space and data again from what names them; a `Splits` of
    one's own runs in line only.

    Args:
        space: the name of a family, "file.py:factory", or a function that makes a `ModelSpace` (not one made already:
            its weights would not be new).
        data: the arguments of `load_data` as a mapping or a dataclass (`{"name": "digits", "seed": 0}`), or a `Splits`.
        recipe: how to train; or its fields, as JSON has them.
        space_options: arguments of the family or the factory.
        reports: whether to score after every epoch, which strategies that stop trials early need.

    Raises:
        ConfigError: a `ModelSpace`, or a wrong recipe.
        DataError: the data cannot be loaded.
    """

    def __init__(
        self,
        space: str | Callable[..., ModelSpace],
        data: Splits | Mapping[str, Any] | object,
        recipe: Recipe | Mapping[str, Any],
        *,
        space_options: Mapping[str, Any] | None = None,
        reports: bool = True,
    ) -> None:
        if isinstance(space, ModelSpace):
            raise ConfigError(
                "TrainEvaluator trains new weights, and a ModelSpace has its own. Give what makes the space: the name "
                "of a family, 'file.py:factory', or a function."
            )
        self._space = space
        self._data = data
        self._splits = loaded_data(data)
        self._recipe = recipe if isinstance(recipe, Recipe) else Recipe.from_json(recipe)
        self._space_options = dict(space_options or {})
        self._reports = reports

    def evaluate_trial(self, architecture: Architecture, context: TrialContext) -> Evaluated:
        """Train and score one architecture.

        Raises:
            ArchitectureError: the space does not allow it.
            TrainingError: the training diverged.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            module = self._make_space().freeze(architecture)
        steps_per_epoch = max(1, len(self._splits.train) // self._recipe.batch_size)
        last: tuple[int, Evaluation] | None = None

        def progress(step: Progress) -> None:
            nonlocal last
            if self._reports and step.step % steps_per_epoch == 0:
                last = (step.step, evaluate_accuracy(module, self._splits.search, self._splits.task))
                context.report(step.step // steps_per_epoch, last[1].accuracy)

        trained = fine_tune(module, self._splits, self._recipe, seed=context.seed, progress=progress)
        if last is None or last[0] != trained.step:
            last = (trained.step, evaluate_accuracy(module, self._splits.search, self._splits.task))
        return last[1].evaluated()

    def reference(self) -> EvaluatorReference:
        """Space and data by what names them, and the recipe.

        Raises:
            ConfigError: the data are objects of this process, or the space's factory cannot be found by name.
        """
        return EvaluatorReference(
            factory="hwnas.train:TrainEvaluator",
            options={
                "space": whole_path(self._space) if isinstance(self._space, str) else reference_text(self._space),
                "data": data_reference(self._data, needed_by="TrainEvaluator"),
                "recipe": dict(self._recipe.to_json()),
                "space_options": self._space_options,
                "reports": self._reports,
            },
        )

    def _make_space(self) -> ModelSpace:
        if isinstance(self._space, str):
            where, separator, _ = self._space.rpartition(":")
            if not separator or where.endswith(".py"):
                return load_space(self._space, **self._space_options)
        factory = imported(self._space) if isinstance(self._space, str) else self._space
        made = factory(**self._space_options)
        if not isinstance(made, ModelSpace):
            raise ConfigError(f"The factory of the space must return a ModelSpace; it gave a {type(made).__name__}.")
        return made
