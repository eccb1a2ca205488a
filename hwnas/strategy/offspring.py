"""New architectures under hard budgets: children of others, and newcomers at random."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Sequence

import numpy as np

from hwnas.cost import Budget, CostTable, Term, keeps_all
from hwnas.errors import InfeasibleError
from hwnas.solve import maximise
from hwnas.space import Architecture, Space
from hwnas.strategy.feasible import repair, sample_feasible

__all__ = ["new_child", "new_random"]

_NUM_TRIES = 20


def new_child(
    space: Space,
    budgets: Sequence[Budget],
    known: Container[Architecture],
    draw: Callable[[np.random.Generator], Architecture] | None,
    rng: np.random.Generator,
) -> Architecture:
    """An architecture that keeps every budget and is not among the `known`, drawn anew until it is.

    After some tries the last one is repaired by the exact solver: within the budgets, but perhaps known. In a space of
    one architecture nothing can be drawn, and it is that one.

    Args:
        space: of the architecture.
        budgets: hard limits.
        known: what was proposed before.
        draw: makes a child; None: it is a newcomer, drawn uniformly.
        rng: given to `draw`.

    Raises:
        InfeasibleError: no architecture keeps the budgets.
    """
    if space.size == 1:
        return sample_feasible(space, budgets, 1, rng)[0]
    for _ in range(_NUM_TRIES):
        child = draw(rng) if draw else sample_feasible(space, budgets, 1, rng)[0]
        if child not in known and keeps_all(child, budgets):
            return child
    return repair(space, child, budgets)


def new_random(
    space: Space,
    budgets: Sequence[Budget],
    known: Collection[Architecture],
    rng: np.random.Generator,
    *,
    accepts: Callable[[Architecture], bool] = lambda architecture: True,
) -> Architecture | None:
    """A random architecture that keeps every budget and is not among the `known`; None where there is no other.

    After some tries it is found by the exact solver, with random preferences.

    Args:
        space: of the architecture.
        budgets: hard limits.
        known: what was proposed before.
        rng: draws it.
        accepts: what else it must keep. Where that refuses what the solver finds too often, None as well.

    Raises:
        InfeasibleError: no architecture keeps the budgets.
    """
    for architecture in sample_feasible(space, budgets, _NUM_TRIES, rng):
        if architecture not in known and accepts(architecture):
            return architecture
    preferences = [Term((choice.name,), np.append(rng.random(choice.num_options), 0.0)) for choice in space.choices]
    utility = CostTable(space, 0.0, preferences)
    refused: list[Architecture] = []
    while len(refused) < _NUM_TRIES:
        try:
            found = maximise(utility, budgets, exclude=[*known, *refused]).architecture
        except InfeasibleError:
            break
        if accepts(found):
            return found
        refused.append(found)
    return None
