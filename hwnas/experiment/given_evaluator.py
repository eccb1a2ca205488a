"""The evaluator of an experiment, as it is given: an object, a function, or a function's name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hwnas.errors import ConfigError
from hwnas.trial import FunctionEvaluator, TrialEvaluator

__all__ = ["EvaluatorLike", "evaluator_identity", "made_evaluator"]

EvaluatorLike = TrialEvaluator | Callable[..., Any] | str
"""An evaluator; or a function of the architecture, or its name, which stand for a `FunctionEvaluator` of it."""


def made_evaluator(given: EvaluatorLike) -> TrialEvaluator:
    """The evaluator itself.

    Raises:
        ConfigError: no evaluator, no function, a text that names none, or a function that needs other arguments.
    """
    methods = [name for name in ("evaluate_trial", "reference") if callable(getattr(given, name, None))]
    if len(methods) == 2 and not isinstance(given, type):
        return given  # type: ignore[return-value]  # by what it can do
    if isinstance(given, str) or (callable(given) and not isinstance(given, type)):
        return FunctionEvaluator(given)
    raise ConfigError(
        f"`evaluator` must be an evaluator, a function of the architecture, or its name as 'module:function' or "
        f"'file.py:function'; got {given!r:.80}. Evaluators are FunctionEvaluator, TrainEvaluator, SupernetEvaluator, "
        "TableEvaluator, or have the methods `evaluate_trial` and `reference`."
    )


def evaluator_identity(evaluator: TrialEvaluator) -> dict[str, Any]:
    """What tells evaluators apart: the reference, if there is one, with files by name (folders may be moved)."""
    try:
        options = json.loads(evaluator.reference().options_json())
    except ConfigError:
        return {"kind": type(evaluator).__name__}
    for name, value in options.items():
        if isinstance(value, str) and ".py:" in value:
            options[name] = value.rpartition("/")[2]
    return {"kind": type(evaluator).__name__, **options}
