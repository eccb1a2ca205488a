"""Functions that evaluate trials, good and bad, which every process finds by name: for the executors' contract.

What a function does stands in its architecture: `{"wait": 0.5}` waits half a second, for example.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np

from hwnas.space import Architecture
from hwnas.trial import Evaluated, EvaluatorReference, TrialContext

__all__ = ["ScoringEvaluator", "do", "report", "show"]


def show(architecture: Architecture, context: TrialContext) -> dict[str, float]:
    """What reached the evaluation: `{"a": 2, "b": (3, 4)}` gives score 2 + 3 + 4, and the context's numbers."""
    a, b = architecture["a"], architecture["b"]
    assert isinstance(a, int)
    assert isinstance(b, tuple)  # and not the list that JSON has
    full = {"full": 1.0, "batch": 0.0}[context.fidelity]
    return {"score": a + sum(b), "seed": context.seed, "full": full, "batch_index": context.batch_index}


def report(architecture: Architecture, report: object) -> float:
    """Reports `steps` values, ten times the step, and gives how many it came to."""
    assert callable(report)
    steps = architecture["steps"]
    assert isinstance(steps, int)
    for step in range(steps):
        try:
            report(step, 10.0 * step)
        except Exception:  # as careless functions do; being stopped is no Exception
            continue
    return steps


def do(architecture: Architecture, context: TrialContext) -> object:
    """Whatever `{"do": ...}` says: go wrong in one way or another."""
    what, seconds = architecture["do"], float(architecture.get("seconds", 0.0))  # type: ignore[arg-type]
    if what == "raise":
        raise ValueError("seven is wrong")
    if what == "exit":
        sys.exit("enough")
    if what == "no exception":
        raise GeneratorExit("the loop is closed")
    if what == "memory":
        raise MemoryError("no memory left")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "text":
        return {"score": "high"}
    if what == "nothing":
        return None
    if what == "report nan":
        context.report(0, float("nan"))
    begin = time.time()
    if what == "wait":
        time.sleep(seconds)
    if what == "wait alone":
        with context.exclusive("a device"):
            begin = time.time()
            time.sleep(seconds)
            return {"score": 1.0, "begin": begin, "end": time.time()}
    return {"score": 1.0, "begin": begin, "end": time.time()}


class ScoringEvaluator:
    """Gives scores for every image as well."""

    def evaluate_trial(self, architecture: Architecture, context: TrialContext) -> Evaluated:
        """Four images, one of them wrong."""
        return Evaluated(metrics={"score": 0.75}, scores=np.array([1, 1, 0, 1], dtype=np.float32))

    def reference(self) -> EvaluatorReference:
        """The class."""
        return EvaluatorReference(factory="hwnas.testing.trial_functions:ScoringEvaluator")
