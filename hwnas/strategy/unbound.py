"""Strategies whose space comes later: `Random()`, `Chain(Random(), Filter(...))`, `ENAS(filter=...)`.

The names of `hwnas.strategy`, called with their options alone. What they make is a description, of which an experiment
or a search makes the strategy when it has space, budgets and seed; programs written for NNI's strategies run with

    from hwnas.strategy.unbound import Chain, Filter, Random

Middleware, penalties and filters need no space to be made and are the same objects here as there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.cost import Budget
from hwnas.errors import ConfigError
from hwnas.space import Architecture
from hwnas.strategy import (
    certified,
    darts,
    enas,
    evolution,
    fbnet,
    grid_search,
    hardcorenas,
    local_search,
    middleware as _middleware,
    nsga2,
    optuna_strategy,
    policy_rl,
    predictor_guided,
    proxylessnas,
    random_search,
    spos,
)
from hwnas.strategy.deduplication import Deduplication
from hwnas.strategy.early_stopping import MedianStopping, SuccessiveHalving
from hwnas.strategy.filters import RangeProfilerFilter
from hwnas.strategy.known_trials import KnownTrials
from hwnas.strategy.penalties import ExpectationProfilerPenalty, SampleProfilerPenalty
from hwnas.strategy.protocol import options_of
from hwnas.strategy.rank_by_cost import RankByCost
from hwnas.strategy.repeats import FailureHandler, MultipleEvaluation
from hwnas.strategy.sample_filter import Filter, LatencyFilter
from hwnas.strategy.trial_limit import TrialLimit

__all__ = [
    "DARTS",
    "ENAS",
    "NSGA2",
    "SPOS",
    "TPE",
    "Certified",
    "Chain",
    "Deduplication",
    "ExpectationProfilerPenalty",
    "FBNet",
    "FailureHandler",
    "Filter",
    "GridSearch",
    "HardCoReNAS",
    "KnownTrials",
    "LatencyFilter",
    "LocalSearch",
    "MedianStopping",
    "MultipleEvaluation",
    "OptunaStrategy",
    "PolicyBasedRL",
    "PredictorGuided",
    "ProxylessNAS",
    "Random",
    "RangeProfilerFilter",
    "RankByCost",
    "RegularizedEvolution",
    "SampleProfilerPenalty",
    "SuccessiveHalving",
    "TrialLimit",
    "Unbound",
]


@dataclasses.dataclass(frozen=True, repr=False)
class Unbound:
    """A strategy that still lacks its space, budgets and seed.

    Its text is how it is written, the same in every process: it is a part of what a run's folder belongs to.

    Attributes:
        strategy: its class.
        options: of the class, by name.
        middleware: around it, the outermost first.
    """

    strategy: type[Any]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    middleware: tuple[_middleware.Middleware, ...] = ()

    def __call__(self, space: Any, budgets: Sequence[Budget] = (), *, seed: int = 0, **given: Any) -> Any:
        """The strategy: a new one each time.

        Args:
            space: a `Space`, or for strategies that take steps a `ModelSpace`.
            budgets: hard limits.
            seed: of the strategy.
            given: further arguments of the class.

        Raises:
            Exception: whatever the class raises.
        """
        made = self.strategy(space, budgets, seed=seed, **{**self.options, **given})
        return _middleware.Chain(made, *self.middleware) if self.middleware else made

    @property
    def __name__(self) -> str:
        """Its text, where a strategy's class has its name."""
        return repr(self)

    @property
    def is_limited(self) -> bool:
        """Whether it ends by itself because of a `TrialLimit`."""
        return any(isinstance(one, TrialLimit) for one in self.middleware)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={_text(value)}" for name, value in sorted(self.options.items()))
        name = f"{self.strategy.__name__}({options})"
        return f"Chain({', '.join([name, *map(_text, self.middleware)])})" if self.middleware else name


