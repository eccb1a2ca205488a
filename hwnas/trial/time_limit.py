"""A time limit within this process: an alarm that interrupts Python code and waiting."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

__all__ = ["TimeUp", "alarm_held", "time_limit"]


class TimeUp(BaseException):
    """The time is up; no `Exception`, so that an evaluation does not take it for an error of its own."""


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise `TimeUp` in the block once `seconds` are over; None: it may take any time. In the main thread only."""
    if seconds is None:
        yield
        return

    def on_alarm(signal_number: int, frame: FrameType | None) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def alarm_held() -> Iterator[None]:
    """No alarm within the block: one that falls due comes right after it, so that writing is never cut in two."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
