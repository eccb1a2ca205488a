"""How far an experiment is, and how long it will take."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from hwnas.experiment.standings import Found, Standings
from hwnas.report.formats import format_seconds

if TYPE_CHECKING:
    from hwnas.experiment.engine import Engine

__all__ = ["Session", "Status", "live_status", "status_of"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status:
    """How far an experiment is; as a text one line, so that `run(progress=print)` tells what goes on.

    Attributes:
        metrics: the names of what is wanted; the first is the score.
        num_complete: trials with metrics.
        num_running: begun and not ended (of a killed process: they are tried again).
        num_failed: trials that raised, ran past their time, gave no usable metrics or died too often.
        num_stopped: trials given up early.
        num_refused: proposals over a hard budget, which were never run.
        max_trials: how many there are to be; None: as many as the strategy wants.
        best: the best so far, within the metrics' limits where there is one.
        hypervolume: of the front, see `TrialFront`.
        has_finished: whether the strategy has finished by itself: it proposes nothing more.
        seconds_elapsed: that processes have worked on it.
        seconds_left: at the present pace, as far as `max_trials` or the time limit tell; None: not known.
    """

    metrics: tuple[str, ...]
    num_complete: int
    num_running: int
    num_failed: int
    num_stopped: int
    num_refused: int
    max_trials: int | None
    best: Found | None
    hypervolume: float | None
    has_finished: bool
    seconds_elapsed: float
    seconds_left: float | None

    @property
    def num_ended(self) -> int:
        """Trials that are over, in whatever way."""
        return self.num_complete + self.num_failed + self.num_stopped + self.num_refused

    @property
    def num_planned(self) -> int | None:
        """How many trials there are to be, those over among them; None: not known."""
        if self.has_finished:
            return self.num_ended
        return None if self.max_trials is None else max(self.max_trials, self.num_ended)

    @property
    def detail(self) -> str:
        """All but how many trials are over, in a few words: "1 running, 2 failed, best score 0.93, 31 s left"."""
        counts = [("running", self.num_running), ("failed", self.num_failed)]
        counts += [("stopped", self.num_stopped), ("refused", self.num_refused)]
        words = [f"{number} {name}" for name, number in counts if number]
        if self.best is not None:
            score = self.metrics[0]
            words.append(f"best {score} {self.best.metrics[score]:.4g}")
        if len(self.metrics) > 1 and self.hypervolume is not None:
            words.append(f"hypervolume {self.hypervolume:.4g}")
        if self.seconds_left:
            words.append(f"{format_seconds(self.seconds_left)} left")
        return ", ".join(words)

    def __str__(self) -> str:
        of = "" if self.num_planned is None else f" of {self.num_planned}"
        finished = "the strategy has finished" if self.has_finished else ""
        return ", ".join(filter(None, [f"{self.num_ended}{of} trials over", finished, self.detail]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session:
    """What the process that works on an experiment was told to do, and has done so far.

    Attributes:
        max_trials, max_duration_seconds, concurrency: as given to `run`.
        num_ended: trials that have ended since it began.
        seconds: since it began.
    """

    max_trials: int | None = None
    max_duration_seconds: float | None = None
    concurrency: int = 1
    num_ended: int = 0
    seconds: float = 0.0


def status_of(
    standings: Standings, session: Session, *, num_running: int, has_finished: bool, seconds_elapsed: float
) -> Status:
    """The status from the trials so far and the present, or last, session."""
    counts = standings.counts
    return Status(
        metrics=tuple(metric.name for metric in standings.metrics),
        num_complete=counts["complete"],
        num_running=num_running,
        num_failed=counts["failed"],
        num_stopped=counts["stopped"],
        num_refused=counts["refused"],
        max_trials=session.max_trials,
        best=standings.best,
        hypervolume=standings.hypervolume,
        has_finished=has_finished,
        seconds_elapsed=seconds_elapsed,
        seconds_left=0.0 if has_finished else _seconds_left(session, num_ended=counts.total()),
    )


def live_status(
    standings: Standings,
    engine: Engine,
    *,
    max_trials: int | None,
    max_duration_seconds: float | None,
    seconds_before: float,
) -> Callable[[], Status]:
    """What says, whenever it is called, how far the session is that begins now.

    Args:
        standings: kept up to date.
        engine: that is going to run.
        max_trials, max_duration_seconds: as given to `run`.
        seconds_before: that earlier sessions have worked.
    """
    before, called = standings.counts.total(), time.monotonic()

    def status() -> Status:
        began = engine.began or time.monotonic()  # until then its workers start, which says nothing of the pace
        session = Session(
            max_trials=max_trials,
            max_duration_seconds=None if max_duration_seconds is None else max_duration_seconds - (began - called),
            num_ended=standings.counts.total() - before,
            seconds=time.monotonic() - began,
        )
        elapsed = seconds_before + session.seconds
        return status_of(
            standings,
            session,
            num_running=engine.num_running,
            has_finished=engine.has_finished,
            seconds_elapsed=elapsed,
        )

    return status


def _seconds_left(session: Session, *, num_ended: int) -> float | None:
    """The lesser of what the remaining trials take at the session's pace, and what the time limit leaves."""
    limits = []
    if session.max_trials is not None and num_ended >= session.max_trials:
        return 0.0
    if session.max_trials is not None and session.num_ended:
        limits.append((session.max_trials - num_ended) * session.seconds / session.num_ended)
    if session.max_duration_seconds is not None:
        limits.append(max(0.0, session.max_duration_seconds - session.seconds))
    return min(limits, default=None)
