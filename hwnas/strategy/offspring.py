"""Children of evolutionary searches under hard budgets."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

import numpy as np

from hwnas.cost import Budget
from hwnas.space import Architecture, Space
from hwnas.strategy.feasible import repair

__all__ = ["new_child"]

_NUM_TRIES = 20


def new_child(
    space: Space,
    budgets: Sequence[Budget],
    known: Container[Architecture],
    draw: Callable[[np.random.Generator], Architecture],
    rng: np.random.Generator,
) -> Architecture:
    """A child that keeps every budget and is not among the `known`, drawn anew until it is.

    After some tries the last one is repaired by the exact solver: within the budgets, but perhaps known.

    Args:
        space: of the children.
        budgets: hard limits.
        known: what was proposed before.
        draw: makes a child.
        rng: given to `draw`.

    Raises:
        InfeasibleError: no architecture keeps the budgets.
    """
    for _ in range(_NUM_TRIES):
        child = draw(rng)
        if child not in known and all(budget.holds(child) for budget in budgets):
            return child
    return repair(space, child, budgets)
