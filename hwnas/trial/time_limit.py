"""A time limit within this process: an alarm that interrupts Python code and waiting."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

__all__ = ["TimeLimit", "TimeUp"]

_LONGEST_SECONDS = 1e9  # 30 years; Python counts nanoseconds in 64 bits


class TimeUp(BaseException):
    """The time is up; no `Exception`, so that an evaluation does not take it for an error of its own."""


class TimeLimit:
    """A context that raises `TimeUp` once its time is over; in the main thread only, as signals are.

    Args:
        seconds: the time; None: any.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._before: Any = None
        self._is_held = self._is_due = self._is_over = False

    def __enter__(self) -> None:
        if self._seconds is not None:
            self._before = signal.signal(signal.SIGALRM, self._on_alarm)
            signal.setitimer(signal.ITIMER_REAL, min(self._seconds, _LONGEST_SECONDS))

    def __exit__(self, *raised: object) -> None:
        try:
            self._is_over = True  # an alarm that falls due from here on is too late
        finally:
            if self._seconds is not None:
                signal.setitimer(signal.ITIMER_REAL, 0.0)
                signal.signal(signal.SIGALRM, self._before)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """No alarm within the block: one that falls due comes right after it, so that writing is never cut in two.

        A flag, and not the thread's signal mask: the system gives the signal to any thread that does not block it, and
        Python runs the handler in this one all the same.
        """
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._is_due:
            raise TimeUp

    def _on_alarm(self, signal_number: int, frame: FrameType | None) -> None:
        if self._is_held:
            self._is_due = True
        elif not self._is_over:
            raise TimeUp
