"""What stands in for an outcome that an evaluation did not have, and for an architecture that is not handed on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hwnas.arguments import real_number
from hwnas.cost import Budget, keeps_all
from hwnas.errors import ConfigError, StrategyError
from hwnas.space import Architecture
from hwnas.strategy.protocol import FAILED, Derived, Outcome

__all__ = ["StandIn", "best_evaluated", "check_one_for_each", "check_stand_in", "stand_in"]

StandIn = float | Sequence[float] | None
"""What a strategy is told instead of a score: a number; with several metrics one for each, all larger is better; None:
that the evaluation failed."""


def check_stand_in(name: str, metric: object) -> None:
    """Refuse what is no such thing.

    Args:
        name: of the argument, for the message.
        metric: as it was given.

    Raises:
        ConfigError: neither None nor finite numbers.
    """
    values = metric if isinstance(metric, list | tuple) else () if metric is None else (metric,)
    if metric is not None and not (values and all(map(_is_finite, values))):
        raise ConfigError(
            f"`{name}` must be a finite number, with several metrics one for each, or None to tell of a failure; got "
            f"{metric!r:.80}."
        )


def check_one_for_each(name: str, metric: StandIn, num_objectives: int) -> None:
    """Refuse numbers that cannot stand beside what is measured.

    Raises:
        ConfigError: not as many numbers as there are metrics.
    """
    num = 1 if not isinstance(metric, Sequence) else len(metric)
    if metric is not None and num != num_objectives:
        raise ConfigError(
            f"`{name}` must have one number for each of the {num_objectives} metrics, or be None; got {metric!r:.80}."
        )


def stand_in(metric: StandIn, *, violation: float) -> Outcome:
    """The outcome that a strategy is told.

    Args:
        metric: what there is instead of a score.
        violation: the largest that was told so far: what was measured and breaks a limit is not worse than this.
    """
    if metric is None:
        return FAILED
    values = tuple(map(float, metric)) if isinstance(metric, Sequence) else (float(metric),)
    return Outcome(score=values[0], objectives=values if len(values) > 1 else (), violation=violation)


def best_evaluated(outcomes: Mapping[Architecture, Outcome], budgets: Sequence[Budget], *, why: str) -> Derived:
    """The best architecture that was evaluated and keeps the budgets, where the strategy's own choice is not used.

    Args:
        outcomes: of what was evaluated.
        budgets: hard limits.
        why: the strategy's is not, for the note and the message.

    Raises:
        StrategyError: none of them keeps the budgets.
    """
    kept = [a for a in outcomes if keeps_all(a, budgets)]
    if not kept:
        raise StrategyError(
            f"{why[0].upper()}{why[1:]}, and nothing else that was evaluated keeps the budgets. Evaluate more "
            "architectures, or allow more."
        )
    best = max(kept, key=lambda architecture: outcomes[architecture].rank)
    return Derived(architecture=best, note=f"{why}; this is the best one evaluated")


def _is_finite(value: object) -> bool:
    number = real_number(value)
    return number is not None and math.isfinite(number)
