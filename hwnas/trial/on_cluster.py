"""A trial as a task of a cluster: a function that a node finds by name, and what it says to its program's mailbox."""

from __future__ import annotations

import contextlib
import functools
import json
import platform
from collections.abc import Iterator, Mapping
from typing import Any

from hwnas.trial.attempt import attempt, described
from hwnas.trial.evaluator import EvaluatorReference, TrialEvaluator
from hwnas.trial.exclusive import exclusive_here
from hwnas.trial.task import TrialTask

__all__ = ["evaluate_on_cluster"]


def evaluate_on_cluster(
    factory: str, options: str, content: Mapping[str, Any] | None, experiment: str, mailbox: Any, gate: Any
) -> dict[str, Any]:
    """Evaluate one task, with the evaluator that this process has made for the one before, if it is the same.

    Args:
        factory: of the evaluator.
        options: of the evaluator, as JSON text.
        content: the task, as JSON; None: only make the evaluator.
        experiment: what tells this experiment's trials from others' on the cluster.
        mailbox: a handle of the `Mailbox`: `mailbox.method.remote(...)` gives an object with `future()`.
        gate: a handle of the cluster's `Gate`.

    Returns:
        "cannot": why the evaluator cannot be made, and "node", where; else "ended": what came of the attempt, as JSON.
    """
    task = None if content is None else TrialTask.from_json(content)
    attempted = None if task is None else (task.number, task.attempt)

    def say(kind: str, **more: object) -> dict[str, Any]:
        return {"kind": kind, "attempted": attempted, **more}

    mailbox.tell.remote(say("began"))
    try:
        evaluator = _made(factory, options)
    except BaseException as error:  # whatever it is, the program is told
        return {"cannot": described(error), "node": platform.node()}
    if task is None:
        return {}
    ticket = (experiment, task.number, task.attempt)

    def report(step: int, value: float) -> bool:
        stop: bool = mailbox.ask.remote(attempted, say("report", step=step, value=value)).future().result()
        return stop

    @contextlib.contextmanager
    def exclusive(name: str) -> Iterator[None]:
        """Among all trials of the cluster, and all on this machine."""
        with contextlib.ExitStack() as stack:
            mailbox.tell.remote(say("waits", waits=True))
            try:
                stack.callback(gate.leave.remote, ticket)
                gate.enter.remote(name, ticket, mailbox).future().result()
                stack.enter_context(exclusive_here(name))
            finally:
                mailbox.tell.remote(say("waits", waits=False))
            yield

    mailbox.tell.remote(say("waits", waits=False))
    ended = attempt(evaluator, task, report, exclusive=exclusive, raises=())
    return {"ended": ended.to_json()}


@functools.lru_cache(maxsize=1)
def _made(factory: str, options: str) -> TrialEvaluator:
    return EvaluatorReference(factory=factory, options=json.loads(options)).make()
