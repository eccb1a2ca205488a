"""Trials in a pool of processes on this machine."""

from __future__ import annotations

import errno
import multiprocessing.connection
import os
import time
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwnas.arguments import whole_number
from hwnas.errors import ConfigError
from hwnas.experiment.executor import OnReport
from hwnas.experiment.trial_clock import without_result
from hwnas.experiment.worker_process import WorkerProcess
from hwnas.trial import Ended, EvaluatorReference, TrialEvaluator, TrialTask
from hwnas.trial.attempt import past_limit
from hwnas.trial.evaluator import refuse_while_made

__all__ = ["ProcessPool", "visible_gpus", "worker_environments"]

_MAX_STARTS = 3
_LOOK_SECONDS = 1.0  # how often to look after workers whose pipe says nothing


class ProcessPool:
    """Runs trials in processes of their own, each of which makes the evaluator once and then takes one task at a time.

    A worker that dies is replaced, and its trial is lost (the engine tries it again); one whose trial runs past its
    time is killed and replaced. Workers are new interpreters, not forks: nothing crosses but the evaluator's reference
    and tasks, as JSON. (A script that evaluates with a function of its own is imported by them for that function, so
    it keeps what starts the experiment under `if __name__ == "__main__":`.) Workers end with this process, however it
    ends, and what a trial has started ends with them, unless it is in a session of its own.

    Each has a GPU of its own where there are any (CUDA_VISIBLE_DEVICES), or shares one in turn; and, unless
    OMP_NUM_THREADS is set, as many threads as there are cores for each.

    Args:
        num_workers: how many; None: as many as there are GPUs, or else cores.
        log_folder: where each worker's output goes, as `worker-0.log`; None: nowhere. Never to the terminal.

    Raises:
        ConfigError: a number of workers below 1.
    """

    def __init__(self, num_workers: int | None = None, *, log_folder: str | Path | None = None) -> None:
        if num_workers is None:
            num_workers = len(visible_gpus()) or _num_cores()
        self.num_slots = whole_number("num_workers", num_workers, at_least=1)
        self._log_folder = None if log_folder is None else Path(log_folder)
        self._workers: list[WorkerProcess] = []
        self._waiting: deque[TrialTask] = deque()
        self._num_failed_starts = 0  # in a row
        self._reference: EvaluatorReference
        self._environments: Sequence[Mapping[str, str]]
        self._on_report: OnReport

    def start(self, evaluator: TrialEvaluator, on_report: OnReport) -> None:
        """Start the workers, and wait until each has made its evaluator.

        Raises:
            ConfigError: the evaluator cannot cross or cannot be made in a worker, or workers cannot start or die as
                they start.
        """
        refuse_while_made()
        self.close()
        self._reference = reference = evaluator.reference()
        reference.options_json()  # or an error
        self._on_report = on_report
        self._environments = worker_environments(
            self.num_slots, gpus=visible_gpus(), num_cores=_num_cores(), environment=os.environ
        )
        self._num_failed_starts = 0
        for slot in range(self.num_slots):
            self._workers.append(self._new_worker(slot))
        while not all(worker.ready for worker in self._workers):
            self._listen(None)

    def submit(self, task: TrialTask) -> None:
        """Put the task into the line; `wait` hands it to the next free worker, and so does this if there is one."""
        self._waiting.append(task)
        self._hand_out()

    def wait(self, timeout_seconds: float | None = None) -> list[Ended]:
        """Attend to the workers until an attempt has ended.

        Raises:
            ConfigError: new workers in the place of dead ones cannot be started.
        """
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while self._waiting or any(worker.clock is not None for worker in self._workers):
            self._hand_out()
            if ended := self._listen(until):
                return ended
            if until is not None and time.monotonic() >= until:
                break
        return []

    def close(self) -> None:
        """Kill the workers."""
        self._waiting.clear()
        while self._workers:
            self._workers.pop().end()

    def _new_worker(self, slot: int) -> WorkerProcess:
        log = None if self._log_folder is None else self._log_folder / f"worker-{slot}.log"
        try:
            if log is not None:
                log.parent.mkdir(parents=True, exist_ok=True)  # each time: it may have been removed meanwhile
            return WorkerProcess(slot, reference=self._reference, environment=self._environments[slot], log=log)
        except OSError as error:
            remedy = f"Its output goes to {log}: move away what is in the place of that file or its folder."
            if error.filename is None or error.errno in (errno.EMFILE, errno.ENFILE):
                remedy = "Run fewer trials at a time, or allow more open files (ulimit -n) and processes (ulimit -u)."
            raise ConfigError(f"A worker cannot be started: {error}. {remedy}") from error

    def _hand_out(self) -> None:
        for worker in self._workers:
            if self._waiting and worker.ready and worker.clock is None:
                try:
                    worker.give(self._waiting[0])
                except OSError:  # it died with nothing to do; `_listen` replaces it
                    continue
                self._waiting.popleft()

    def _listen(self, until: float | None) -> list[Ended]:
        """Wait for the workers' next words, or the end of some time, and act on them; the attempts that ended."""
        clocks = [worker.clock for worker in self._workers if worker.clock is not None]
        limits = [_LOOK_SECONDS, *(left for clock in clocks if (left := clock.seconds_left) is not None)]
        if until is not None:
            limits.append(until - time.monotonic())
        connections = [worker.connection for worker in self._workers]
        multiprocessing.connection.wait(connections, timeout=max(0.0, min(limits)))
        ended = []
        for worker in list(self._workers):
            try:
                for message in worker.messages():
                    ended += self._hear(worker, message)
            except EOFError:
                ended += self._replace_dead(worker)
                continue
            clock = worker.clock
            left = None if clock is None else clock.seconds_left  # only now: it may have ended in time
            if clock is not None and left is not None and left <= 0:
                ended.append(without_result(clock, "failed", past_limit(clock.task)))
                worker.leaves = True
            if worker.leaves:
                self._replace(worker)
        return ended

    def _hear(self, worker: WorkerProcess, message: Mapping[str, object]) -> list[Ended]:
        kind = message["kind"]
        if kind == "ready":
            worker.ready = True
            self._num_failed_starts = 0
        elif kind == "cannot":
            raise ConfigError(
                f"The evaluator cannot be made in a worker: {message['error']}. What it needs must be importable and "
                "readable in a new process, and a script keeps what starts the experiment under "
                "`if __name__ == \"__main__\":`. Or use the executor 'inline'."
            )
        elif kind == "ended":
            worker.clock, worker.leaves = None, bool(message["leaves"])
            return [Ended.from_json(message["ended"])]  # type: ignore[arg-type]
        elif worker.clock is not None:  # else it is from a thread that a trial has left behind
            if kind == "waits":
                worker.clock.turn(on=not message["waits"])
            else:
                step, value = message["step"], message["value"]
                stop = self._on_report(worker.clock.task.number, step, value)  # type: ignore[arg-type]
                try:
                    worker.send(kind="answer", stop=stop)
                except OSError:
                    raise EOFError from None
        return []

    def _replace_dead(self, worker: WorkerProcess) -> list[Ended]:
        why = self._replace(worker)
        if not worker.ready:
            self._num_failed_starts += 1
            if self._num_failed_starts >= _MAX_STARTS:
                raise ConfigError(
                    f"The workers die before they have made the evaluator, {_MAX_STARTS} of them in a row. {why}. See "
                    f"whether {self._reference.factory} can be called in a new process, with memory for "
                    f"{self.num_slots} of them."
                )
        return [] if worker.clock is None else [without_result(worker.clock, "lost", why)]

    def _replace(self, worker: WorkerProcess) -> str:
        at = self._workers.index(worker)
        why = self._workers.pop(at).end()
        self._workers.insert(at, self._new_worker(worker.slot))
        return why


def worker_environments(
    num_workers: int, *, gpus: Sequence[str], num_cores: int, environment: Mapping[str, str]
) -> list[dict[str, str]]:
    """The environment variables of each worker: this process's, with a GPU each and a share of the cores.

    Args:
        num_workers: how many.
        gpus: as CUDA_VISIBLE_DEVICES names them; empty: none, and nothing is set.
        num_cores: that this process may use.
        environment: of this process; what it says of OMP_NUM_THREADS stays.
    """
    if 0 < len(gpus) < num_workers:
        warnings.warn(
            f"{num_workers} workers share {len(gpus)} GPU{'s' if len(gpus) > 1 else ''}, in turn: each has less memory "
            f"and speed. With {len(gpus)} at a time every trial has a GPU of its own.",
            stacklevel=2,
        )
    shared = {"OMP_NUM_THREADS": str(max(1, num_cores // num_workers)), **environment}
    return [shared | ({"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if gpus else {}) for slot in range(num_workers)]


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; CUDA is not set up by asking."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    import torch  # late: nothing else here needs it

    return [str(number) for number in range(torch.cuda.device_count())]


def _num_cores() -> int:
    return len(os.sched_getaffinity(0))
