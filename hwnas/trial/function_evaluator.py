"""A user's function as an evaluator."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable, Mapping
from typing import Any

from hwnas.errors import ConfigError, MetricError
from hwnas.space import Architecture
from hwnas.trial.evaluator import Evaluated, EvaluatorReference, TrialContext
from hwnas.trial.imported import imported, reference_text, whole_path

__all__ = ["FunctionEvaluator"]

_KNOWN = ("report", "seed", "context")


class FunctionEvaluator:
    """Evaluates with `function(architecture)`.

    The function returns a number, which is the metric "score", or a mapping from names of metrics to numbers. It may
    take, by name, `report` and `seed` (as in `TrialContext`) or the whole `context`.

    Args:
        function: it, or its name, "module:function" or "file.py:function". Other processes import it; a lambda, a
            function within a function or an object with `__call__` runs in line only.

    Raises:
        ConfigError: no such function, or one that needs other arguments.
    """

    def __init__(self, function: Callable[..., Any] | str) -> None:
        self._text = whole_path(function) if isinstance(function, str) else None
        self._function: Callable[..., Any] = imported(function) if isinstance(function, str) else function
        if not callable(self._function):
            raise ConfigError(
                f"FunctionEvaluator needs a function of the architecture, or 'module:function'; got {function!r}."
            )
        self._wanted = _wanted(self._function)

    def evaluate_trial(self, architecture: Architecture, context: TrialContext) -> Evaluated:
        """Call the function.

        Raises:
            MetricError: it returned neither a number nor a mapping of numbers.
            Exception: whatever the function raises.
        """
        given = {"report": context.report, "seed": context.seed, "context": context}
        result = self._function(architecture, **{name: given[name] for name in self._wanted})
        if isinstance(result, Mapping):
            return Evaluated(metrics=result)
        if isinstance(result, numbers.Real) or getattr(result, "ndim", None) == 0:
            return Evaluated(metrics={"score": result})
        raise MetricError(
            "The function must return a number, or a mapping from names of metrics to numbers; it returned "
            f"{result!r:.80}, a {type(result).__name__}."
        )

    def reference(self) -> EvaluatorReference:
        """The function by name.

        Raises:
            ConfigError: see `reference_text`.
        """
        text = self._text or reference_text(self._function)
        return EvaluatorReference(factory="hwnas.trial:FunctionEvaluator", options={"function": text})


def _wanted(function: Callable[..., Any]) -> tuple[str, ...]:
    """Which of the optional arguments a function takes."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some builtins have none
        return ()
    parameters = list(signature.parameters.values())
    wanted = tuple(
        parameter.name
        for parameter in parameters[1:]
        if parameter.name in _KNOWN and parameter.kind is not parameter.VAR_POSITIONAL
    )
    try:
        signature.bind("architecture", **dict.fromkeys(wanted))
    except TypeError as error:
        raise ConfigError(
            f"The function must be callable with the architecture alone, and take {', '.join(_KNOWN)} by name where it "
            f"wants them; {getattr(function, '__qualname__', function)!s}{signature} cannot be: {error}."
        ) from error
    return wanted
