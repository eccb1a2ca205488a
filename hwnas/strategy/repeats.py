"""One evaluation wanted, several made: after failures, or for their mean.

Each of several evaluations of one proposal is a proposal of its own, with its own `repeat`: the n-th of at most k is
`k * repeat + n`, so that middleware of this kind can stand around each other and no two are alike.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict, deque
from collections.abc import Sequence

import numpy as np

from hwnas.arguments import whole_number
from hwnas.cost import Budget
from hwnas.errors import ConfigError, StrategyError
from hwnas.space import Architecture
from hwnas.strategy.middleware import is_stopped
from hwnas.strategy.protocol import FAILED, Derived, Outcome, Proposal, Strategy
from hwnas.strategy.stand_in import StandIn, best_evaluated, check_stand_in, stand_in

__all__ = ["FailureHandler", "MultipleEvaluation"]


@dataclasses.dataclass(frozen=True)
class FailureHandler:
    """What becomes of evaluations that fail.

    It stands outside filters and early stopping, `Chain(strategy, FailureHandler(...), Filter(...))`: what they refuse
    or give up is then no failure to it.

    Attributes:
        metric: told to the strategy as the score of what failed (larger is better; with several metrics one for each),
            so that it learns to avoid it, and as being over measured limits by the most that anything was so far; None:
            it is told that the evaluation failed.
        retry: how often a failed evaluation is made again before that.

    Raises:
        ConfigError: neither, a metric that is not finite, or a negative number of times.
    """

    metric: StandIn = None
    retry: int = dataclasses.field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if whole_number("retry", self.retry, at_least=0) == 0 and self.metric is None:
            raise ConfigError("A FailureHandler needs `metric`, `retry` or both; got neither.")
        check_stand_in("metric", self.metric)

    def wrap(self, strategy: Strategy) -> Strategy:
        """See `Middleware`."""
        return _Handled(strategy, self.metric, self.retry + 1)


@dataclasses.dataclass(frozen=True)
class MultipleEvaluation:
    """Every proposal is evaluated several times, and the strategy told the mean of those that did not fail.

    Where there are scores of images, their means are told too, so that the outcome has a standard error.

    Attributes:
        repeat: how many times.

    Raises:
        ConfigError: fewer than 2.
    """

    repeat: int

    def __post_init__(self) -> None:
        whole_number("repeat", self.repeat, at_least=2)

    def wrap(self, strategy: Strategy) -> Strategy:
        """See `Middleware`."""
        return _Repeated(strategy, self.repeat)


class _Handled:
    """The strategy that `FailureHandler` makes."""

    def __init__(self, strategy: Strategy, metric: StandIn, num_tries: int) -> None:
        self._strategy = strategy
        self._metric = metric
        self._num_tries = num_tries
        self._again: deque[Proposal] = deque()
        self._stopped: set[Proposal] = set()
        self._under_way: Counter[Proposal] = Counter()
        self._evaluated: dict[Architecture, Outcome] = {}
        self._failed: set[Architecture] = set()
        self._largest_violation = 0.0

    def ask(self, num: int = 1) -> list[Proposal]:
        """What failed and is to be tried again, then new proposals."""
        proposals = [self._again.popleft() for _ in range(min(num, len(self._again)))]
        if len(proposals) < num:
            proposals += [_nth(asked, 0, self._num_tries) for asked in self._strategy.ask(num - len(proposals))]
        self._under_way.update(proposals)
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Hand it on, unless it failed and is to be tried again, as no known trial is that was never asked for."""
        wanted, n = _origin(proposal, self._num_tries)
        failed = outcome.failed and proposal not in self._stopped
        was_asked = self._under_way[proposal] > 0
        self._under_way[proposal] -= was_asked
        self._stopped.discard(proposal)
        if failed and was_asked and n + 1 < self._num_tries:
            self._again.append(_nth(wanted, n + 1, self._num_tries))
            return
        if failed:
            self._failed.add(wanted.architecture)
            outcome = stand_in(self._metric, violation=self._largest_violation)
        elif not outcome.failed:
            self._evaluated[wanted.architecture] = outcome
            self._largest_violation = max(self._largest_violation, outcome.violation)
        self._strategy.tell(wanted, outcome)

    def should_stop(self, proposal: Proposal, step: int, score: float) -> bool:
        """Hand it on; what is given up has not failed."""
        stops = is_stopped(self._strategy, _origin(proposal, self._num_tries)[0], step, score)
        if stops:
            self._stopped.add(proposal)
        return stops

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """What the strategy derives; where it has but the metric of a failure, the best evaluated one instead.

        Raises:
            StrategyError: nothing that was evaluated keeps the budgets.
        """
        derived = self._strategy.derive(budgets)
        only_failed = derived.architecture in self._failed and derived.architecture not in self._evaluated
        if self._metric is None or not only_failed:
            return derived
        return best_evaluated(self._evaluated, budgets, why="the evaluation of what the strategy derived failed")


