"""The latency of every network, from measured blocks."""

from __future__ import annotations

import dataclasses

from hwnas.cost import Budget, LatencyTable, latency_cost
from hwnas.errors import BadInputError
from hwnas.nn import ModelSpace
from hwnas.profiler.cost_profiler import CostProfiler

__all__ = ["LatencyProfiler"]


class LatencyProfiler(CostProfiler):
    """Milliseconds on the device of a table: the sum over a network's blocks, through the table's calibration.

    Attributes:
        table: what was measured, and where.
    """

    def __init__(self, space: ModelSpace, table: LatencyTable, *, z: float = 0.0) -> None:
        """See the class.

        Args:
            space: the space that the table was measured for.
            table: the latency of its blocks.
            z: how many standard errors to add to every block: 0 for the expected latency, 1.64 for one that a block
                exceeds with 5 %.

        Raises:
            BadInputError: a block of the space is not in the table (unknown is never zero), or `z` is negative.
        """
        if z < 0:
            raise BadInputError(f"`z` must be at least 0 standard errors; got {z}.")
        self.table = table
        blocks = space.trace().blocks
        for block in blocks:
            if block.key not in table.milliseconds:
                raise BadInputError(
                    f"The latency table of {table.fingerprint.device} has no block for {block.module!r} where "
                    f"{block.guard} (key {block.key[:16]}). Measure this space into the table: only what is missing "
                    "is measured."
                )
        if z:
            table = dataclasses.replace(
                table,
                milliseconds={
                    key: value + z * table.standard_errors_ms[key] for key, value in table.milliseconds.items()
                },
            )
        super().__init__("latency", space.space, latency_cost(space.space, blocks, table), is_whole=False)

    def at_most(self, value: float) -> Budget:
        """A hard budget in milliseconds, which knows the table: a search measures where the table was measured."""
        return dataclasses.replace(super().at_most(value), table=self.table)
