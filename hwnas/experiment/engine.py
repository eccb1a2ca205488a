"""The one loop of ask, evaluate, write, tell: for experiments of many trials, and for the main job.

    `catch_up`: ask and tell as the events say
    `run`: try again what was running
       ┌─► while a slot is free: ask ─► write "asked" ─► submit
       └── wait ─► write "ended" ─► tell ◄┘         (streamed: a slot is filled as soon as it is free)

Everything is on disk before it is acted on. A strategy proposes the same for the same history, so a new one that is
asked and told in the order of the events is where the killed one was.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hwnas.cost import Budget
from hwnas.errors import ArchitectureError, MetricError, StoreError, StrategyError
from hwnas.experiment.driven_strategy import DrivenStrategy
from hwnas.experiment.executor import Executor
from hwnas.experiment.image_scores import packed
from hwnas.experiment.measuring import profiled
from hwnas.experiment.metric import SCORE, Metric, outcome_of
from hwnas.profiler import Profiler
from hwnas.space import Space
from hwnas.store import Trial, TrialStore
from hwnas.strategy import Outcome, Proposal, Strategy
from hwnas.strategy.protocol import FAILED
from hwnas.trial import Ended, TrialEvaluator, TrialTask
from hwnas.trial.attempt import described

__all__ = ["LIMITS", "Engine"]

LIMITS = "limits"
"""The facts "limits|study": the limits of its budgets, by profiler."""


class Engine:
    """Drives one strategy through one study of a store.

    Args:
        strategy: a new one; `run` first brings it to where the store's history ends.
        study: the name of this search within the store.
        metrics: what is wanted; the first is the score.
        budgets: hard limits: a proposal that breaks one is written down as refused and never run.
        profilers: whose values are stored with every trial, beside the budgets'; a metric may name one. A trial that
            one of them has no number for has failed and is never run.
        space: of the proposals, which are checked against it; None: they are not.
        seed: from it, the architecture and the repeat comes the seed of every evaluation.
        timeout_seconds: of an attempt.
        max_attempts: after which a trial whose process or worker died every time is failed; None: it is tried on.
        on_tell: called after every outcome told, those of the history included, with the trial as the store has it.

    Attributes:
        began: when the last `run` could begin its first trial, as `time.monotonic` has it; None: it could not so far.
    """

    def __init__(
        self,
        strategy: Strategy,
        *,
        study: str,
        metrics: Sequence[Metric] = SCORE,
        budgets: Sequence[Budget] = (),
        profilers: Mapping[str, Profiler] | None = None,
        space: Space | None = None,
        seed: int = 0,
        timeout_seconds: float | None = None,
        max_attempts: int | None = 3,
        on_tell: Callable[[Trial, Outcome], None] = lambda trial, outcome: None,
    ) -> None:
        self._study = study
        self._metrics = tuple(metrics)
        self._driven = DrivenStrategy(strategy, metrics=self._metrics, study=study, on_tell=on_tell)
        self._budgets = tuple(budgets)
        self._profilers = dict(profilers or {})
        self._space = space
        self._seed = seed
        self._timeout_seconds = timeout_seconds
        self._max_attempts = max_attempts
        self._on_change: Callable[[], None] = lambda: None
        self.began: float | None = None
        self._store: TrialStore
        self._under_way: set[int] = set()

    def catch_up(self, store: TrialStore) -> None:
        """Bring the strategy to where the study is; before `run`, and again before every further `run`.

        Args:
            store: open for writing; `run` writes to it.

        Raises:
            RunDirectoryError: the history is not one that this strategy would have made.
        """
        self._store = store
        self._driven.catch_up(store)

    def run(
        self,
        evaluator: TrialEvaluator,
        executor: Executor,
        *,
        max_trials: int | None = None,
        max_duration_seconds: float | None = None,
        concurrency: int | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Go on with the study until the strategy has finished, or there are enough trials, or the time is up.

        Trials that are under way when the time is up are waited for; an interrupted call (by any exception) leaves
        them running in the store, and the next call tries them again. That may be a call of this engine, as long as
        it `is_settled`.

        Args:
            evaluator: scores architectures.
            executor: runs trials; closed at the end.
            max_trials: how many the study has at most, refused and failed ones included.
            max_duration_seconds: after which no further trial is begun.
            concurrency: trials at a time, at most the executor's slots, as which it counts if None.
            on_change: called after every trial that is begun or ends.

        Raises:
            ConfigError: the executor cannot use the evaluator.
            StoreError: an event could not be written; whatever was written is kept.
            StrategyError: the strategy proposed what the space does not allow.
        """
        until = math.inf if max_duration_seconds is None else time.monotonic() + max_duration_seconds
        num_slots = executor.num_slots if concurrency is None else min(concurrency, executor.num_slots)
        limits = {budget.profiler: budget.limit for budget in self._budgets}
        self._on_change = on_change
        self.began = None
        try:
            executor.start(evaluator, self._on_report)  # first: where it cannot start, the study was not begun
            self._store.set_fact(f"{LIMITS}|{self._study}", limits)
            self.began = time.monotonic()
            left = None if max_duration_seconds is None else max(0.0, until - self.began)
            plan = {
                "max_trials": max_trials,
                "max_duration_seconds": left,
                "concurrency": num_slots,
                "pid": os.getpid(),
            }
            self._driven.sequence = self._store.begin(self._study, plan)
            self._loop(executor, num_slots, math.inf if max_trials is None else max_trials, until)
        except BaseException:
            executor.close()
            with contextlib.suppress(StoreError):  # the disk may be what is full
                for number in sorted(self._under_way):
                    self._driven.sequence = self._store.interrupt(self._study, number)
            self._under_way.clear()
            raise
        executor.close()

    @property
    def is_settled(self) -> bool:
        """False where `run` was interrupted between the strategy and the store: this strategy cannot go on."""
        return self._driven.is_settled

    @property
    def has_finished(self) -> bool:
        """Whether the strategy has nothing more to propose, however many trials there may be."""
        return self._driven.has_finished

    @property
    def num_running(self) -> int:
        """Trials that were asked for and have not ended."""
        return len(self._driven.open)

    def _loop(self, executor: Executor, num_slots: int, max_trials: float, until: float) -> None:
        again = deque(sorted(self._driven.open))  # of a dead process
        while True:
            asked_out = False
            while len(self._under_way) < num_slots and time.monotonic() < until:
                if again:
                    self._try_again(executor, again.popleft(), "The process died")
                elif asked_out or self._driven.num_asked >= max_trials:
                    break
                else:
                    asked_out = not self._ask_and_submit(executor)
            if not self._under_way:
                return
            for ended in executor.wait(None):
                self._under_way.remove(ended.number)
                if ended.status == "lost":
                    self._try_again(executor, ended.number, ended.error or "The worker died")
                else:
                    self._end(ended)

    def _ask_and_submit(self, executor: Executor) -> bool:
        """Ask once; false where the strategy proposes nothing (for now)."""
        driven = self._driven
        with driven.at_work():
            proposal = driven.ask()
            if proposal is None:  # written down as the last event too, where it says that the strategy has finished
                driven.sequence = self._store.none(self._study)
                return False
            trial = self._new_trial(proposal)
            driven.sequence = self._store.ask(trial)
            driven.add(proposal, trial)
            if trial.status != "running":
                driven.tell(trial, FAILED)
        if trial.status == "running":
            self._submit(executor, trial.number)
        self._on_change()
        return True

    def _new_trial(self, proposal: Proposal) -> Trial:
        architecture = proposal.architecture
        if self._space is not None:
            try:
                self._space.codes(architecture)
            except ArchitectureError as error:
                raise StrategyError(
                    f"The strategy proposed what the space does not allow: {error} Make it with the experiment's space."
                ) from error
        costs, broken = {}, []
        for budget in self._budgets:
            costs[budget.profiler] = value = float(budget.cost.value(architecture))
            if not value <= budget.limit:
                broken.append(str(budget))
        wrong = ""
        for name, profiler in self._profilers.items():
            try:
                costs[name] = profiled(name, profiler, architecture)
            except MetricError as error:
                wrong = described(error)
        return Trial(
            study=self._study,
            number=self._driven.num_asked,
            architecture=architecture.to_json(),
            fidelity=proposal.fidelity,
            batch_index=proposal.batch_index,
            repeat=proposal.repeat,
            status="refused" if broken else "failed" if wrong else "running",
            attempts=0 if broken or wrong else 1,
            costs=costs,
            error=f"Over budget: {', '.join(broken)}." if broken else wrong,
        )

    def _try_again(self, executor: Executor, number: int, why: str) -> None:
        opened = self._driven.open[number]
        trial = opened.trial
        if self._max_attempts is not None and trial.attempts >= self._max_attempts:
            error = f"{why} in each of {trial.attempts} attempts at this trial."
            self._end(Ended(number=number, attempt=trial.attempts, status="failed", error=error))
            return
        opened.trial = dataclasses.replace(trial, attempts=trial.attempts + 1)
        self._driven.sequence = self._store.start(self._study, number, opened.trial.attempts)
        self._submit(executor, number)

    def _submit(self, executor: Executor, number: int) -> None:
        opened = self._driven.open[number]
        proposal = opened.proposal
        words = [self._seed, int(proposal.architecture.uid[:16], 16), proposal.repeat]
        task = TrialTask(
            number=number,
            attempt=opened.trial.attempts,
            architecture=opened.trial.architecture,
            seed=int(np.random.SeedSequence(words).generate_state(1)[0]),
            timeout_seconds=self._timeout_seconds,
            fidelity=proposal.fidelity,
            batch_index=proposal.batch_index,
        )
        self._under_way.add(number)
        executor.submit(task)

    def _on_report(self, number: int, step: int, value: float) -> bool:
        stops = self._driven.open[number].stops
        if step not in stops:
            with self._driven.at_work():
                stop = self._driven.should_stop(number, step, value)
                sequence = self._store.report(self._study, number, step=step, value=value, stop=stop)
                self._driven.sequence = sequence
        return stops[step]

    def _end(self, ended: Ended) -> None:
        opened = self._driven.open[ended.number]
        status, error, outcome = ended.status, ended.error, FAILED
        if status == "complete":
            try:
                outcome = outcome_of(self._metrics, {**opened.trial.costs, **ended.metrics}, ended.scores)
            except MetricError as wrong:
                status, error = "failed", f"MetricError: {wrong}"
        assert status != "lost"  # tried again
        complete = status == "complete"
        trial = dataclasses.replace(
            opened.trial,
            status=status,
            metrics=dict(ended.metrics) if complete else {},
            score=outcome.score if complete else math.nan,
            loss=outcome.loss,
            scores=packed(outcome.scores),
            num_images=0 if outcome.scores is None else len(outcome.scores),
            error=error,
            seconds=ended.seconds,
        )
        with self._driven.at_work():
            self._driven.sequence = self._store.end(trial)
            self._driven.tell(trial, outcome)
        self._on_change()
