"""Giving up evaluations that are not promising, at an intermediate score.

Daniel Golovin, Benjamin Solnik, Subhodeep Moitra, Greg Kochanski, John Karro, D. Sculley: "Google Vizier: A Service for
Black-Box Optimization", KDD 2017, https://doi.org/10.1145/3097983.3098043, section 3.2.2: the median stopping rule.

Liam Li, Kevin Jamieson, Afshin Rostamizadeh, Ekaterina Gonina, Jonathan Ben-tzur, Moritz Hardt, Benjamin Recht, Ameet
Talwalkar: "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, https://arxiv.org/abs/1810.05934:
asynchronous successive halving.

What differs: in successive halving an evaluation that is not among the best at its rung is given up there, not set
aside to be promoted later, for an evaluation that has been left cannot be gone on with; the first at a rung always go
on, as there are none to compare them with.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from hwnas.arguments import whole_number
from hwnas.cost import Budget
from hwnas.strategy.middleware import is_stopped
from hwnas.strategy.protocol import Derived, Outcome, Proposal, Strategy

__all__ = ["MedianStopping", "SuccessiveHalving"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MedianStopping:
    """Stops an evaluation whose best score so far is below the median of what others had averaged by that step.

    The others are those that were completed, each with the mean of its scores up to the step.

    Attributes:
        grace_steps: before this step nothing is stopped.
        min_trials: completed evaluations below which nothing is stopped.

    Raises:
        ConfigError: a negative step, or fewer than 1 evaluation.
    """

    grace_steps: int = 1
    min_trials: int = 5

    def __post_init__(self) -> None:
        whole_number("grace_steps", self.grace_steps, at_least=0)
        whole_number("min_trials", self.min_trials, at_least=1)

    def wrap(self, strategy: Strategy) -> Strategy:
        """See `Middleware`."""
        return _Stopping(strategy, _MedianRule(self.grace_steps, self.min_trials))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuccessiveHalving:
    """Stops an evaluation that is not among the best 1/`reduction_factor` at its rung.

    The rungs are the steps `min_step * reduction_factor ** k`; where an evaluation does not report at one, its next
    report counts.

    Attributes:
        min_step: the first rung.
        reduction_factor: how many reach a rung for one that goes on.

    Raises:
        ConfigError: a step below 1, or a factor below 2.
    """

    min_step: int = 1
    reduction_factor: int = 4

    def __post_init__(self) -> None:
        whole_number("min_step", self.min_step, at_least=1)
        whole_number("reduction_factor", self.reduction_factor, at_least=2)

    def wrap(self, strategy: Strategy) -> Strategy:
        """See `Middleware`."""
        return _Stopping(strategy, _HalvingRule(self.min_step, self.reduction_factor))


class _Rule(Protocol):
    """When to stop; `scores` are those of one evaluation by step, in the order in which they came."""

    def stops(self, scores: dict[int, float], step: int) -> bool: ...

    def completed(self, scores: dict[int, float]) -> None: ...


class _MedianRule:
    def __init__(self, grace_steps: int, min_trials: int) -> None:
        self._grace_steps = grace_steps
        self._min_trials = min_trials
        self._curves: list[tuple[list[int], list[float]]] = []  # steps, and the mean of the scores up to each

    def stops(self, scores: dict[int, float], step: int) -> bool:
        if step < self._grace_steps or len(self._curves) < self._min_trials:
            return False
        places = [(bisect.bisect_right(steps, step), means) for steps, means in self._curves]
        averages = [means[place - 1] for place, means in places if place]
        return bool(averages) and max(scores.values()) < statistics.median(averages)

    def completed(self, scores: dict[int, float]) -> None:
        steps = sorted(scores)
        sums = itertools.accumulate(scores[step] for step in steps)
        self._curves.append((steps, [total / (place + 1) for place, total in enumerate(sums)]))


class _HalvingRule:
    def __init__(self, min_step: int, reduction_factor: int) -> None:
        self._min_step = min_step
        self._reduction_factor = reduction_factor
        self._rungs: dict[int, list[float]] = {}  # the scores at each, ascending

    def stops(self, scores: dict[int, float], step: int) -> bool:
        number = self._rung_number(step)
        if number < 0 or any(self._rung_number(other) >= number for other in scores if other != step):
            return False
        rung = self._rungs.setdefault(number, [])
        bisect.insort(rung, scores[step])
        num_promoted = max(1, len(rung) // self._reduction_factor)
        return len(rung) >= self._reduction_factor and scores[step] < rung[-num_promoted]

    def completed(self, scores: dict[int, float]) -> None:
        pass  # what counts was written down at the rungs

    def _rung_number(self, step: int) -> int:
        """Of the last rung at or below a step; -1 below the first."""
        number, rung = -1, self._min_step
        while rung <= step:
            number, rung = number + 1, rung * self._reduction_factor
        return number


class _Stopping:
    """A strategy whose bad evaluations are stopped by a rule."""

    def __init__(self, strategy: Strategy, rule: _Rule) -> None:
        self._strategy = strategy
        self._rule = rule
        self._under_way: Counter[Proposal] = Counter()  # the same one may be twice
        self._scores: dict[Proposal, dict[int, float]] = {}  # by step, of what is under way
        self._stopped: set[Proposal] = set()

    def ask(self, num: int = 1) -> list[Proposal]:
        """What the strategy asks for."""
        proposals = self._strategy.ask(num)
        self._under_way.update(proposals)
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Hand it on."""
        self._under_way[proposal] -= 1
        if self._under_way[proposal] <= 0:
            del self._under_way[proposal]
            scores = self._scores.pop(proposal, None)
            if scores and not outcome.failed and proposal not in self._stopped:
                self._rule.completed(scores)
            self._stopped.discard(proposal)
        self._strategy.tell(proposal, outcome)

    def should_stop(self, proposal: Proposal, step: int, score: float) -> bool:
        """By the rule, or because the strategy says so.

        Each step of a proposal is judged once: where middleware further out has it evaluated again, the first to come
        there counts; and what has been given up stays so.
        """
        scores = self._scores.setdefault(proposal, {})
        if proposal not in self._stopped and step not in scores:
            scores[step] = score
            if self._rule.stops(scores, step):
                self._stopped.add(proposal)
        by_strategy = is_stopped(self._strategy, proposal, step, score)
        return by_strategy or proposal in self._stopped

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """What the strategy derives."""
        return self._strategy.derive(budgets)
