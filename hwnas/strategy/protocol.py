"""What a multi-trial strategy is: it asks for evaluations, is told their outcome, and derives."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hwnas.cost import Budget
from hwnas.solve import Certificate
from hwnas.space import Architecture

__all__ = ["FAILED", "Derived", "Fidelity", "Outcome", "Proposal", "StopsTrials", "Strategy", "options_of"]

Fidelity = Literal["batch", "full", "trained"]
"""How an architecture is scored: `batch` is the loss on one batch beside the teacher's, quick and noisy;
`full` the task's mean score (accuracy, with classes) on the whole search split with the supernet's weights and batch
norm re-estimated; `trained` the same after a short training of the frozen network."""

_GIVEN = ("space", "budgets", "seed", "priors")
"""What a strategy's class is given beside its options."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proposal:
    """One evaluation that a strategy wants.

    Attributes:
        architecture: what to evaluate.
        fidelity: how it is scored.
        batch_index: on which batch, for the quick fidelity.
        repeat: how often it was wanted before: further evaluations of one architecture differ in their seed.
    """

    architecture: Architecture
    fidelity: Fidelity = "full"
    batch_index: int = 0
    repeat: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a proposal.

    Attributes:
        score: what the strategy maximises: the teacher's loss minus the architecture's for `batch`,
            accuracy (the task's mean score) for `full` and `trained`, in an `Experiment` the first metric (its
            negative, where less is better). Of no account where `failed`.
        loss: the task's mean loss (for `batch`: minus the score); NaN where there is none.
        scores: the score of each image of the search split, shape (num_images,), 1 and 0 for right and wrong classes;
            two such arrays give a paired comparison. None where there are none.
        objectives: every metric, larger is better, `score` first; empty stands for `score` alone.
        violation: by how much measured metrics exceed their limits, the sum of value/limit - 1; 0 where all are kept.
        tie: decides between equal scores, larger is better.
        failed: there is no score: the evaluation raised, was stopped early or refused. Strategies learn nothing from
            it but that it is over.
    """

    score: float
    loss: float = math.nan
    scores: NDArray[np.float32] | None = None
    objectives: tuple[float, ...] = ()
    violation: float = 0.0
    tie: float = 0.0
    failed: bool = False

    @property
    def rank(self) -> tuple[float, float, float]:
        """What outcomes are compared by: those within their limits first, then the score, then what decides ties."""
        return (-self.violation, self.score, self.tie)

    @property
    def standard_error(self) -> float | None:
        """The standard error of the mean score, from the spread of the scores; None where there are none."""
        return None if self.scores is None else float(self.scores.std(dtype=np.float64)) / math.sqrt(len(self.scores))


FAILED = Outcome(score=-math.inf, failed=True)
"""What a strategy is told of an evaluation without a result."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Derived:
    """The architecture a strategy hands on, and how it was found.

    Attributes:
        architecture: it keeps every budget under which it was derived.
        certificate: of the last solve, for strategies that solve; None for the others.
        note: what a reader must know beyond the certificate (empty where there is nothing).
    """

    architecture: Architecture
    certificate: Certificate | None = None
    note: str = ""


class Strategy(Protocol):
    """A multi-trial search algorithm.

    It sees plain data only: architectures, budgets and outcomes. Its proposals depend on nothing but
    its arguments, its seed and what it was asked and told, in that order, so that asking and telling a new object the
    same again (resume by replay) restores it. Every proposal keeps the budgets unless the
    strategy's docstring says otherwise.
    """

    def ask(self, num: int = 1) -> list[Proposal]:
        """At most `num` evaluations wanted next.

        None while proposals are without their outcome: ask again when another has been told. None while there are
        no such: the strategy has finished.
        """
        ...

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Learn the outcome of a proposal: once for each, in whatever order they end."""
        ...

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The architecture to hand on under `budgets`, which may be tighter than at the start.

        Cheap, and without further evaluations.

        Raises:
            InfeasibleError: no architecture keeps the budgets; it names the least achievable.
            StrategyError: nothing was told yet from which it could be derived.
        """
        ...


@runtime_checkable
class StopsTrials(Protocol):
    """A strategy, or a middleware around one, that ends bad evaluations early."""

    def should_stop(self, proposal: Proposal, step: int, score: float) -> bool:
        """Whether an evaluation is given up, at an intermediate score.

        Called once for every intermediate result, in the order in which they come; remembers what it was told, so that
        resume by replay calls it again.

        Args:
            proposal: whose evaluation.
            step: how far it is, an epoch for example.
            score: larger is better.
        """
        ...


def options_of(strategy: Callable[..., Any]) -> list[str]:
    """The names of a strategy's own options: what its class takes but for what an experiment or a search gives it."""
    return [name for name in inspect.signature(strategy).parameters if name not in _GIVEN]
