"""What evaluates a trial: an architecture in, metrics out, in whatever process an executor runs it."""

from __future__ import annotations

import contextvars
import dataclasses
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hwnas.arguments import real_number
from hwnas.errors import ConfigError, MetricError
from hwnas.space import Architecture
from hwnas.trial.imported import imported

__all__ = ["Evaluated", "EvaluatorReference", "TrialContext", "TrialEvaluator", "TrialStopped", "refuse_while_made"]


class TrialStopped(BaseException):
    """The trial is to end now, because it is not promising; raised by `TrialContext.report`.

    Not an `Exception`, as `KeyboardInterrupt` is none: an evaluation that goes on after any `Exception` still ends.
    """


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialContext:
    """What an evaluation may use beside its architecture.

    Attributes:
        seed: of all its randomness; the same for the same architecture, repeat and experiment's seed. Below 2**32.
        report: `report(step, value)` hands on an intermediate value of the first metric, as that metric counts (an
            error rate stays one). Raises `TrialStopped` where the trial is to end early, and once it is over. One
            thread reports at a time; in line only the one that evaluates may.
        exclusive: `with context.exclusive("onnxruntime:cpu"):` waits until no other trial of the experiment, and none
            of another one on this machine or this cluster, is in a block of that name; two measurements on one device
            so never disturb each other. Waiting does not count towards a trial's time limit, except in line. Blocks do
            not nest.
        fidelity: how the strategy wants the architecture scored, see `hwnas.strategy.Fidelity`; evaluators that know
            one way only leave it alone.
        batch_index: on which batch, for the fidelity "batch".
    """

    seed: int
    report: Callable[[int, float], None] = lambda step, value: None
    exclusive: Callable[[str], AbstractContextManager[None]] = lambda name: nullcontext()
    fidelity: str = "full"
    batch_index: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Evaluated:
    """What an evaluation came to.

    Attributes:
        metrics: by name; plain floats, whatever kind of number they were made from.
        scores: the score of each image of the search split, (num_images,); None where there are none.

    Raises:
        MetricError: a metric that is not a number, by its name, or scores that are not one number for each image.
    """

    metrics: Mapping[str, float]
    scores: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if not self.metrics:
            raise MetricError("An evaluation must give at least one metric; got an empty mapping.")
        object.__setattr__(self, "metrics", {name: _number(name, value) for name, value in self.metrics.items()})
        if self.scores is not None:
            object.__setattr__(self, "scores", _scores(self.scores))


_MAKING = contextvars.ContextVar("making", default=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluatorReference:
    """How another process makes an evaluator again: nothing but text and JSON crosses.

    Attributes:
        factory: "module:function" or "file.py:function".
        options: its keyword arguments, as JSON.
    """

    factory: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def make(self) -> TrialEvaluator:
        """Import the factory and call it.

        Raises:
            ConfigError: there is no such module, file or function.
            Exception: whatever the factory raises.
        """
        token = _MAKING.set(True)
        try:
            made: TrialEvaluator = imported(self.factory)(**self.options)
        finally:
            _MAKING.reset(token)
        return made

    def options_json(self) -> str:
        """The options as JSON text.

        Raises:
            ConfigError: they hold something else.
        """
        try:
            return json.dumps(dict(self.options))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"The options with which another process makes {self.factory} must be JSON (texts, numbers, lists, "
                f"mappings); {error}. Give paths and names instead of objects, or use the executor 'inline'."
            ) from error


def refuse_while_made() -> None:
    """Called by what starts workers: a worker that imports the program which starts workers must not start its own.

    Raises:
        ConfigError: an evaluator is being made, so this is code of the module that it is in.
    """
    if _MAKING.get():
        raise ConfigError(
            "A worker that imports this program to find its evaluator must not start workers of its own, which would "
            'go on for ever. Put what starts the experiment under `if __name__ == "__main__":`.'
        )


class TrialEvaluator(Protocol):
    """Gives the architectures of an experiment's trials their metrics.

    Guarantees: the metrics depend on the architecture and the context alone, not on what was evaluated before.
    An evaluation may raise whatever it likes: its trial then fails, with that error, and the experiment goes on.
    """

    def evaluate_trial(self, architecture: Architecture, context: TrialContext) -> Evaluated:
        """Evaluate one architecture; called once for each attempt at a trial."""
        ...

    def reference(self) -> EvaluatorReference:
        """How another process makes this evaluator again; asked for by executors with workers, before any trial.

        Raises:
            ConfigError: it can only be used in this process (a lambda, an object); the message names the remedy.
        """
        ...


def _number(name: object, value: object) -> float:
    if not isinstance(name, str) or not name:
        raise MetricError(f"The name of a metric must be a text; got {name!r}.")
    if isinstance(value, bool | np.bool_):
        raise MetricError(f"The metric {name!r} must be a number; got {value!r}, a {type(value).__name__}.")
    number = real_number(value)
    if number is None:
        raise MetricError(f"The metric {name!r} must be a number; got {value!r:.80}, a {type(value).__name__}.")
    return number


def _scores(given: object) -> NDArray[np.float32]:
    try:
        scores = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise MetricError(f"`scores` must be numbers, one for each image; got {given!r:.80}.") from error
    if scores.ndim != 1 or not len(scores):
        raise MetricError(f"`scores` must be one number for each image; got an array of the shape {scores.shape}.")
    return scores
