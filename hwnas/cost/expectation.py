"""The expectation of one term under a distribution, and its gradient; exact, conditions included.

Whether a choice is active depends on the choices in its condition, and they on theirs. So a term is
spread over its choices and all those they depend on (its *closure*); of a choice that only decides
what is active, the options that no condition tells apart are one *group*. A cell of the spread term
has the probability

    P(cell) = product over its active choices of p(group | active),

an inactive choice is certain. The expectation is the sum of value * P(cell), linear in every p, and
its derivative with respect to one p the sum of value * the product of the *others* (never P / p).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.errors import BadInputError, SpaceError
from hwnas.space import Choice, Requirement, Space

__all__ = ["Expectation"]

MAX_CELLS = 500_000


class Expectation:
    """A term spread over its closure, compiled once (K choices, C cells that are not zero).

    Args:
        space: the space.
        choices: of the term.
        values: of the term.

    Raises:
        BadInputError: an entry of -inf, or more than 500,000 cells.
    """

    def __init__(self, space: Space, choices: Sequence[str], values: NDArray[np.float64]) -> None:
        if not np.isfinite(values).all():
            raise BadInputError(
                f"A cost with -inf has no expectation; the term over {tuple(choices)!r} has such entries."
            )
        names = _closure(space, choices)
        self._groups = {name: _groups(space, name, names, whole=name in choices) for name in names}  # name: (n,)
        spread = Space([_grouped(space, name, self._groups) for name in names])
        if _size(spread) > MAX_CELLS:
            raise BadInputError(
                f"The expectation of the term over {tuple(choices)!r} needs more than {MAX_CELLS:,} cells, because it "
                f"depends on {names!r}. Use terms over fewer choices, or conditions on fewer."
            )
        codes = spread.enumerate_codes()
        cell_values = values[tuple(codes[:, spread.position(name)] for name in choices)]
        cells = np.flatnonzero(cell_values)
        self._codes_KC = np.ascontiguousarray(codes[cells].T.astype(np.intp))
        self._values_C = cell_values[cells]

    def add_to(
        self, distribution: Mapping[str, NDArray[np.float64]], gradient: Mapping[str, NDArray[np.float64]]
    ) -> float:
        """The expectation; its derivatives are added to the arrays of `gradient`."""
        factors = []  # K arrays (C,)
        for (name, groups), codes_C in zip(self._groups.items(), self._codes_KC, strict=True):
            certain = np.ones(groups.max() + 2)  # the last slot is "inactive"
            certain[:-1] = np.bincount(groups, weights=distribution[name])
            factors.append(certain[codes_C])
        before = [self._values_C]  # value * product of the factors before each choice
        for factor in factors:
            before.append(before[-1] * factor)
        after = np.ones(len(self._values_C))
        for axis, (name, groups) in reversed(list(enumerate(self._groups.items()))):
            # Slot 0 collects the cells in which the choice is inactive.
            slopes = np.bincount(self._codes_KC[axis] + 1, weights=before[axis] * after, minlength=groups.max() + 2)
            gradient[name][...] += slopes[1:][groups]
            after = after * factors[axis]
        return float(before[-1].sum())


def _closure(space: Space, choices: Sequence[str]) -> list[str]:
    """The choices and all that their conditions depend on, in the space's order."""
    found, open_ = set(choices), list(choices)
    while open_:
        needed = {part.choice for conjunction in space.choice(open_.pop()).condition for part in conjunction}
        open_.extend(needed - found)
        found |= needed
    return sorted(found, key=space.position)


def _groups(space: Space, name: str, closure: Sequence[str], *, whole: bool) -> NDArray[np.intp]:
    """The group of every option of a choice; each its own where the term itself is over the choice."""
    choice = space.choice(name)
    if whole:
        return np.arange(choice.num_options)
    requirements = {
        part
        for other in closure
        for conjunction in space.choice(other).condition
        for part in conjunction
        if part.choice == name
    }
    numbers: dict[tuple[bool, ...], int] = {}
    signatures = (tuple(option in part.options for part in requirements) for option in choice.options)
    return np.array([numbers.setdefault(signature, len(numbers)) for signature in signatures])


def _grouped(space: Space, name: str, groups: Mapping[str, NDArray[np.intp]]) -> Choice:
    """The choice with its groups as options, and its condition in terms of the others' groups."""

    def in_groups(part: Requirement) -> Requirement:
        codes = [space.choice(part.choice).index(option) for option in part.options]
        return Requirement(part.choice, tuple(set(groups[part.choice][codes].tolist())))

    condition = [[in_groups(part) for part in conjunction] for conjunction in space.choice(name).condition]
    return Choice(name, range(groups[name].max() + 1), condition=condition)


def _size(space: Space) -> float:
    try:
        return space.size
    except SpaceError:  # too many states to count
        return np.inf
