"""The profilers of a space, of which the latency is measured when it is first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwnas.cost import Budget, BudgetRequest, LatencyTable
from hwnas.device import Runtime, measure
from hwnas.experiment.budgets import Profilers
from hwnas.experiment.deployment import device_for
from hwnas.nn import ModelSpace

__all__ = ["measured_profilers"]


def measured_profilers(
    space: ModelSpace,
    requests: Sequence[Budget | BudgetRequest],
    *,
    device: Runtime | str | None,
    table: str | Path | None,
    folder: Path,
) -> Profilers:
    """Profilers by name; asking for "latency" measures every block of the space that the table does not have yet.

    Args:
        space: whose architectures are profiled.
        requests: the budgets, some of which may know their device.
        device: where latencies are measured.
        table: the SQLite table; in `folder` if not given.
        folder: the run's.

    Raises:
        BudgetError: (when the latency is asked for) no device.
        FingerprintError: a budget's table is from another device.
    """

    def latency_table() -> LatencyTable:
        connected = device_for(device, requests, table, folder, always=True)
        assert connected is not None  # always
        return measure(space, connected.runtime, out=connected.table_path)

    return Profilers(space, latency_table)
