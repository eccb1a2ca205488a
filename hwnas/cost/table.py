"""A cost or utility as a constant plus a sum of small tables: exact, vectorised, multilinear."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwnas.cost import extremes, table_json
from hwnas.cost.expectation import Expectation
from hwnas.cost.term import Term
from hwnas.errors import BadInputError
from hwnas.space import INACTIVE, Distribution, Option, Space

if TYPE_CHECKING:
    from hwnas.cost.extremes import Extreme

__all__ = ["CostTable"]

_CHUNK = 16_384


class CostTable:
    """A constant plus a sum of terms; immutable.

    Terms over the same set of choices are merged, with axes in the space's order, and sorted. Whole
    numbers stay exact below 2**53.

    Attributes:
        space: whose architectures have this cost.
        constant: what every architecture costs.
        terms: at most one for each set of choices; none over no choice, none that is zero.
        unit: of the values; empty for a number without one. Tables of different units do not add.
    """

    def __init__(self, space: Space, constant: float = 0.0, terms: Iterable[Term] = (), *, unit: str = "") -> None:
        """See the class.

        Raises:
            BadInputError: a constant that is not finite, a term of the wrong shape.
            SpaceError: a term over a choice that the space does not have.
        """
        self.space = space
        self.unit = unit
        merged: dict[tuple[int, ...], NDArray[np.float64]] = {(): np.array(float(constant))}
        for term in terms:
            positions = [space.position(name) for name in term.choices]
            shape = tuple(space.choices[position].num_options + 1 for position in positions)
            if term.values.shape != shape:
                raise BadInputError(
                    f"The term over {term.choices!r} must have the shape {shape}: one slot for each option and a last "
                    f"one for inactive; got {term.values.shape}."
                )
            axes = sorted(range(len(positions)), key=positions.__getitem__)
            key = tuple(positions[axis] for axis in axes)
            values = term.values.transpose(axes)
            merged[key] = merged[key] + values if key in merged else values
        self.constant = float(merged.pop(()))
        if not math.isfinite(self.constant):
            raise BadInputError(f"The constant of a cost must be finite; got {self.constant}.")
        self.terms: tuple[Term, ...] = tuple(
            Term(tuple(space.names[position] for position in key), merged[key])
            for key in sorted(merged)
            if merged[key].any()
        )

    @classmethod
    def from_options(
        cls,
        space: Space,
        tables: Mapping[str | tuple[str, ...], Mapping[Option | tuple[Option | None, ...], float]],
        *,
        constant: float = 0.0,
        unit: str = "",
    ) -> CostTable:
        """The table with these values by option, 0 where a choice is inactive.

        Args:
            space: whose choices the tables are over.
            tables: by choice, a value for every option; by a tuple of choices, a value for every
                combination of options as a tuple. None in a combination stands for "inactive";
                combinations with None may be left out.
            constant: what every architecture costs.
            unit: of the values.

        Raises:
            BadInputError: an option or a combination without a value: unknown is never zero.
            ArchitectureError: an option that its choice does not have.
        """
        terms = []
        for key, table in tables.items():
            names = (key,) if isinstance(key, str) else key
            choices = [space.choice(name) for name in names]
            values = np.zeros([choice.num_options + 1 for choice in choices])
            missing = set(itertools.product(*(range(choice.num_options) for choice in choices)))
            for given, value in table.items():
                options = given if isinstance(key, tuple) and isinstance(given, tuple) else (given,)
                if len(options) != len(choices):
                    raise BadInputError(f"A combination of {names!r} must have {len(names)} options; got {given!r}.")
                codes = tuple(
                    INACTIVE if option is None else choice.index(option)
                    for choice, option in zip(choices, options, strict=True)
                )
                values[codes] = value
                missing.discard(codes)
            if missing:
                lacking = tuple(choice.options[code] for choice, code in zip(choices, min(missing), strict=True))
                raise BadInputError(
                    f"The table over {names!r} must have a value for every option; {lacking!r} has none "
                    f"(and {len(missing) - 1} more). Write 0 if it costs nothing."
                )
            terms.append(Term(tuple(names), values))
        return cls(space, constant, terms, unit=unit)

    def value(self, architecture: Mapping[str, Option]) -> float:
        """The cost of an architecture; equal to the last bit to what `values` gives for it.

        Raises:
            ArchitectureError: the space does not allow it.
        """
        return self.value_of_codes(self.space.codes(architecture))

    def value_of_codes(self, codes: Sequence[int]) -> float:
        """As `value`, of one row of codes, unchecked: a search that costs one after the other waits for this."""
        total = self.constant
        for columns, flat in self._flat_terms:
            index = 0
            for position, stride in columns:
                index += (codes[position] + 1) * stride
            total += flat.item(index)
        return total

    def values(self, codes: ArrayLike) -> NDArray[np.float64]:
        """The costs (n,) of encoded architectures (n, num_choices).

        Raises:
            ArchitectureError: codes of the wrong shape or out of range.
        """
        array = self.space.check_codes(codes)
        result = np.full(len(array), self.constant)
        for start in range(0, len(array), _CHUNK):
            chunk, total = array[start : start + _CHUNK], result[start : start + _CHUNK]
            for columns, flat in self._flat_terms:
                index = np.full(len(chunk), sum(stride for _, stride in columns))
                for position, stride in columns:
                    index += chunk[:, position] * np.intp(stride)
                total += flat.take(index)
        return result

    @cached_property
    def _flat_terms(self) -> list[tuple[list[tuple[int, int]], NDArray[np.float64]]]:
        """Each term with "inactive" as the first slot, flat: (position and stride of each axis, values).

        The entry of an architecture is at the sum of (code + 1) * stride.
        """
        flat_terms = []
        for term in self.terms:
            rolled = np.ascontiguousarray(np.roll(term.values, 1, axis=tuple(range(term.values.ndim))))
            strides = [stride // rolled.itemsize for stride in rolled.strides]
            columns = [(self.space.position(name), stride) for name, stride in zip(term.choices, strides, strict=True)]
            flat_terms.append((columns, rolled.ravel()))
        return flat_terms

    def expected(self, distribution: Distribution) -> float:
        """The expected cost of an architecture drawn from a distribution; exact.

        Raises:
            BadInputError: a distribution over another space, an entry of -inf, or a term whose
                choices depend on too many others.
        """
        return self.expected_and_gradient(distribution)[0]

    def expected_and_gradient(self, distribution: Distribution) -> tuple[float, dict[str, NDArray[np.float64]]]:
        """The expected cost, and its derivative with respect to every probability.

        The expectation is a polynomial that is linear in each choice's probabilities; the derivative
        is that of the polynomial, without regard to their summing to 1.

        Returns:
            The expectation, and for every choice of the space an array (num_options,).

        Raises:
            BadInputError: as `expected`.
        """
        if distribution.space != self.space:
            raise BadInputError("The distribution must be over the space of the cost; it is over another one.")
        gradient = {choice.name: np.zeros(choice.num_options) for choice in self.space.choices}
        total = self.constant
        for expectation in self._expectations:
            total += expectation.add_to(distribution, gradient)
        return total, gradient

    @cached_property
    def _expectations(self) -> list[Expectation]:
        return [Expectation(self.space, term.choices, term.values) for term in self.terms]

    def minimum(self) -> Extreme:
        """The smallest cost of any architecture, and an architecture that has it; exact."""
        return extremes.minimum(self)

    def maximum(self) -> Extreme:
        """The largest cost of any architecture, and an architecture that has it; exact."""
        return extremes.maximum(self)

    def __add__(self, other: CostTable | float) -> CostTable:
        if not isinstance(other, CostTable):
            return CostTable(self.space, self.constant + other, self.terms, unit=self.unit)
        if other.space != self.space:
            raise BadInputError("Only costs over one space add; these are over two.")
        if other.unit != self.unit:
            raise BadInputError(
                f"Only costs of one unit add; got {self.unit!r} and {other.unit!r}. `with_unit` relabels a number."
            )
        return CostTable(self.space, self.constant + other.constant, (*self.terms, *other.terms), unit=self.unit)

    __radd__ = __add__

    def __mul__(self, factor: float) -> CostTable:
        terms = [Term(term.choices, term.values * factor) for term in self.terms]
        return CostTable(self.space, self.constant * factor, terms, unit=self.unit)

    __rmul__ = __mul__

    def __neg__(self) -> CostTable:
        return self * -1.0

    def __sub__(self, other: CostTable | float) -> CostTable:
        return self + -other

    def __rsub__(self, other: float) -> CostTable:
        return -self + other

    def with_unit(self, unit: str) -> CostTable:
        """The same numbers under another unit: for what is no longer a measured quantity."""
        return CostTable(self.space, self.constant, self.terms, unit=unit)

    def to_json(self) -> dict[str, object]:
        """The table as a JSON object without its space; -inf is null."""
        return table_json.to_json(self)

    @classmethod
    def from_json(cls, space: Space, value: object) -> CostTable:
        """The inverse of `to_json`, over the same space.

        Raises:
            BadInputError: anything that `to_json` does not write for this space.
        """
        constant, terms, unit = table_json.from_json(value)
        return cls(space, constant, terms, unit=unit)
