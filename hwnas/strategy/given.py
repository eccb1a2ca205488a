"""What every strategy is given first, a space and budgets: refused at once where they are of another kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hwnas.cost import Budget
from hwnas.errors import ConfigError
from hwnas.nn import ModelSpace
from hwnas.space import Space

__all__ = ["given_budgets", "given_model_space", "given_space"]


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