def Chain(strategy: Unbound, *middleware: _middleware.Middleware) -> Unbound:
    """A strategy that still lacks its space, with middleware around it, the outermost first.

    Raises:
        ConfigError: something else than such a strategy first, one that takes steps, or behind it no middleware.
    """
    if not isinstance(strategy, Unbound):
        raise ConfigError(
            f"This Chain begins with a strategy of hwnas.strategy.unbound, without its space; got {strategy!r:.80}."
        )
    if hasattr(strategy.strategy, "step"):
        raise ConfigError(
            f"{strategy.strategy.__name__} takes steps and asks for no evaluations, so that no middleware can stand "
            "around it. Give it a `filter` or a `penalty`."
        )
    _middleware.check_middleware(middleware)
    return dataclasses.replace(strategy, middleware=(*middleware, *strategy.middleware))


def RegularizedEvolution(
    *,
    model_filter: Callable[[Architecture], bool] | _middleware.Middleware | None = None,
    cycles: int | None = None,
    **options: Any,
) -> Unbound:
    """Regularised evolution without its space.

    Args:
        model_filter: a `LatencyFilter` around the strategy, or a function for a `Filter`, as in NNI 2.
        cycles: how many evaluations it asks for altogether, as in NNI 2.
        options: of `hwnas.strategy.RegularizedEvolution`.

    Raises:
        ConfigError: an option that it does not have.
    """
    made = _described(evolution.RegularizedEvolution, options)
    around: list[_middleware.Middleware] = []
    if cycles is not None:
        around.append(TrialLimit(cycles))
    if model_filter is not None:
        around.append(model_filter if hasattr(model_filter, "wrap") else Filter(model_filter))
    return Chain(made, *around) if around else made


def _unbound(strategy: type[Any]) -> Callable[..., Unbound]:
    def describe(**options: Any) -> Unbound:
        return _described(strategy, options)

    describe.__name__ = describe.__qualname__ = strategy.__name__
    describe.__doc__ = f"`hwnas.strategy.{strategy.__name__}` without its space."
    return describe


def _described(strategy: type[Any], options: Mapping[str, Any]) -> Unbound:
    known = options_of(strategy)
    for name in options:
        if name not in known:
            raise ConfigError(
                f"{strategy.__name__} has no option {name!r}; known are {', '.join(sorted(known)) or 'none'}. Space, "
                "budgets and seed come later."
            )
    return Unbound(strategy, dict(options))


def _text(value: object) -> str:
    """A value as it is written, without addresses in memory: a function is what it is called."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value) if field.repr]
        return f"{type(value).__name__}({', '.join(f'{name}={_text(getattr(value, name))}' for name in fields)})"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_text, value))})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_text(key)}: {_text(entry)}' for key, entry in value.items())}}}"
    if name := getattr(value, "__qualname__", None):
        return str(name)
    text = repr(value.item() if isinstance(value, np.generic) else value)  # np.int64(3) is the number 3
    return type(value).__name__ if " at 0x" in text else text


Certified = _unbound(certified.Certified)
DARTS = _unbound(darts.DARTS)
ENAS = _unbound(enas.ENAS)
FBNet = _unbound(fbnet.FBNet)
GridSearch = _unbound(grid_search.GridSearch)
HardCoReNAS = _unbound(hardcorenas.HardCoReNAS)
LocalSearch = _unbound(local_search.LocalSearch)
NSGA2 = _unbound(nsga2.NSGA2)
OptunaStrategy = _unbound(optuna_strategy.OptunaStrategy)
PolicyBasedRL = _unbound(policy_rl.PolicyBasedRL)
PredictorGuided = _unbound(predictor_guided.PredictorGuided)
ProxylessNAS = _unbound(proxylessnas.ProxylessNAS)
Random = _unbound(random_search.Random)
SPOS = _unbound(spos.SPOS)
TPE = _unbound(optuna_strategy.TPE)
