"""How long a trial has run, without the time in which it waited for its turn."""

from __future__ import annotations

import time

from hwnas.trial import Ended, EndedStatus, TrialTask

__all__ = ["TrialClock", "without_result"]


class TrialClock:
    """Counts the seconds of one attempt; stands still at first."""

    def __init__(self, task: TrialTask) -> None:
        self.task = task
        self._seconds = 0.0  # up to `_since`
        self._since: float | None = None

    def turn(self, *, on: bool) -> None:
        """Count from now on, or do not."""
        self._seconds = self.seconds
        self._since = time.monotonic() if on else None

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return self._seconds + (0.0 if self._since is None else time.monotonic() - self._since)

    @property
    def seconds_left(self) -> float | None:
        """Until the time limit; None where there is none, or while the clock stands still."""
        if self.task.timeout_seconds is None or self._since is None:
            return None
        return self.task.timeout_seconds - self.seconds


def without_result(clock: TrialClock, status: EndedStatus, error: str) -> Ended:
    """What came of an attempt that could not say so itself."""
    task = clock.task
    return Ended(number=task.number, attempt=task.attempt, status=status, error=error, seconds=clock.seconds)
