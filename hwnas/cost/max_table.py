"""A cost that is the largest of several: peak memory is the maximum over the points of a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwnas.cost import extremes
from hwnas.cost.extremes import Extreme
from hwnas.cost.table import CostTable
from hwnas.errors import BadInputError
from hwnas.space import Distribution, Option, Space

__all__ = ["MaxTable"]


class MaxTable:
    """The maximum over rows; immutable.

    A row may be -inf for architectures that do not come to its point of the program. A budget on
    such a cost is a budget on every row. It is not additive, so it has no expectation.

    Attributes:
        rows: at least one, all over one space and in one unit.
        space: of the rows.
        unit: of the rows.
    """

    def __init__(self, rows: Iterable[CostTable]) -> None:
        """See the class.

        Raises:
            BadInputError: no rows, or rows over several spaces or in several units.
        """
        self.rows: tuple[CostTable, ...] = tuple(rows)
        if not self.rows:
            raise BadInputError("A maximum must have at least one row; got none.")
        self.space: Space = self.rows[0].space
        self.unit: str = self.rows[0].unit
        if any(row.space != self.space or row.unit != self.unit for row in self.rows):
            units = sorted({row.unit for row in self.rows})
            raise BadInputError(
                f"The rows of a maximum must be over one space and in one unit; got the units {units!r}."
            )

    def value(self, architecture: Mapping[str, Option]) -> float:
        """The cost of an architecture.

        Raises:
            ArchitectureError: the space does not allow it.
        """
        codes = self.space.codes(architecture)
        return max(row.value_of_codes(codes) for row in self.rows)

    def values(self, codes: ArrayLike) -> NDArray[np.float64]:
        """The costs (n,) of encoded architectures (n, num_choices).

        Raises:
            ArchitectureError: codes of the wrong shape or out of range.
        """
        result = self.rows[0].values(codes)
        for row in self.rows[1:]:
            np.maximum(result, row.values(codes), out=result)
        return result

    def expected(self, distribution: Distribution) -> NoReturn:
        """A maximum has no expectation in this form.

        Raises:
            BadInputError: always.
        """
        raise BadInputError(
            "A maximum (peak memory) is not additive and has no exact expectation. Use it as a budget, or average "
            "`values` over `distribution.sample_codes`."
        )

    def expected_and_gradient(self, distribution: Distribution) -> NoReturn:
        """As `expected`.

        Raises:
            BadInputError: always.
        """
        self.expected(distribution)

    def minimum(self) -> Extreme:
        """The smallest cost of any architecture, and an architecture that has it; exact."""
        return extremes.minimum_of_rows(self.space, self.rows)

    def maximum(self) -> Extreme:
        """The largest cost of any architecture, and an architecture that has it; exact."""
        return extremes.maximum_of_rows(self.space, self.rows)

    def to_json(self) -> dict[str, object]:
        """The rows as a JSON object without their space."""
        return {"rows": [row.to_json() for row in self.rows]}

    @classmethod
    def from_json(cls, space: Space, value: object) -> MaxTable:
        """The inverse of `to_json`, over the same space.

        Raises:
            BadInputError: anything that `to_json` does not write for this space.
        """
        if not isinstance(value, dict) or value.keys() != {"rows"} or not isinstance(value["rows"], list):
            raise BadInputError(f"A maximum in JSON must be an object with the list rows; got {value!r}.")
        return cls(CostTable.from_json(space, row) for row in value["rows"])
