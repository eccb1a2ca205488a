"""What runs trials: in this process, in others, or on a cluster, behind one protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hwnas.trial import Ended, TrialEvaluator, TrialTask

__all__ = ["Executor", "OnReport"]

OnReport = Callable[[int, int, float], bool]
"""`on_report(number, step, value)`: an intermediate value of a trial; true: the trial is to stop."""


class Executor(Protocol):
    """Runs trials, `num_slots` at a time.

    The engine calls `start`, then submits while fewer than `num_slots` attempts are under way, and waits; `close` at
    the end, always. A closed executor may be started again.

    Guarantees: every submitted task comes back from `wait` exactly once, as one `Ended`, whatever becomes of its
    worker, unless `close` is called before. Attempts end in any order, and each is handed over as soon as it has
    ended. `on_report` is called within `wait` only, on the caller's thread, in each attempt's own order.

    Attributes:
        num_slots: attempts that can be under way at a time; it does not change after `start`.
    """

    @property
    def num_slots(self) -> int: ...  # noqa: D102 - above

    def start(self, evaluator: TrialEvaluator, on_report: OnReport) -> None:
        """Get ready to evaluate with `evaluator`; those with workers send them `evaluator.reference()`.

        Raises:
            ConfigError: the evaluator cannot be made again in a worker, or the workers cannot be started.
        """
        ...

    def submit(self, task: TrialTask) -> None:
        """Begin an attempt, or put it into the line; returns at once.

        Raises:
            ConfigError: a time limit that this executor cannot keep.
        """
        ...

    def wait(self, timeout_seconds: float | None = None) -> list[Ended]:
        """Wait until at least one attempt has ended; all that have.

        Args:
            timeout_seconds: give up after so long, with an empty list; None waits as long as it takes. In line an
                attempt that has begun is not interrupted.

        Returns:
            Empty where the time is up, or nothing is under way.
        """
        ...

    def close(self) -> None:
        """End all attempts and workers, without waiting for their results; closing twice does nothing."""
        ...
