"""Mutation and crossover of encoded architectures; the results are always valid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.errors import SpaceError
from hwnas.space.choices import Choices
from hwnas.space.layers import INACTIVE

__all__ = ["crossover", "mutate"]


def mutate(space: Choices, codes: Sequence[int], rng: np.random.Generator, probability: float | None) -> list[int]:
    """The codes of a neighbour; see `Space.mutate`."""
    if probability is not None and not 0 <= probability <= 1:
        raise SpaceError(f"`probability` must be between 0 and 1; got {probability}.")
    num_options = space.num_options
    free = [position for position, code in enumerate(codes) if code != INACTIVE and num_options[position] > 1]
    if not free:
        raise SpaceError("A space with one architecture cannot be mutated; give a choice a second option.")
    drawn = rng.random(len(free)) < (1 / len(free) if probability is None else probability)
    # The first choice to be redrawn stays active, nothing before it changes: so the child differs.
    redrawn = {free[index] for index in np.flatnonzero(drawn)} or {free[rng.integers(len(free))]}
    child: list[int] = []
    for position, code in enumerate(codes):
        if not space.is_active(position, child):
            child.append(INACTIVE)
        elif code == INACTIVE:
            child.append(int(rng.integers(num_options[position])))
        elif position in redrawn:
            child.append((code + 1 + int(rng.integers(num_options[position] - 1))) % num_options[position])
        else:
            child.append(code)
    return child


def crossover(space: Choices, first: Sequence[int], second: Sequence[int], rng: np.random.Generator) -> list[int]:
    """The codes of a child; see `Space.crossover`."""
    child: list[int] = []
    sides = (rng.random(len(first)) < 0.5).tolist()
    for position, (one, other, is_first) in enumerate(zip(first, second, sides, strict=True)):
        if not space.is_active(position, child):
            child.append(INACTIVE)
        elif one == other == INACTIVE:
            child.append(int(rng.integers(space.num_options[position])))
        elif other == INACTIVE or (is_first and one != INACTIVE):
            child.append(one)
        else:
            child.append(other)
    return child
