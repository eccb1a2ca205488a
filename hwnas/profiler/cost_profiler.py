"""What a profiler is, and the profilers that are tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hwnas.cost import STANDARD_UNITS, Budget, CostTable, Extreme, MaxTable
from hwnas.errors import BadInputError
from hwnas.nn import Inputs, ModelSpace
from hwnas.space import Distribution, Option, Space

__all__ = ["CostProfiler", "Profiler", "model_space_of"]


@runtime_checkable
class Profiler(Protocol):
    """Anything that says what an architecture costs.

    Strategies that only compare architectures take any profiler. Those that solve or differentiate need a table, the
    `cost` of a `CostProfiler`, and refuse a profiler without one by name.
    """

    def profile(self, architecture: Mapping[str, Option]) -> float:
        """The cost of one architecture, a mapping from choice to option."""


class CostProfiler:
    """A profiler that is a table: exact, and fast for many architectures at once.

    Attributes:
        name: "macs", "params", "memory", "size" or "latency".
        unit: of its numbers.
        space: whose architectures it knows.
        cost: the table.
    """

    def __init__(self, name: str, space: Space, cost: CostTable | MaxTable, *, is_whole: bool) -> None:
        """See the class.

        Args:
            name: a key of `STANDARD_UNITS`.
            space: whose architectures it knows.
            cost: the table.
            is_whole: whether the numbers are counts.
        """
        self.name = name
        self.unit = STANDARD_UNITS[name]
        self.space = space
        self.cost = cost
        self._is_whole = is_whole

    def profile(self, architecture: Mapping[str, Option]) -> float:
        """The cost of one architecture; an integer where it is a count.

        Raises:
            ArchitectureError: the space does not allow it.
        """
        return self._number(self.cost.value(architecture))

    def profile_many(
        self, architectures: NDArray[np.integer[Any]] | Sequence[Mapping[str, Option]]
    ) -> NDArray[np.float64]:
        """The costs (n,) of many architectures.

        Args:
            architectures: encoded, (n, num_choices), as `Space.sample_codes` gives them; or mappings.

        Raises:
            ArchitectureError: the space does not allow one of them.
        """
        if isinstance(architectures, np.ndarray):
            return self.cost.values(architectures)
        return self.cost.values(self.space.encode(architectures))

    def expected(self, distribution: Distribution) -> float:
        """The expected cost of an architecture drawn from a distribution; exact.

        Raises:
            BadInputError: a distribution over another space, or a cost that has no expectation (peak memory).
        """
        return self.cost.expected(distribution)

    def expected_and_gradient(self, distribution: Distribution) -> tuple[float, dict[str, NDArray[np.float64]]]:
        """The expected cost, and its derivative with respect to each probability; see `CostTable`.

        Raises:
            BadInputError: as `expected`.
        """
        if isinstance(self.cost, MaxTable):
            self.cost.expected(distribution)  # says why not
        assert isinstance(self.cost, CostTable)
        return self.cost.expected_and_gradient(distribution)

    def min(self) -> float:
        """The least cost of any architecture; exact."""
        return self._number(self.minimum().value)

    def max(self) -> float:
        """The greatest cost of any architecture; exact."""
        return self._number(self.maximum().value)

    def minimum(self) -> Extreme:
        """The least cost, and an architecture that has it."""
        return self.cost.minimum()

    def maximum(self) -> Extreme:
        """The greatest cost, and an architecture that has it."""
        return self.cost.maximum()

    def at_most(self, value: float) -> Budget:
        """A hard budget: the cost must not exceed `value`, in `unit`.

        Raises:
            BudgetError: a limit that is no finite number.
        """
        return Budget(self.name, value, self.unit, self.cost)

    def _number(self, value: float) -> float:
        return round(value) if self._is_whole else value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name} in {self.unit}, {len(self.space.choices)} choices)"


def model_space_of(space: ModelSpace | nn.Module, example_inputs: Inputs | None) -> ModelSpace:
    """The space that a profiler is asked about, given as such or as a module with example inputs.

    Args:
        space: a space, or a module with choices.
        example_inputs: of a module; with a space, what its costs are counted at instead of its own.

    Raises:
        BadInputError: a module without example inputs.
    """
    if example_inputs is None:
        if isinstance(space, ModelSpace):
            return space
        raise BadInputError(
            f"A profiler needs the example inputs of a {type(space).__name__}, to know its shapes. Give them as the "
            "second argument, or give a ModelSpace."
        )
    if isinstance(space, ModelSpace):
        return ModelSpace(space.module, example_inputs, operators=space.operators)
    return ModelSpace(space, example_inputs)
