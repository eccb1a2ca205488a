"""The profilers of a space, of which the latency is measured when it is first asked for; those that a user gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwnas.arguments import real_number
from hwnas.cost import Budget, BudgetRequest, LatencyTable
from hwnas.device import Runtime, measure
from hwnas.errors import ConfigError, MetricError
from hwnas.experiment.budgets import Profilers
from hwnas.experiment.deployment import device_for
from hwnas.nn import ModelSpace
from hwnas.profiler import Profiler
from hwnas.space import Architecture
from hwnas.strategy.given import given_profiler
from hwnas.trial.attempt import described

__all__ = ["check_profilers", "measured_profilers", "profiled"]


def check_profilers(
    given: Mapping[str, Profiler] | None, budgets: Sequence[Budget | BudgetRequest]
) -> dict[str, Profiler]:
    """The profilers whose values are stored with every trial, by name, beside those of budgets.

    Raises:
        ConfigError: no mapping from texts to profilers, or a budget has the name.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"`profilers` must be a mapping from names to profilers, as {{'macs': FlopsProfiler(space)}}; got "
            f"{given!r:.80}."
        )
    for name in given:
        if not isinstance(name, str) or not name:
            raise ConfigError(f"`profilers` must have names, which are texts; got {name!r:.80}.")
        if name in [budget.profiler for budget in budgets]:
            raise ConfigError(
                f"`profilers` has {name!r}, and so is a budget called, whose cost is stored with every trial anyway. "
                "Leave the profiler out, or give it another name."
            )
    return {name: given_profiler(f"`profilers[{name!r}]`", profiler) for name, profiler in given.items()}


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


def profiled(name: str, profiler: Profiler, architecture: Architecture) -> float:
    """What a profiler says.

    Raises:
        MetricError: no finite number, or the profiler raised.
    """
    try:
        value = profiler.profile(architecture)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise MetricError(f"The profiler {name!r} raised {described(error)}") from error
    number = real_number(value)
    if number is None or not math.isfinite(number):
        raise MetricError(f"The profiler {name!r} must give a finite number; it gave {value!r:.80}.")
    return number
