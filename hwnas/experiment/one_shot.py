"""The driver of one-shot strategies: two streams of data, the weights' optimiser, checkpoints, the log of the search.

Weights learn from the train part, the architecture from the search part, in every step a batch of each. Between them
stands the strategy, which sees both only as functions of a selection. The loop is that of all training
(`hwnas.train`): schedules, clipping, precision, several processes, and checkpoints, in which the strategy's state lies
beside the weights.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hwnas.cost import CostTable
from hwnas.data import Batch, Splits, nth_batch
from hwnas.errors import ConfigError
from hwnas.nn import ModelSpace, Selection
from hwnas.space import Distribution
from hwnas.store import TrialStore
from hwnas.strategy import Moment, OneShot
from hwnas.train import Progress, Recipe, Run, StepContext, TrainingResult, batch_statistics, check_inputs, train

__all__ = ["SearchEpoch", "SearchLog", "run_one_shot"]

_VALIDATION = 21  # the stream of random numbers that orders the search part


def run_one_shot(
    strategy: OneShot,
    space: ModelSpace,
    data: Splits,
    recipe: Recipe,
    *,
    settings: Mapping[str, Any],
    seed: int,
    directory: str | Path | None = None,
    log: Callable[[int, Distribution], None] = lambda epoch, distribution: None,
    progress: Callable[[Progress], None] | None = None,
    accelerator: Any | None = None,
    max_steps: int | None = None,
    **options: Any,
) -> TrainingResult:
    """Take the steps of a one-shot search; the space's weights and the strategy are changed in place.

    Interrupted and called again with the same arguments, it goes on from the last checkpoint in `directory` and ends
    where an uninterrupted search would have ended (on a CPU bit for bit).

    Args:
        strategy: a new one, for this space.
        space: the supernet.
        data: weights learn from `train`, the architecture from `search`.
        recipe: how weights are trained, and how many steps there are.
        settings: what else the search depends on, as JSON: the strategy's options and budgets. Checkpoints made with
            others are refused.
        seed: of all randomness but the strategy's own start.
        directory: for the checkpoints; None: none are written.
        log: told after every epoch, in the first process: the number of epochs done, and the probabilities.
        progress: called after every step.
        accelerator: an `accelerate.Accelerator` of one's own; one is made if not given.
        max_steps: stop after this many steps; a later call goes on from there.
        options: further ones of `hwnas.train.loop.train`.

    Raises:
        CheckpointError: for checkpoints of another search: of another strategy, for example.
        ConfigError: for a batch size that does not fit.
        DataError: for data of another shape than the space's example inputs.
        TrainingError: when training diverges; the last good checkpoint is kept and named.
    """
    check_inputs(space, data)
    size = min(recipe.batch_size, len(data.search))

    def step(network: Callable[..., Tensor], batch: Batch, context: StepContext) -> Tensor:
        index, num_processes = context.process
        if size < num_processes:
            raise ConfigError(
                f"The search part has {len(data.search)} examples, fewer than the {num_processes} processes. Give it "
                "more, or start fewer processes."
            )

        share = size // num_processes  # equal ones, so that the processes' mean is that of the images

        @functools.cache
        def validation() -> Batch:
            indices = nth_batch(len(data.search), share * num_processes, context.step, seed=(seed, _VALIDATION))
            return context.placed(data.search.batch(indices[index::num_processes]))

        def training_loss(forward: Callable[..., Tensor], selection: Selection) -> Tensor:
            outputs = forward(batch.inputs, selection)
            return data.task.training_loss(outputs, batch.labels, label_smoothing=recipe.label_smoothing)

        def validation_losses(selection: Selection) -> Tensor:
            return data.task.losses(context.unwrapped(validation().inputs, selection), validation().labels)

        def validation_scores(selection: Selection) -> Tensor:
            view = space.view(selection)
            with torch.no_grad(), batch_statistics(view):
                return data.task.scores(view(*validation().inputs), validation().labels)

        loss = strategy.step(
            Moment(
                step=context.step,
                epoch=context.step / context.steps_per_epoch,
                num_epochs=context.num_steps / context.steps_per_epoch,
                rng=context.rng,
                batch_size=share,
                training_batch_size=len(batch.labels),
                device=context.device,
                precision=recipe.precision,
                training_loss=functools.partial(training_loss, network),
                validation_loss=lambda selection: validation_losses(selection).mean(),
                validation_losses=validation_losses,
                validation_scores=validation_scores,
                unwrapped_training_loss=functools.partial(training_loss, context.unwrapped),
                backward=context.backward,
                mean=context.mean,
                weights=list(space.parameters()),
                optimizer=context.optimizer,
            )
        )
        taken = context.step + 1
        if index == 0 and (taken % context.steps_per_epoch == 0 or taken == context.num_steps):
            log(-(-taken // context.steps_per_epoch), strategy.distribution())
        return loss

    run = Run(
        kind=f"{strategy.name} search",
        subject=space.space.uid,
        recipe=recipe.to_json(),
        seed=seed,
        splits=data.hashes,
        roles=settings,
    )
    return train(
        space,
        data.train,
        data.task,
        recipe,
        step,
        run=run,
        directory=None if directory is None else Path(directory),
        progress=progress,
        accelerator=accelerator,
        max_steps=max_steps,
        beside=strategy,
        **options,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchEpoch:
    """What a search had come to after an epoch.

    Attributes:
        probabilities: of every option of every choice, by the choice's name.
        expected: the expected cost, by the profiler's name.
    """

    probabilities: Mapping[str, Sequence[float]]
    expected: Mapping[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchLog:
    """The probabilities of a search and what they cost, epoch by epoch; facts of a run's store.

    Attributes:
        store: where epochs are kept.
        study: whose epochs they are.
        costs: expected after every epoch.
    """

    store: TrialStore
    study: str
    costs: Mapping[str, CostTable]

    def __call__(self, epoch: int, distribution: Distribution) -> None:
        """Keep an epoch; one that is done again after a kill gives the same."""
        done = SearchEpoch(
            probabilities={name: values.tolist() for name, values in distribution.items()},
            expected={name: cost.expected(distribution) for name, cost in self.costs.items()},
        )
        self.store.set_fact(self._fact(epoch), dataclasses.asdict(done))

    def epochs(self) -> list[SearchEpoch]:
        """What was kept, from the first epoch on."""
        found: list[SearchEpoch] = []
        while (content := self.store.fact(self._fact(len(found) + 1))) is not None:
            found.append(SearchEpoch(**content))
        return found

    def write(self, directory: Path) -> None:
        """Write `probabilities.csv` and `expected_costs.csv`."""
        epochs = list(enumerate(self.epochs(), 1))
        options = {choice.name: choice.options for cost in self.costs.values() for choice in cost.space.choices}
        _write_csv(
            directory / "probabilities.csv",
            ("epoch", "choice", "option", "probability"),
            [
                (epoch, name, option, probability)
                for epoch, done in epochs
                for name, values in done.probabilities.items()
                for option, probability in zip(options[name], values, strict=True)
            ],
        )
        _write_csv(
            directory / "expected_costs.csv",
            ("epoch", "profiler", "expected", "unit"),
            [
                (epoch, name, value, self.costs[name].unit)
                for epoch, done in epochs
                for name, value in done.expected.items()
            ],
        )

    def _fact(self, epoch: int) -> str:
        return f"epoch|{self.study}|{epoch}"


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
