"""One small table of a cost: a number for every combination of a few choices' options."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hwnas.errors import BadInputError
from hwnas.space import Option, Space

__all__ = ["Sum", "Term"]


@dataclasses.dataclass(frozen=True, eq=False)
class Term:
    """A table over one choice or a few.

    Attributes:
        choices: names, all different; one for each axis.
        values: (n_1 + 1, ..., n_k + 1); the last slot of every axis is "inactive", so that the code
            -1 of an inactive choice indexes it directly. An entry may be -inf (see `MaxTable`).
    """

    choices: tuple[str, ...]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Take a read-only copy.

        Raises:
            BadInputError: a choice twice, another number of axes than choices, NaN or +inf.
        """
        values = np.array(self.values, dtype=np.float64)
        values.flags.writeable = False
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "choices", tuple(self.choices))
        if len(set(self.choices)) != len(self.choices) or len(self.choices) != values.ndim:
            raise BadInputError(
                f"A term must have one axis for each of its choices, and each choice once; got {values.ndim} axes "
                f"for {self.choices!r}."
            )
        if not (values < np.inf).all():
            raise BadInputError(
                f"The values of a term must be numbers or -inf; the term over {self.choices!r} has NaN or inf. "
                "Measure what is missing; forbid options in the space."
            )


class Sum(Protocol):
    """A constant and a sum of terms over one space: what a `CostTable` is to the functions that work on it."""

    @property
    def space(self) -> Space:
        """Whose architectures have the cost."""

    @property
    def constant(self) -> float:
        """What every architecture costs."""

    @property
    def terms(self) -> Sequence[Term]:
        """What is added."""

    @property
    def unit(self) -> str:
        """Of the values."""

    def value(self, architecture: Mapping[str, Option]) -> float:
        """The cost of an architecture."""
