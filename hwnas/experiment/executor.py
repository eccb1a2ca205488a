"""What runs trials: in this process, in others, or on a cluster, behind one protocol."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hwnas.train import TrialEvaluator

__all__ = ["Ended", "EndedStatus", "Executor", "OnReport", "TrialTask"]

EndedStatus = Literal["complete", "failed", "stopped", "lost"]
"""How an attempt ended: with metrics; with an error of its own (it raised, or ran past its time); because `on_report`
said so; or with the process or node it was on (killed, out of memory, unplugged), which the engine tries again."""

OnReport = Callable[[int, int, float], bool]
"""`on_report(number, step, value)`: an intermediate value of a trial; true: the trial is to stop."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialTask:
    """One attempt at a trial, as it crosses to a worker: plain data.

    Attributes:
        number: of the trial.
        attempt: from 1.
        architecture: as JSON.
        seed: of the evaluation's randomness.
        timeout_seconds: after which the attempt fails; None: it may take any time.
        fidelity, batch_index: as of `TrialContext`.
    """

    number: int
    attempt: int
    architecture: Mapping[str, Any]
    seed: int
    timeout_seconds: float | None = None
    fidelity: str = "full"
    batch_index: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ended:
    """What came of an attempt.

    Attributes:
        number, attempt: of its task.
        status: see `EndedStatus`.
        metrics: by name, where it is complete.
        scores: of each image, (num_images,), where the evaluator gives them.
        error: what went wrong: the error's type, message and last line; empty where nothing did.
        seconds: how long it took, in the worker.
    """

    number: int
    attempt: int
    status: EndedStatus
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    scores: NDArray[np.float32] | None = None
    error: str = ""
    seconds: float = 0.0


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
