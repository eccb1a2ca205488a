"""Strategies by name, with the options that their constructors take; profilers, penalties and filters by name too."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from hwnas.arguments import LARGEST, whole_number
from hwnas.cost import Budget
from hwnas.errors import ConfigError
from hwnas.experiment.budgets import Profilers
from hwnas.nn import ModelSpace
from hwnas.strategy import (
    DARTS,
    ENAS,
    NSGA2,
    SPOS,
    TPE,
    Certified,
    ExpectationProfilerPenalty,
    FBNet,
    GridSearch,
    HardCoReNAS,
    LocalSearch,
    OneShot,
    OptunaStrategy,
    PolicyBasedRL,
    PredictorGuided,
    ProxylessNAS,
    Random,
    RangeProfilerFilter,
    RegularizedEvolution,
    SampleProfilerPenalty,
    Strategy,
)
from hwnas.strategy.protocol import options_of
from hwnas.strategy.unbound import Unbound
from hwnas.train import Recipe

__all__ = [
    "STRATEGIES",
    "StrategyFactory",
    "is_one_shot",
    "make_strategy",
    "needs_latency",
    "search_recipe",
    "split_options",
]

StrategyFactory = Callable[..., Strategy | OneShot]
"""Makes a strategy: `factory(space, budgets, seed=..., **options)`. A class with a method `step` is one-shot and is
given the `ModelSpace`; anything else the `Space`."""

STRATEGIES: Mapping[str, StrategyFactory] = MappingProxyType(
    {
        "certified": Certified,
        "darts": DARTS,
        "enas": ENAS,
        "evolution": RegularizedEvolution,
        "fbnet": FBNet,
        "grid": GridSearch,
        "hardcorenas": HardCoReNAS,
        "local_search": LocalSearch,
        "nsga2": NSGA2,
        "optuna": OptunaStrategy,
        "policy_rl": PolicyBasedRL,
        "predictor_guided": PredictorGuided,
        "proxylessnas": ProxylessNAS,
        "random": Random,
        "spos": SPOS,
        "tpe": TPE,
    }
)

_DEFAULT_TRIALS = 200
_ENDLESS = (
    LocalSearch,
    NSGA2,
    OptunaStrategy,
    PolicyBasedRL,
    PredictorGuided,
    Random,
    RegularizedEvolution,
    TPE,
)
_PENALTIES = {"expectation": ExpectationProfilerPenalty, "sample": SampleProfilerPenalty}


def is_one_shot(strategy: str | StrategyFactory) -> bool:
    """Whether a strategy takes steps, and does not ask for evaluations.

    Raises:
        ConfigError: an unknown name.
    """
    return hasattr(_class_of(strategy), "step")


def search_recipe(strategy: str | StrategyFactory) -> Recipe | None:
    """How a one-shot strategy's paper trains the weights; None for the others."""
    return getattr(_class_of(strategy), "recipe", None)


def needs_latency(options: Mapping[str, Any]) -> bool:
    """Whether options name the latency profiler, which needs a device."""
    tables = [value for value in options.values() if isinstance(value, Mapping)]
    return options.get("profiler") == "latency" or any(map(needs_latency, tables))


def split_options(strategy: str | StrategyFactory, options: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """The strategy's own options, and how many trials it has at most ("max_trials").

    Strategies that never finish by themselves, or not in a large space (all but "certified", "spos" and "grid"), have
    200 trials unless told otherwise. "grid" visits everything.

    Raises:
        ConfigError: an unknown strategy or option; the message lists the known ones.
    """
    factory = _class_of(strategy)
    known = options_of(factory)
    if not is_one_shot(strategy):
        known.append("max_trials")
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ConfigError(
            f"The strategy {strategy!r} has no option {unknown[0]!r}; known are {', '.join(sorted(known))}."
        )
    own = {name: value for name, value in options.items() if name != "max_trials"}
    endless = factory in _ENDLESS and not (isinstance(strategy, Unbound) and strategy.is_limited)
    max_trials = options.get("max_trials", _DEFAULT_TRIALS if endless else None)
    if max_trials is not None:
        max_trials = whole_number("max_trials", max_trials, at_least=1, at_most=LARGEST)
    return own, max_trials


def make_strategy(
    strategy: str | StrategyFactory,
    space: ModelSpace,
    budgets: Sequence[Budget],
    *,
    profilers: Profilers,
    seed: int,
    options: Mapping[str, Any],
    batches: bool = True,
) -> Strategy | OneShot:
    """A new strategy for one set of budgets.

    MACs and parameters go to those that take `priors`; those that can `explore` on batches do, unless `options` say
    otherwise or there are none (`batches` is false: each evaluation is a trial like the others).
    Options of a TOML file may name a profiler (`profiler = "latency"`), and write a penalty or a filter as a table:
    `penalty = {kind = "expectation", profiler = "macs", baseline = 1e6}`, `filter = {profiler = "macs", max = 2e6}`.

    Raises:
        ConfigError: an unknown strategy or option, or an option's value out of range.
        BudgetError: an unknown profiler.
    """
    factory = _factory(strategy)
    own, _ = split_options(strategy, options)
    parameters = inspect.signature(_class_of(strategy)).parameters
    if batches and "explore" in parameters and not (isinstance(factory, Unbound) and "explore" in factory.options):
        own.setdefault("explore", "batch")
    if "priors" in parameters:
        own["priors"] = {name: profilers.table(name) for name in ("macs", "params")}
    try:
        own |= {name: _made(name, value, profilers) for name, value in own.items()}
        return factory(space if is_one_shot(strategy) else space.space, budgets, seed=seed, **own)
    except TypeError as error:
        raise ConfigError(f"The strategy {strategy!r} cannot be made: {error}.") from error


def _made(name: str, value: Any, profilers: Profilers) -> Any:
    """What an option of a file stands for."""
    if name == "profiler" and isinstance(value, str):
        return profilers[value]
    if name in ("penalty", "filter") and isinstance(value, Mapping):
        table = {key: _made(key, entry, profilers) for key, entry in value.items()}
        if name == "filter":
            return RangeProfilerFilter(**table)
        kind = table.pop("kind", "expectation")
        if kind not in _PENALTIES:
            raise ConfigError(f"`kind` of a penalty must be {' or '.join(_PENALTIES)}; got {kind!r}.")
        return _PENALTIES[kind](**table)
    return value


def _class_of(strategy: str | StrategyFactory) -> StrategyFactory:
    """What says what a strategy can do: of one whose space comes later its class."""
    factory = _factory(strategy)
    return factory.strategy if isinstance(factory, Unbound) else factory


def _factory(strategy: str | StrategyFactory) -> StrategyFactory:
    if callable(strategy):
        return strategy
    if strategy not in STRATEGIES:
        raise ConfigError(f"Unknown strategy {strategy!r}; known are {', '.join(sorted(STRATEGIES))}.")
    return STRATEGIES[strategy]
