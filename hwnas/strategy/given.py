"""What strategies are given, a space, budgets and profilers: refused at once where they are of another kind."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from hwnas.arguments import real_number
from hwnas.cost import Budget, CostTable
from hwnas.errors import ConfigError, StrategyError
from hwnas.nn import ModelSpace
from hwnas.profiler import Profiler
from hwnas.space import Architecture, Space

__all__ = ["additive_cost", "given_budgets", "given_cost", "given_model_space", "given_profiler", "given_space"]


def given_space(space: Space) -> Space:
    """The space of a strategy that asks for evaluations.

    Raises:
        ConfigError: a `ModelSpace`, or something else.
    """
    if isinstance(space, ModelSpace):
        raise ConfigError(
            "`space` must be a Space; got a ModelSpace. Give its `space`; or to an Experiment or a search the "
            "strategy's name, or what hwnas.strategy.unbound has by the same name."
        )
    if not isinstance(space, Space):
        raise ConfigError(f"`space` must be a Space; got a {type(space).__name__}.")
    return space


def given_model_space(space: ModelSpace) -> ModelSpace:
    """The space of a strategy that takes steps with a supernet.

    Raises:
        ConfigError: a plain `Space`, or something else.
    """
    if not isinstance(space, ModelSpace):
        raise ConfigError(
            f"`space` must be a ModelSpace, whose weights the strategy trains; got a {type(space).__name__}."
        )
    return space


def given_budgets(budgets: Sequence[Budget]) -> tuple[Budget, ...]:
    """The hard limits of a strategy.

    Raises:
        ConfigError: not a list of budgets; texts for example.
    """
    listed = tuple(budgets) if isinstance(budgets, Iterable) and not isinstance(budgets, str) else (budgets,)
    if not all(isinstance(budget, Budget) for budget in listed) or isinstance(budgets, Budget):
        raise ConfigError(
            f"`budgets` must be a list of Budget, such as `profiler.at_most(...)`; got {budgets!r:.80}. Texts, as "
            "'macs<=60%', are read by hwnas.Experiment and hwnas.search."
        )
    return listed


def given_profiler(name: str, profiler: Profiler) -> Profiler:
    """A profiler of whatever cost.

    Args:
        name: of the argument, for the message.
        profiler: as it was given.

    Raises:
        ConfigError: something without a method `profile`, or a profiler's class.
    """
    if isinstance(profiler, type) or not isinstance(profiler, Profiler):
        raise ConfigError(f"{name} must be a profiler, with `profile(architecture)`; got {profiler!r:.80}.")
    return profiler


def given_cost(name: str, profiler: Profiler, architecture: Architecture) -> float:
    """What a profiler says of an architecture, perhaps an infinity.

    Args:
        name: of the profiler, for the message.
        profiler: see `given_profiler`.
        architecture: of its space.

    Raises:
        StrategyError: it gives no number.
    """
    cost = profiler.profile(architecture)
    number = real_number(cost)
    if number is None or math.isnan(number):
        raise StrategyError(f"{name} must give a number; it gave {cost!r:.80} for {dict(architecture)!r:.200}.")
    return number


def additive_cost(name: str, profiler: object, *, instead: str) -> CostTable:
    """The table of a profiler whose expectation is wanted.

    Args:
        name: of the profiler, for the message.
        profiler: any.
        instead: what to do without such a profiler, for the message.

    Raises:
        ConfigError: it has no table, or that of a maximum such as peak memory.
    """
    cost = getattr(profiler, "cost", None)
    if not isinstance(cost, CostTable):
        raise ConfigError(
            f"{name} must have a `cost` that is a CostTable, since only a sum of tables has an exact expectation; that "
            f"of {type(profiler).__name__} is {type(cost).__name__}. {instead}."
        )
    return cost
