"""One attempt at a trial, in whatever process: whatever happens in it becomes an `Ended`."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from hwnas.arguments import integer, real_number
from hwnas.errors import HwnasError, MetricError
from hwnas.space import Architecture
from hwnas.trial.evaluator import Evaluated, TrialContext, TrialEvaluator, TrialStopped
from hwnas.trial.exclusive import Exclusive, exclusive_here, not_nested
from hwnas.trial.task import Ended, EndedStatus, TrialTask
from hwnas.trial.time_limit import TimeUp

__all__ = ["attempt", "described", "past_limit"]

_MAX_ERROR = 2000  # characters: every reader of the run shows it


def attempt(
    evaluator: TrialEvaluator,
    task: TrialTask,
    report: Callable[[int, float], bool],
    *,
    exclusive: Exclusive = exclusive_here,
    limit: AbstractContextManager[None] | None = None,
    raises: tuple[type[BaseException], ...] = (KeyboardInterrupt,),
) -> Ended:
    """Evaluate a task's architecture.

    Args:
        evaluator: it.
        task: what to evaluate.
        report: hands an intermediate value to the engine, and brings back whether to stop.
        exclusive: as of `TrialContext`; by default among the processes of this machine.
        limit: entered around the evaluation; it may raise `TimeUp`. Executors that end workers from outside need none.
        raises: the errors that are raised; all others fail the trial. Ctrl-C ends an experiment, but no worker.

    Returns:
        Complete, stopped or failed.
    """
    start = time.monotonic()
    reporting = threading.RLock()
    is_over = False

    def checked_report(step: int, value: float) -> None:
        with reporting:
            if is_over or report(_step(step), _value(value)):
                raise TrialStopped

    def ended(status: EndedStatus, error: str = "", evaluated: Evaluated | None = None) -> Ended:
        nonlocal is_over
        with reporting:  # a thread that the evaluation left behind must not report for the next one
            is_over = True
        return Ended(
            number=task.number,
            attempt=task.attempt,
            status=status,
            metrics={} if evaluated is None else evaluated.metrics,
            scores=None if evaluated is None else evaluated.scores,
            error=error,
            seconds=time.monotonic() - start,
        )

    context = TrialContext(
        seed=task.seed,
        report=checked_report,
        exclusive=not_nested(exclusive),
        fidelity=task.fidelity,
        batch_index=task.batch_index,
    )
    process = os.getpid()
    try:
        with limit or nullcontext():
            evaluated = _evaluated(evaluator, Architecture.from_json(task.architecture), context, process)
    except TrialStopped:
        return ended("stopped")
    except TimeUp:
        return ended("failed", past_limit(task))
    except raises:
        raise
    except BaseException as error:
        return ended("failed", described(error))
    return ended("complete", evaluated=evaluated)


def _evaluated(evaluator: TrialEvaluator, architecture: Architecture, context: TrialContext, process: int) -> Evaluated:
    try:
        evaluated = evaluator.evaluate_trial(architecture, context)
    finally:
        if os.getpid() != process:  # a fork that came back: it would go on with the engine's work, a second time
            print("A process forked by an evaluation came back from it and was ended.", file=sys.stderr, flush=True)
            os._exit(1)
    if not isinstance(evaluated, Evaluated):
        raise MetricError(
            f"{type(evaluator).__name__}.evaluate_trial must give an Evaluated, with the metrics by name; it gave "
            f"{evaluated!r:.80}."
        )
    return evaluated


def past_limit(task: TrialTask) -> str:
    """What an attempt that took too long has as its error."""
    return f"TimeUp: the trial ran past its limit of {task.timeout_seconds:g} seconds."


def described(error: BaseException) -> str:
    """An error's type and message, of one that is not ours the line it was raised on, and what was noted with it."""
    formatted = traceback.TracebackException(type(error), error, None)
    with_notes = list(formatted.format_exception_only())
    formatted.__notes__ = None
    lines = list(formatted.format_exception_only())
    text = lines[-1].strip()
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, HwnasError):  # its message says what is wrong, and the line would be one of ours
        text = f"{type(error).__name__}: {error}"
    elif frames:
        last = frames[-1]
        text += f" ({last.filename}, line {last.lineno}, in {last.name}" + (f": {last.line})" if last.line else ")")
    text = "".join([f"{text}\n", *with_notes[len(lines) :]]).strip()
    if len(text) > _MAX_ERROR:
        text = f"{text[:_MAX_ERROR]} ... ({len(text)} characters)"
    # A file's name that is not UTF-8 is in messages as lone surrogates, which no file and no database takes.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _step(step: object) -> int:
    number = integer(step)
    if number is None or number < 0:
        raise MetricError(f"report(step, value) needs a whole number of at least 0 as its step; got {step!r:.80}.")
    return number


def _value(value: object) -> float:
    number = real_number(value)
    if number is None or not math.isfinite(number):
        raise MetricError(f"report(step, value) needs a finite number as its value; got {value!r:.80}.")
    return number
