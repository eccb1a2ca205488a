"""One worker of a pool, seen from the pool."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hwnas.experiment.trial_clock import TrialClock
from hwnas.trial import EvaluatorReference, TrialTask

__all__ = ["WorkerProcess"]

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from hwnas.trial.worker import evaluate_for_pool; evaluate_for_pool(int(sys.argv[1]))"
)


class WorkerProcess:
    """A new interpreter that makes an evaluator and evaluates with it; `hwnas.trial.worker` is its other side.

    It leads a process group (and session) of its own: Ctrl-C in the terminal goes to the pool alone, and what a trial
    starts is ended with it.

    Args:
        slot: its number in the pool.
        reference: of the evaluator; plain data.
        environment: of the process.
        log: where it writes what the trials print; None: nowhere.

    Attributes:
        connection: the pipe; `messages` reads it.
        ready: whether it has made its evaluator.
        clock: of the task that it is evaluating.
        leaves: whether it ends itself now, for a trial left its device unusable.
    """

    def __init__(
        self, slot: int, *, reference: EvaluatorReference, environment: Mapping[str, str], log: Path | None
    ) -> None:
        self.slot = slot
        self.log = log
        self.ready = False
        self.leaves = False
        self.clock: TrialClock | None = None
        self.connection, theirs = multiprocessing.Pipe()
        with theirs, open(os.devnull if log is None else log, "ab") as output:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-u",
                    "-X",
                    "faulthandler",
                    "-c",
                    _PROGRAM,
                    str(theirs.fileno()),
                    json.dumps(sys.path),
                ],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        with contextlib.suppress(OSError):  # it died at once, which `messages` will say
            self.send(kind="make", factory=reference.factory, options=dict(reference.options))

    def send(self, **content: Any) -> None:
        """Write a message.

        Raises:
            OSError: the worker is gone.
        """
        self.connection.send_bytes(json.dumps(content).encode())

    def messages(self) -> Iterator[dict[str, Any]]:
        """What it has said since the last time, without waiting.

        Raises:
            EOFError: it is gone, and has said nothing more.
        """
        has_died = self._has_died
        while True:
            try:
                if not self.connection.poll():
                    break
                content = self.connection.recv_bytes()
            except OSError:  # reset
                raise EOFError from None
            yield json.loads(content)
        if has_died:  # and a process that it started holds its end of the pipe, or it would have been closed
            raise EOFError

    def give(self, task: TrialTask) -> None:
        """Send it a task.

        Raises:
            OSError: the worker is gone.
        """
        if self._has_died:  # though something that it started may hold its end of the pipe
            raise BrokenPipeError
        self.send(kind="task", task=task.to_json())
        self.clock = TrialClock(task)

    @property
    def _has_died(self) -> bool:
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def end(self) -> str:
        """Kill it and all that it started; of what it died, if it had died already."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
        self._process.wait()
        self.connection.close()
        code = self._process.returncode
        how = f"ended with exit code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
        guess = " (memory may have run out)" if code == -signal.SIGKILL else ""
        return f"The worker {how}{guess}" + ("" if self.log is None else f"; what it wrote is in {self.log}")
