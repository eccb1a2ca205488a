"""Strategies by name, with the options that their constructors take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hwnas.cost import Budget, CostTable
from hwnas.errors import ConfigError
from hwnas.space import Space
from hwnas.strategy import Certified, Random, RegularizedEvolution, Strategy

__all__ = ["STRATEGIES", "StrategyFactory", "make_strategy", "split_options"]

StrategyFactory = Callable[..., Strategy]
"""Makes a strategy: `factory(space, budgets, seed=..., **options)`."""

STRATEGIES: Mapping[str, StrategyFactory] = {
    "certified": Certified,
    "evolution": RegularizedEvolution,
    "random": Random,
}

_GIVEN = ("space", "budgets", "seed", "priors")
_DEFAULT_TRIALS = 200


def split_options(strategy: str | StrategyFactory, options: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """The strategy's own options, and how many trials it has at most ("max_trials").

    Strategies that never finish by themselves (all but "certified") have 200 trials unless told otherwise.

    Raises:
        ConfigError: an unknown strategy or option; the message lists the known ones.
    """
    factory = _factory(strategy)
    known = [name for name in inspect.signature(factory).parameters if name not in _GIVEN]
    unknown = [name for name in options if name not in (*known, "max_trials")]
    if unknown:
        listed = ", ".join(sorted([*known, "max_trials"]))
        raise ConfigError(f"The strategy {strategy!r} has no option {unknown[0]!r}; known are {listed}.")
    own = {name: value for name, value in options.items() if name != "max_trials"}
    max_trials = options.get("max_trials", None if factory is Certified else _DEFAULT_TRIALS)
    if max_trials is not None and (not isinstance(max_trials, int) or max_trials < 1):
        raise ConfigError(f"`max_trials` must be a whole number of at least 1; got {max_trials!r}.")
    return own, max_trials


def make_strategy(
    strategy: str | StrategyFactory,
    space: Space,
    budgets: Sequence[Budget],
    *,
    priors: Mapping[str, CostTable],
    seed: int,
    options: Mapping[str, Any],
) -> Strategy:
    """A new strategy for one set of budgets; `priors` go to those that take them.

    Raises:
        ConfigError: an unknown strategy or option, or an option's value out of range.
    """
    factory = _factory(strategy)
    own, _ = split_options(strategy, options)
    if "priors" in inspect.signature(factory).parameters:
        own["priors"] = priors
    try:
        return factory(space, budgets, seed=seed, **own)
    except TypeError as error:
        raise ConfigError(f"The strategy {strategy!r} cannot be made: {error}.") from error


def _factory(strategy: str | StrategyFactory) -> StrategyFactory:
    if callable(strategy):
        return strategy
    if strategy not in STRATEGIES:
        raise ConfigError(f"Unknown strategy {strategy!r}; known are {', '.join(sorted(STRATEGIES))}.")
    return STRATEGIES[strategy]
