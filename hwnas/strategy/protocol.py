"""What a multi-trial strategy is: it asks for evaluations, is told their outcome, and derives."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hwnas.cost import Budget
from hwnas.solve import Certificate
from hwnas.space import Architecture

__all__ = ["Derived", "Fidelity", "Outcome", "Proposal", "Strategy"]

Fidelity = Literal["batch", "full", "trained"]
"""How an architecture is scored: `batch` is the loss on one batch beside the teacher's, quick and noisy;
`full` the task's mean score (accuracy, with classes) on the whole search split with the supernet's weights and batch
norm re-estimated; `trained` the same after a short training of the frozen network."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proposal:
    """One evaluation that a strategy wants: an architecture, how it is scored, and on which batch."""

    architecture: Architecture
    fidelity: Fidelity = "full"
    batch_index: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a proposal.

    Attributes:
        score: what the strategy maximises: the teacher's loss minus the architecture's for `batch`,
            accuracy (the task's mean score) for the others.
        loss: the task's mean loss (for `batch`: minus the score).
        scores: the score of each image of the search split, shape (num_images,), 1 and 0 for right and wrong classes;
            two such arrays give a paired comparison. None for `batch`.
    """

    score: float
    loss: float
    scores: NDArray[np.float32] | None = None

    @property
    def standard_error(self) -> float | None:
        """The standard error of the mean score, from the spread of the scores; None where there are none."""
        return None if self.scores is None else float(self.scores.std(dtype=np.float64)) / math.sqrt(len(self.scores))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Derived:
    """The architecture a strategy hands on, and how it was found.

    Attributes:
        architecture: it keeps every budget under which it was derived.
        certificate: of the last solve, for strategies that solve; None for the others.
        note: what a reader must know beyond the certificate (empty where there is nothing).
        runner_up: where an evaluated architecture was preferred to the certified optimum, that optimum.
    """

    architecture: Architecture
    certificate: Certificate | None = None
    note: str = ""
    runner_up: Architecture | None = None


class Strategy(Protocol):
    """A multi-trial search algorithm.

    It sees plain data only: architectures, budgets and outcomes. Its proposals depend on nothing but
    its arguments, its seed and what it was told, in that order, so that telling the same history
    again to a new object (resume by replay) restores it. Every proposal keeps the budgets unless the
    strategy's docstring says otherwise.
    """

    def ask(self, num: int = 1) -> list[Proposal]:
        """At most `num` evaluations wanted next; none when the strategy has finished."""
        ...

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Learn the outcome of a proposal, in the order in which they were asked."""
        ...

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The architecture to hand on under `budgets`, which may be tighter than at the start.

        Cheap, and without further evaluations.

        Raises:
            InfeasibleError: no architecture keeps the budgets; it names the least achievable.
        """
        ...
