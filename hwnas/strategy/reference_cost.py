"""An expected cost beside the one that a loss compares it with, whatever unit a profiler reports in.

Ratios need no unit. Logarithms do: they are always of milliseconds, or of millions of what is counted, so that a
profiler in seconds gives the numbers of one in milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from hwnas.arguments import real_number
from hwnas.cost import STANDARD_UNITS, format_quantity
from hwnas.cost.quantity import parse_quantity
from hwnas.errors import BudgetError, ConfigError
from hwnas.profiler import Profiler
from hwnas.space import Distribution, Space
from hwnas.strategy.given import additive_cost
from hwnas.strategy.penalties import expected_cost, require_profiler_of

__all__ = ["ReferenceCost"]

_ROUNDING = 1e-9
"""How far a reference may be beyond an extreme of the space, relatively: that of a converted unit is rounded."""


class ReferenceCost:
    """The expected cost of a search, and its reference.

    Attributes:
        cost: the profiler's table, in its standard unit ("ms", "macs", "params", "bytes") where it has one.
        reference: in the same unit.
    """

    def __init__(
        self, profiler: Profiler, reference: float | None, *, option: str, space: Space, strategy: str
    ) -> None:
        """See the class.

        Args:
            profiler: of an additive cost: one with a `CostTable`, over 0 for every architecture.
            reference: in the profiler's standard unit; None for the expected cost of uniform probabilities.
            option: what the strategy calls the reference, for messages.
            space: that is searched.
            strategy: its name, for messages.

        Raises:
            ConfigError: a profiler without such a table or of another space; a reference that no architecture of the
                space comes near.
        """
        require_profiler_of(profiler, space, what="profiler", strategy=strategy)
        cost = additive_cost(f"The profiler of {strategy}", profiler, instead="Give a budget on it instead")
        unit, factor = _standard(cost.unit)
        self.cost = cost if factor == 1.0 else (cost * factor).with_unit(unit)
        self._millions = 1.0 if unit == "ms" else 1e-6 if unit in STANDARD_UNITS.values() else None
        least, greatest = self.cost.minimum().value, self.cost.maximum().value
        if least <= 0:
            raise ConfigError(
                f"The profiler of {strategy} must give a cost over 0 for every architecture; the least is "
                f"{self._shown(least)}. Add what all networks have in common."
            )
        if reference is None:
            reference = self.cost.expected(Distribution.uniform(space))
        number = real_number(reference)
        if number is None or not least * (1 - _ROUNDING) <= number <= greatest * (1 + _ROUNDING):
            raise ConfigError(
                f"`{option}` must be a cost that the space can have, in {unit or 'the unit of the profiler'}: from "
                f"{least:.6g} to {greatest:.6g}; got {reference!r}."
            )
        self.reference = number

    def expected(self, probabilities: Mapping[str, Tensor]) -> Tensor:
        """The expected cost in the standard unit, as a scalar with its gradient to the probabilities."""
        return expected_cost(self.cost, probabilities)

    def magnitude(self, cost: Tensor) -> Tensor:
        """A cost in milliseconds, or in millions of what is counted.

        Args:
            cost: in the standard unit.

        Raises:
            ConfigError: the profiler's unit is none that is known.
        """
        if self._millions is None:
            raise ConfigError(
                f"This loss depends on the unit of the cost, and {self.cost.unit!r} is none of time, bytes or counts "
                f"({', '.join(sorted(set(STANDARD_UNITS.values())))}). Use a loss of ratios."
            )
        return cost * self._millions

    def log(self, cost: Tensor, *, what: str, instead: str) -> Tensor:
        """The natural logarithm of a cost in milliseconds or millions, where it is positive.

        Args:
            cost: in the standard unit.
            what: the cost is, for the message.
            instead: how to do without the logarithm, for the message.

        Raises:
            ConfigError: a cost of 1 or less; an unknown unit.
        """
        magnitude = self.magnitude(cost)
        if not magnitude > 1:
            least = format_quantity(1 / (self._millions or 1.0), self.cost.unit)
            raise ConfigError(
                f"{what} must be above {least} for its logarithm to be over 0; it is {self._shown(cost.item())}. "
                f"Use {instead}."
            )
        return magnitude.log()

    def _shown(self, cost: float) -> str:
        return format_quantity(cost, self.cost.unit)


def _standard(unit: str) -> tuple[str, float]:
    """The standard unit of a profiler's, and how many of it that is; itself if there is none."""
    if unit not in STANDARD_UNITS.values():
        for standard in ("ms", "bytes"):
            try:
                factor, _ = parse_quantity(f"1 {unit}", standard)
            except BudgetError:
                continue
            if unit != "%" and math.isfinite(factor):
                return standard, factor
    return unit, 1.0
