"""The strategy of an experiment, as it is given: by name, as an object, or as what makes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hwnas.cost import Budget
from hwnas.errors import ConfigError
from hwnas.experiment.budgets import Profilers
from hwnas.experiment.strategies import STRATEGIES, is_one_shot, make_strategy
from hwnas.nn import ModelSpace
from hwnas.space import Space
from hwnas.strategy import Chain, Strategy
from hwnas.strategy.stand_in import check_one_for_each
from hwnas.strategy.unbound import Unbound

__all__ = ["StrategyLike", "check_strategy", "is_strategy", "made_strategy", "strategy_name"]

StrategyLike = str | Strategy | Callable[..., Strategy]
"""A name of `STRATEGIES`; a strategy that was not asked yet; or `factory(space, budgets, seed=...)`."""


def is_strategy(given: object) -> bool:
    """Whether it is a strategy already, and not a class or another factory."""
    return not isinstance(given, type) and all(callable(getattr(given, name, None)) for name in ("ask", "tell"))


def check_strategy(given: StrategyLike, num_metrics: int) -> None:
    """Refuse what no experiment can be made with.

    Args:
        given: see `StrategyLike`.
        num_metrics: of the experiment.

    Raises:
        ConfigError: an unknown name, a strategy that takes steps, or something else altogether; middleware that tells
            of failures or refusals with another number of metrics.
    """
    if hasattr(given, "step") or (isinstance(given, str | Unbound) and is_one_shot(given)):
        raise ConfigError(
            f"The strategy {strategy_name(given)!r} trains a supernet step by step and asks for no trials: use "
            f"hwnas.search. An experiment takes {', '.join(n for n in sorted(STRATEGIES) if not is_one_shot(n))}."
        )
    if not isinstance(given, str) and not is_strategy(given) and not callable(given):
        raise ConfigError(
            f"`strategy` must be a name, a strategy (with `ask` and `tell`) or what makes one; got {given!r}."
        )
    for one in given.middleware if isinstance(given, Chain | Unbound) else ():
        for name in ("metric", "metric_for_invalid"):
            check_one_for_each(name, getattr(one, name, None), num_metrics)


def strategy_name(given: StrategyLike) -> str:
    """What the strategy is called in an experiment's identity."""
    return given if isinstance(given, str) else getattr(given, "__name__", None) or type(given).__name__


def made_strategy(
    given: StrategyLike,
    space: Space | ModelSpace,
    budgets: Sequence[Budget],
    *,
    profilers: Profilers | None,
    seed: int,
) -> Strategy:
    """The strategy itself, new unless it was given as an object.

    Args:
        given: see `StrategyLike`.
        space: what it searches.
        budgets: hard limits.
        profilers: of a `ModelSpace`; None for a space without a network.
        seed: of the strategy.

    Raises:
        ConfigError: it cannot be made with these arguments, or is none.
    """
    if is_strategy(given):
        return given  # type: ignore[return-value]  # by what it can do
    if isinstance(given, str | Unbound) and isinstance(space, ModelSpace) and profilers is not None:
        made: Any = make_strategy(given, space, budgets, profilers=profilers, seed=seed, options={}, batches=False)
    else:
        factory: Any = STRATEGIES[given] if isinstance(given, str) else given
        architectures = space.space if isinstance(space, ModelSpace) else space
        try:
            made = factory(architectures, budgets, seed=seed)
        except TypeError as error:
            raise ConfigError(
                f"The strategy {strategy_name(given)!r} cannot be made: {error}. It is called with "
                "(space, budgets, seed=seed)."
            ) from error
    if not is_strategy(made):
        raise ConfigError(
            f"The strategy {strategy_name(given)!r} gave a {type(made).__name__}, which is no strategy: it has no "
            "`ask` and `tell`."
        )
    return made  # type: ignore[no-any-return]  # by what it can do
