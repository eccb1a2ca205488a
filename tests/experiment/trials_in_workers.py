"""What the tests let workers do: evaluations and evaluators that go wrong, found by name in other processes.

It imports little, so that workers are there at once.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.trial import Ended, EvaluatorReference, FunctionEvaluator, TrialTask

if TYPE_CHECKING:
    from hwnas.experiment.executor import Executor

HERE = "tests.experiment.trials_in_workers"


def task_of(number: int, timeout_seconds: float | None = None, **architecture: object) -> TrialTask:
    return TrialTask(number=number, attempt=1, architecture=architecture, seed=0, timeout_seconds=timeout_seconds)


def run(executor: Executor, *tasks: TrialTask) -> list[Ended]:
    """What came of tasks, by number."""
    for task in tasks:
        executor.submit(task)
    ended: list[Ended] = []
    while len(ended) < len(tasks):
        ended += executor.wait(60.0)
    return sorted(ended, key=lambda one: one.number)


def environment(architecture) -> dict[str, float]:
    """What the worker was given, and who it is."""
    return {
        "score": 1,
        "pid": os.getpid(),
        "group": os.getpgrp(),
        "threads": int(os.environ["OMP_NUM_THREADS"]),
        "gpu": int(os.environ.get("CUDA_VISIBLE_DEVICES") or -1),
        "stdin": len(sys.stdin.read()),
    }


def misbehave(architecture, context) -> dict[str, float]:
    """What `do` says."""
    what, path = architecture["do"], Path(str(architecture.get("path", "")))
    if what == "print":
        print("printed")
        print("complained", file=sys.stderr)
        os.system("echo by a child")
    elif what == "much memory":
        limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 100 * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        bytearray(2**30)
    elif what == "segfault":
        ctypes.string_at(0)
    elif what == "exit at once":
        os._exit(3)
    elif what == "die with a child":  # which holds the worker's end of the pipe, and would for a minute
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "start a child":
        child = subprocess.Popen(["sleep", "1000"])
        path.write_text(f"{os.getpid()} {child.pid}")
        time.sleep(1000)
    elif what == "nest":
        with context.exclusive("one"), context.exclusive("other"):
            pass
    elif what == "alone":
        with context.exclusive(str(architecture["name"])):
            begin = time.time()
            if "path" in architecture:
                path.touch()
            time.sleep(architecture["seconds"])
            return {"score": 1, "begin": begin, "end": time.time()}
    elif what == "sleep":
        time.sleep(architecture["seconds"])
    elif what == "die alone":
        with context.exclusive(str(architecture["name"])):
            os.kill(os.getpid(), signal.SIGKILL)
    elif what == "hang in C":
        ctypes.PyDLL(None).pause()  # with the interpreter's lock held
    elif what == "threads":
        return _reports_from_threads(context)
    return {"score": 1, "pid": os.getpid()}


def _reports_from_threads(context) -> dict[str, float]:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda step: context.report(step, float(step)), range(200)))
    return {"score": 1}


class Evaluator(FunctionEvaluator):
    """`misbehave`, made by one of the factories below."""

    def __init__(self, factory: str, **options: object) -> None:
        super().__init__(f"{HERE}:misbehave")
        self._reference = EvaluatorReference(factory=factory, options=options)

    def reference(self) -> EvaluatorReference:
        return self._reference


def raise_at_start() -> object:
    raise OSError("the data are not there")


def die_at_start() -> object:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(path: str) -> object:
    """The first to come is made; all others die."""
    try:
        Path(path).touch(exist_ok=False)
    except FileExistsError:
        os._exit(5)
    return FunctionEvaluator(misbehave)


def score(architecture) -> float:
    """That of `many_trials`, which imports more than a worker should."""
    return float(sum((number + 1) * architecture[f"c{number}"] for number in range(6)))


def thread_left_behind(architecture, context) -> float:
    """Leaves a thread that wants to measure alone, after the trial and while another one runs."""

    def go_on() -> None:
        time.sleep(0.2)
        with context.exclusive("left-behind"):
            pass

    if architecture["leaves"]:
        threading.Thread(target=go_on, daemon=True).start()
    else:
        time.sleep(1.0)
    return 1.0
