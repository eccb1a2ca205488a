"""What is wanted of a trial's metrics: which way is better, within which limits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hwnas.arguments import finite_number
from hwnas.cost import relative_excess
from hwnas.errors import ConfigError, MetricError
from hwnas.experiment.image_scores import unpacked
from hwnas.store import Trial, TrialStore
from hwnas.strategy import Fidelity, Outcome
from hwnas.strategy.protocol import FAILED

__all__ = ["SCORE", "Direction", "Metric", "check_metrics", "outcome_of", "outcome_of_trial", "recorded_outcome"]

Direction = Literal["maximise", "minimise"]


@dataclasses.dataclass(frozen=True)
class Metric:
    """A number that an evaluation gives, or a profiler, and what is wanted of it.

    Attributes:
        name: as the evaluation names it ("score" for a function that returns a number), or a profiler.
        direction: which way is better.
        limit: the least of one to be maximised that is acceptable, the most of one to be minimised. Trials beyond it
            rank behind all others; unlike a budget it is known only after the evaluation.
        reference: its worst value that counts in the hypervolume; None: the worst that any complete trial has.

    Raises:
        ConfigError: a name that is no text, an unknown direction, or a limit or a reference that is no finite number.
    """

    name: str
    direction: Direction = "maximise"
    limit: float | None = None
    reference: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"The name of a metric must be a text; got {self.name!r}.")
        if self.direction not in get_args(Direction):
            raise ConfigError(
                f"The direction of {self.name!r} must be {' or '.join(get_args(Direction))}; got {self.direction!r}."
            )
        for name in ("limit", "reference"):
            value = getattr(self, name)
            if value is not None:  # a plain number: it is written into the folder
                object.__setattr__(self, name, finite_number(f"{name} of {self.name!r}", value, otherwise="or None"))

    def signed(self, value: float) -> float:
        """The value, larger is better."""
        return value if self.direction == "maximise" else -value

    def excess(self, value: float) -> float:
        """By how much the limit is exceeded, as a share of it (of 1 for the limit 0); at most 0 where it is kept."""
        return 0.0 if self.limit is None else relative_excess(-self.signed(value), -self.signed(self.limit))

    def violation(self, value: float) -> float:
        """The excess; 0 where the limit is kept."""
        return max(0.0, self.excess(value))


SCORE = (Metric("score"),)
"""What is wanted where nothing else was said."""


def check_metrics(metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    """The metrics as a tuple.

    Raises:
        ConfigError: none, one twice, or something that is no metric.
    """
    if not isinstance(metrics, Sequence) or not all(isinstance(metric, Metric) for metric in metrics):
        raise ConfigError(f"`metrics` must be a list of Metric, as [Metric('accuracy')]; got {metrics!r}.")
    names = [metric.name for metric in metrics]
    if not names:
        raise ConfigError("`metrics` must name at least one metric, the score: metrics=[Metric('score')], for example.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"`metrics` must name each metric once; {twice[0]!r} is there {names.count(twice[0])} times.")
    return tuple(metrics)


def outcome_of(
    metrics: Sequence[Metric], values: Mapping[str, float], scores: NDArray[np.float32] | None = None
) -> Outcome:
    """What a strategy is told of a complete trial.

    Args:
        metrics: what is wanted; the first is the score.
        values: what the evaluation and the profilers gave, by name.
        scores: of each image.

    Raises:
        MetricError: a metric is missing, or not finite.
    """
    for metric in metrics:
        if metric.name not in values:
            raise MetricError(
                f"The metric {metric.name!r} is missing: the evaluation gave {', '.join(sorted(values))}. Return a "
                "mapping with all metrics of the experiment, or name in `metrics` what is returned."
            )
        if not math.isfinite(values[metric.name]):
            raise MetricError(f"The metric {metric.name!r} must be finite; got {values[metric.name]}.")
    signed = tuple(metric.signed(values[metric.name]) for metric in metrics)
    return Outcome(
        score=signed[0],
        loss=values.get("loss", math.nan),
        scores=scores,
        objectives=signed if len(signed) > 1 else (),
        violation=sum(metric.violation(values[metric.name]) for metric in metrics),
    )


def outcome_of_trial(trial: Trial, metrics: Sequence[Metric] = SCORE) -> Outcome:
    """What the strategy was told of a trial that has ended."""
    if trial.status != "complete":
        return FAILED
    return outcome_of(metrics, {**trial.costs, **trial.metrics}, unpacked(trial.scores, trial.num_images))


def recorded_outcome(store: TrialStore, trial: Trial, metrics: Sequence[Metric]) -> Outcome:
    """The outcome of a trial that has ended, as its store has it.

    Raises:
        StoreError: what is no outcome by these metrics; such a trial was written down as failed.
    """
    name = f"of trial {trial.number} of {trial.study!r}"
    if trial.fidelity not in get_args(Fidelity):
        raise store.damaged(trial.fidelity, f"the fidelity {name}")
    try:
        return outcome_of_trial(trial, metrics)
    except MetricError as error:
        raise store.damaged(trial.metrics, f"the metrics {name}") from error