class _Repeated:
    """The strategy that `MultipleEvaluation` makes."""

    def __init__(self, strategy: Strategy, num_repeats: int) -> None:
        self._strategy = strategy
        self._num_repeats = num_repeats
        self._next: deque[Proposal] = deque()
        # Of each time that a proposal was wanted, the outcomes by n: the mean is the same in whatever order they end.
        self._rounds: dict[Proposal, deque[dict[int, Outcome]]] = defaultdict(deque)

    def ask(self, num: int = 1) -> list[Proposal]:
        """The evaluations of one proposal after those of another."""
        while len(self._next) < num and (asked := self._strategy.ask(1)):
            self._next += [_nth(asked[0], n, self._num_repeats) for n in range(self._num_repeats)]
            self._rounds[asked[0]].append({})
        return [self._next.popleft() for _ in range(min(num, len(self._next)))]

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Hand the mean on when all evaluations are there; and as it is what was never asked for, known trials.

        Raises:
            StrategyError: evaluations of one proposal with different numbers of objectives.
        """
        wanted, n = _origin(proposal, self._num_repeats)
        outcomes = next((outcomes for outcomes in self._rounds[wanted] if n not in outcomes), None)
        if outcomes is None:
            self._strategy.tell(proposal, outcome)
            return
        outcomes[n] = outcome
        if len(outcomes) == self._num_repeats:
            self._rounds[wanted].popleft()  # each n goes to the first that lacks it, so that this is the first
            self._strategy.tell(wanted, _mean([outcomes[n] for n in sorted(outcomes) if not outcomes[n].failed]))

    def should_stop(self, proposal: Proposal, step: int, score: float) -> bool:
        """Hand it on."""
        return is_stopped(self._strategy, _origin(proposal, self._num_repeats)[0], step, score)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """What the strategy derives."""
        return self._strategy.derive(budgets)


def _nth(proposal: Proposal, n: int, num: int) -> Proposal:
    return dataclasses.replace(proposal, repeat=num * proposal.repeat + n)


def _origin(proposal: Proposal, num: int) -> tuple[Proposal, int]:
    """The proposal of which this is one of `num` evaluations, and which."""
    repeat, n = divmod(proposal.repeat, num)
    return dataclasses.replace(proposal, repeat=repeat), n


def _mean(outcomes: Sequence[Outcome]) -> Outcome:
    """The mean of everything, of each image's scores too; failed where there are none."""
    if not outcomes:
        return FAILED
    if len({len(outcome.objectives) for outcome in outcomes}) > 1:
        raise StrategyError(
            "Evaluations whose mean is taken must have the same objectives; got "
            f"{' and '.join(str(len(outcome.objectives) or 1) for outcome in outcomes)} of them. A metric told of "
            "failures must have one number for each objective."
        )
    scores = [outcome.scores for outcome in outcomes if outcome.scores is not None]
    return Outcome(
        score=float(np.mean([outcome.score for outcome in outcomes])),
        loss=float(np.mean([outcome.loss for outcome in outcomes])),
        scores=np.mean(scores, axis=0, dtype=np.float32) if len(scores) == len(outcomes) else None,
        objectives=tuple(np.mean([outcome.objectives for outcome in outcomes], axis=0).tolist()),
        violation=float(np.mean([outcome.violation for outcome in outcomes])),
        tie=float(np.mean([outcome.tie for outcome in outcomes])),
    )
