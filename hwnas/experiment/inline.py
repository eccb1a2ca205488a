"""Trials in this process, one after the other."""

from __future__ import annotations

import threading
from collections import deque

from hwnas.errors import ConfigError
from hwnas.experiment.executor import OnReport
from hwnas.trial import Ended, TrialEvaluator, TrialTask
from hwnas.trial.attempt import attempt
from hwnas.trial.time_limit import TimeLimit

__all__ = ["InlineExecutor"]


class InlineExecutor:
    """Runs a trial when it is waited for, on the caller's thread.

    A time limit is an alarm (SIGALRM), which ends Python code and waiting, but not a call into a library that does not
    come back; it needs the main thread. A process of its own can be ended whatever it does: `executor="processes"`.
    """

    num_slots = 1

    def __init__(self, *, raises: tuple[type[BaseException], ...] = (KeyboardInterrupt,)) -> None:
        """See the class.

        Args:
            raises: the errors of an evaluation that `wait` raises; all others fail its trial.
        """
        self._raises = raises
        self._tasks: deque[TrialTask] = deque()
        self._evaluator: TrialEvaluator | None = None
        self._on_report: OnReport | None = None

    def start(self, evaluator: TrialEvaluator, on_report: OnReport) -> None:
        """Remember both; any evaluator will do."""
        self._evaluator, self._on_report = evaluator, on_report

    def submit(self, task: TrialTask) -> None:
        """Put the task into the line.

        Raises:
            ConfigError: a time limit, but this is not the main thread.
        """
        if task.timeout_seconds is not None and threading.current_thread() is not threading.main_thread():
            raise ConfigError(
                "In line a time limit for trials needs the main thread, for it is an alarm. Run the experiment there, "
                'set executor="processes", or leave `timeout_seconds` out.'
            )
        self._tasks.append(task)

    def wait(self, timeout_seconds: float | None = None) -> list[Ended]:
        """Run the next task to its end, however long it takes."""
        if not self._tasks:
            return []
        evaluator, on_report, task = self._evaluator, self._on_report, self._tasks.popleft()
        assert evaluator is not None
        assert on_report is not None  # start comes first
        limit = TimeLimit(task.timeout_seconds)
        thread = threading.current_thread()

        def report(step: int, value: float) -> bool:
            if threading.current_thread() is not thread:
                raise ConfigError(
                    "In line only the thread that evaluates can report. Hand the value over to it, or set "
                    'executor="processes", where every thread can.'
                )
            with limit.held():  # the engine writes it down
                return on_report(task.number, step, value)

        return [attempt(evaluator, task, report, limit=limit, raises=self._raises)]

    def close(self) -> None:
        """Forget what was not begun."""
        self._tasks.clear()
