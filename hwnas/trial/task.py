"""What crosses to whatever evaluates, and what comes back: plain data, as JSON between processes."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ended", "EndedStatus", "TrialTask"]

EndedStatus = Literal["complete", "failed", "stopped", "lost"]
"""How an attempt ended: with metrics; with an error of its own (it raised, or ran past its time); because `on_report`
said so; or with the process or node it was on (killed, out of memory, unplugged), which the engine tries again."""


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

    def to_json(self) -> dict[str, Any]:
        """The fields, as they cross."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**content)


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

    def to_json(self) -> dict[str, Any]:
        """The fields, as they come back; the scores as the base64 of little-endian float32."""
        scores = None if self.scores is None else base64.b64encode(self.scores.astype("<f4").tobytes()).decode()
        return vars(self) | {"scores": scores}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        scores = content["scores"]
        if scores is not None:
            scores = np.frombuffer(base64.b64decode(scores), dtype="<f4").astype(np.float32)
        return cls(**{**content, "scores": scores})
