"""Mutation and crossover of encoded architectures; the results are always valid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import SpaceError
from hwnas.space.layers import INACTIVE

if TYPE_CHECKING:
    from hwnas.space.space import Space

__all__ = ["crossover", "mutate"]


def mutate(space: Space, codes: Sequence[int], rng: np.random.Generator, probability: float | None) -> list[int]:
    """The codes of a neighbour; see `Space.mutate`."""
    if probability is not None and not 0 <= probability <= 1:
        raise SpaceError(f"`probability` must be between 0 and 1; got {probability}.")
    free = [
        position for position, code in enumerate(codes) if code != INACTIVE and space.choices[position].num_options > 1
    ]
    if not free:
        raise SpaceError("A space with one architecture cannot be mutated; give a choice a second option.")
    drawn = rng.random(len(free)) < (1 / len(free) if probability is None else probability)
    # The first choice to be redrawn stays active, nothing before it changes: so the child differs.
    redrawn = {free[index] for index in np.flatnonzero(drawn)} or {free[rng.integers(len(free))]}
    child: list[int] = []
    for position, code in enumerate(codes):
        num_options = space.choices[position].num_options
        if not space.is_active(position, child):
            child.append(INACTIVE)
        elif code == INACTIVE:
            child.append(int(rng.integers(num_options)))
        elif position in redrawn:
            child.append((code + 1 + int(rng.integers(num_options - 1))) % num_options)
        else:
            child.append(code)
    return child


def crossover(space: Space, first: Sequence[int], second: Sequence[int], rng: np.random.Generator) -> list[int]:
    """The codes of a child; see `Space.crossover`."""
    child: list[int] = []
    for position, parents in enumerate(zip(first, second, strict=True)):
        known = [code for code in parents if code != INACTIVE]
        if not space.is_active(position, child):
            child.append(INACTIVE)
        elif known:
            child.append(known[int(rng.integers(len(known)))])
        else:
            child.append(int(rng.integers(space.choices[position].num_options)))
    return child
