"""Who is best of the trials so far: kept up to date trial by trial, or made from a whole history."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from hwnas.experiment.hypervolume import hypervolume
from hwnas.experiment.metric import Metric
from hwnas.space import Architecture
from hwnas.store import Trial, TrialStatus
from hwnas.strategy import Fidelity, Outcome

__all__ = ["Found", "Standings", "TrialFront", "found", "thoroughness"]

_Member = tuple[tuple[float, ...], Trial]  # signed objectives, larger is better


def thoroughness(trial: Trial) -> int:
    """How thoroughly a trial was scored; scores of different fidelities are not compared, the more thorough counts."""
    return get_args(Fidelity).index(trial.fidelity)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """An evaluated architecture.

    Attributes:
        number: of its trial.
        architecture: it.
        metrics: what the evaluation gave, by name, and those of the experiment's metrics that a profiler gives.
        costs: what profilers say, by name.
        violation: by how much it exceeds metrics' limits; 0 where it keeps them.
        fidelity: how it was scored.
        seconds: how long its evaluation took.
    """

    number: int
    architecture: Architecture
    metrics: Mapping[str, float]
    costs: Mapping[str, float]
    violation: float
    fidelity: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, without NaN and infinities, which JSON does not have."""
        return {
            "trial": self.number,
            "uid": self.architecture.uid,
            "architecture": self.architecture.to_json(),
            "metrics": _finite(self.metrics),
            "costs": _finite(self.costs),
            "violation": self.violation,
            "fidelity": self.fidelity,
            "seconds": self.seconds,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialFront:
    """The trials that no other one equals or beats in every metric; of equal ones the first asked for.

    Attributes:
        members: the best of the first metric first; only trials within all limits.
        metrics: the names of the metrics that are compared.
        reference: the point from which the hypervolume is measured, a value for each metric: `Metric.reference`, or
            the worst value of any complete trial.
        hypervolume: the space between the reference and the front, in the product of the metrics' units. None before
            the first complete trial.
    """

    members: tuple[Found, ...]
    metrics: tuple[str, ...]
    reference: tuple[float, ...]
    hypervolume: float | None


class Standings:
    """Counts, the best and the front of the trials told of; the latter two of those scored most thoroughly.

    In whatever order they end, of equals it is the one that was asked for first.

    Args:
        metrics: what is wanted; the first is the score.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = tuple(metrics)
        self.counts: Counter[TrialStatus] = Counter()
        self._thoroughness = 0
        self._forget()

    def _forget(self) -> None:
        self.best: Found | None = None
        """The best so far, one within the metrics' limits where there is any."""
        self._best_rank: tuple[float, ...] = ()
        self._front: list[_Member] = []
        self._worst: tuple[float, ...] | None = None
        self._hypervolume: float | None = None

    def add(self, trial: Trial, outcome: Outcome) -> None:
        """A trial has ended."""
        self.counts[trial.status] += 1
        if trial.status != "complete" or thoroughness(trial) < self._thoroughness:
            return
        if thoroughness(trial) > self._thoroughness:
            self._thoroughness = thoroughness(trial)
            self._forget()
        rank = (*outcome.rank, -trial.number)
        if rank > self._best_rank:
            self._best_rank, self.best = rank, found(trial, outcome.violation, self.metrics)
        point = outcome.objectives or (outcome.score,)
        worst = point if self._worst is None else tuple(map(min, self._worst, point))
        if worst != self._worst:
            self._worst, self._hypervolume = worst, None
        member = (point, trial)
        if outcome.violation == 0.0 and not any(_covers(other, member) for other in self._front):
            self._front = [*(other for other in self._front if not _covers(member, other)), member]
            self._hypervolume = None

    @property
    def hypervolume(self) -> float | None:
        """See `TrialFront`; kept until the front or the reference changes."""
        if self._hypervolume is None and self._worst is not None:
            self._hypervolume = hypervolume(sorted(point for point, _ in self._front), self._reference())
        return self._hypervolume

    def front(self) -> TrialFront:
        """The front of the trials told of."""
        members = sorted(self._front, key=lambda member: member[0], reverse=True)
        reference = () if self._worst is None else self._reference()
        return TrialFront(
            members=tuple(found(trial, 0.0, self.metrics) for _, trial in members),
            metrics=tuple(metric.name for metric in self.metrics),
            reference=tuple(m.signed(value) for m, value in zip(self.metrics, reference, strict=False)),
            hypervolume=self.hypervolume,
        )

    def _reference(self) -> tuple[float, ...]:
        assert self._worst is not None
        return tuple(
            worst if metric.reference is None else metric.signed(metric.reference)
            for metric, worst in zip(self.metrics, self._worst, strict=True)
        )


def found(trial: Trial, violation: float, metrics: Sequence[Metric]) -> Found:
    """A complete trial as it is handed out."""
    of_profilers = {metric.name: trial.costs[metric.name] for metric in metrics if metric.name in trial.costs}
    return Found(
        number=trial.number,
        architecture=Architecture.from_json(trial.architecture),
        metrics={**of_profilers, **trial.metrics},
        costs=trial.costs,
        violation=violation,
        fidelity=trial.fidelity,
        seconds=trial.seconds,
    )


def _finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def _covers(one: _Member, other: _Member) -> bool:
    """Whether `one` is at least as good in every objective; of equals, whether it was asked for first."""
    (point, trial), (beside, another) = one, other
    return trial.number < another.number if point == beside else all(map(operator.ge, point, beside))
