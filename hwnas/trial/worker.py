"""A process that evaluates trials for a pool in another one, over a pipe with JSON.

    pool ──► worker   make {factory, options}, task {...}, answer {stop}
    pool ◄── worker   ready, cannot {error}; report {step, value}, waits {waits}, ended {ended, leaves}

It ends when the pipe does: with the pool, however that died.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from hwnas.trial.attempt import attempt, described
from hwnas.trial.evaluator import EvaluatorReference
from hwnas.trial.exclusive import exclusive_here
from hwnas.trial.task import TrialTask

__all__ = ["evaluate_for_pool"]


def evaluate_for_pool(descriptor: int) -> None:
    """Evaluate what comes over the pipe until it is closed; the leader of its process group.

    Args:
        descriptor: of the pipe, a socket.
    """
    pool = _Pool(Connection(descriptor))
    make = pool.receive()
    try:
        evaluator = EvaluatorReference(factory=make["factory"], options=make["options"]).make()
    except BaseException as error:  # whatever it is, the pool is told
        pool.send("cannot", error=described(error))
        return
    pool.send("ready")
    leaves = False
    while not leaves:
        task = TrialTask.from_json(pool.receive()["task"])
        pool.send("waits", waits=False)  # it has begun
        ended = attempt(evaluator, task, pool.report, exclusive=pool.exclusive, raises=())
        leaves = _device_is_broken()
        pool.send("ended", ended=ended.to_json(), leaves=leaves)


class _Pool:
    """The other end of the pipe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._sending = threading.Lock()  # an evaluation may have several threads
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Also while a trial runs, so that its process is gone as soon as the pool is."""
        while True:
            try:
                content = self._connection.recv_bytes()
            except (EOFError, OSError):
                os.killpg(os.getpgrp(), signal.SIGKILL)  # with the processes that the trial started
                return
            self._inbox.put(json.loads(content))

    def receive(self) -> dict[str, Any]:
        return self._inbox.get()

    def send(self, kind: str, **content: object) -> None:
        with self._sending:
            self._connection.send_bytes(json.dumps({"kind": kind, **content}).encode())

    def report(self, step: int, value: float) -> bool:
        self.send("report", step=step, value=value)
        stop: bool = self.receive()["stop"]
        return stop

    @contextlib.contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            self.send("waits", waits=True)
            try:
                stack.enter_context(exclusive_here(name))
            finally:
                self.send("waits", waits=False)
            yield


def _device_is_broken() -> bool:
    """Whether a trial left CUDA in a state in which every further one would fail (a failed assertion in a kernel)."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False
