"""From an architecture to its file, and what is measured of that file."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from hwnas.cost import Budget, BudgetRequest
from hwnas.device import Runtime, Verification, batched, connect, known_devices, onnx_difference, verify
from hwnas.errors import BudgetError, ConfigError, DeviceError
from hwnas.experiment.settle import Measured
from hwnas.export import export_onnx, file_size_bytes
from hwnas.measurement import Fingerprint
from hwnas.nn import ModelSpace
from hwnas.nn.counting import count
from hwnas.space import Architecture

__all__ = ["MEASURED_ON_FILE", "Deployment", "MeasuredDevice", "device_for", "reconnect"]

VERIFY_ROUNDS = 7
"""Rounds of the final verification, fixed beforehand: measuring until it passes would be optional stopping."""

MEASURED_ON_FILE = frozenset({"latency", "size"})
"""The quantities that are measured of the ONNX file; the others are counted."""

_CANDIDATE_ROUNDS = 7
_UNDECIDED_ROUNDS = 21
"""Of a candidate whose median keeps the limit while its upper bound does not: measured once more, more precisely."""

_COUNTED = {"macs": "macs", "params": "params", "memory": "peak_memory_bytes"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasuredDevice:
    """A device, and the table of a space measured on it (a SQLite file, with the reference model in it)."""

    runtime: Runtime
    table_path: Path


def reconnect(fingerprint: Fingerprint) -> Runtime:
    """The device of a fingerprint, with its settings.

    Raises:
        ConfigError: it cannot be connected by its name.
    """
    name = f"{fingerprint.runtime}:{fingerprint.device}"
    if name not in known_devices():
        raise ConfigError(f"The device {name!r} of the table cannot be connected by its name; give `device`.")
    return connect(name, threads=fingerprint.threads, batch_size=fingerprint.batch_size)


def device_for(
    device: Runtime | str | None,
    requests: Sequence[Budget | BudgetRequest],
    table: str | Path | None,
    folder: Path,
    *,
    always: bool,
) -> MeasuredDevice | None:
    """The device of the budgets on latency, and where its table is; None where nothing is about latency.

    Args:
        device: as the user gave it.
        requests: all budgets; those made from a table know their device.
        table: where the table is; in the run's folder if not given and no budget says.
        folder: the run's.
        always: a device is needed whatever the budgets are.

    Raises:
        BudgetError: no device for a budget on latency, or budgets from several tables.
        FingerprintError: a budget's table is from another device.
    """
    on_latency = [request for request in requests if request.profiler == "latency"]
    if not on_latency and not always:
        return None
    tables = {b.table.path: b.table for b in on_latency if isinstance(b, Budget) and b.table is not None}
    if len(tables) > 1:
        raise BudgetError("Budgets on latency must come from one table; these come from several devices or sessions.")
    measured = next(iter(tables.values()), None)
    runtime = connect(device) if isinstance(device, str) else device
    if runtime is None and measured is not None:
        runtime = reconnect(measured.fingerprint)
    if runtime is None:
        raise BudgetError("A budget on latency needs a device: give `device`, such as 'onnxruntime:cpu'.")
    if measured is not None:
        runtime.fingerprint.require_same(measured.fingerprint, what="The table of a budget on latency")
    path = table or (measured.path if measured is not None else None)
    return MeasuredDevice(runtime=runtime, table_path=folder / "table.sqlite" if path is None else Path(path))


class Deployment:
    """Exports networks of a space and measures them.

    Args:
        space: whose architectures are deployed.
        device: for budgets on latency; None where there are none.
    """

    def __init__(self, space: ModelSpace, device: MeasuredDevice | None) -> None:
        self._space = space
        self._device = device

    def export(self, module: nn.Module, path: Path) -> Path:
        """Write the network as the ONNX file that is measured and shipped; its batch is the device's."""
        return export_onnx(module, self._example_inputs, path)

    def difference(self, module: nn.Module, path: Path) -> float:
        """The largest absolute difference between the outputs of the file and of the module, on random inputs."""
        runtime = connect("onnxruntime:cpu") if self._device is None else self._device.runtime
        generator = torch.Generator().manual_seed(0)

        def random(value: Any) -> Any:
            floating = isinstance(value, Tensor) and value.is_floating_point()
            return torch.randn(value.shape, generator=generator, dtype=value.dtype) if floating else value

        return onnx_difference(path, module, tree_map(random, self._example_inputs), runtime)

    @property
    def _example_inputs(self) -> tuple[Any, ...] | dict[str, Any]:
        inputs = self._space.example_inputs
        return inputs if self._device is None else batched(inputs, self._device.runtime.fingerprint.batch_size)

    def measure(
        self, architecture: Architecture, budgets: Sequence[Budget], path: Path, *, fresh_process: bool = False
    ) -> Mapping[str, Measured]:
        """What the budgets limit, measured of the network in `path`.

        Args:
            architecture: of that network.
            budgets: what to measure: a latency on the device, a size on the file; MACs, parameters and memory are
                counted on the frozen network; any other profiler's prediction is taken at its word.
            path: its ONNX file; need not exist where no budget is on one of `MEASURED_ON_FILE`.
            fresh_process: measure the latency in a new process, as the final verification does.

        Raises:
            DeviceError: the device failed.
        """
        counts = count(self._space.freeze(architecture), self._space.example_inputs)
        measured = {}
        for budget in budgets:
            if budget.profiler == "latency":
                verification = self._verify(path, budget.limit, fresh_process=fresh_process)
                upper = verification.corrected_ms if fresh_process else verification.upper_ms
                measured["latency"] = Measured(value=verification.corrected_ms, upper=upper)
                continue
            if budget.profiler == "size":
                value = float(file_size_bytes(path))
            elif budget.profiler in _COUNTED:
                value = float(getattr(counts, _COUNTED[budget.profiler]))
            else:
                value = budget.cost.value(architecture)
            measured[budget.profiler] = Measured(value=value, upper=value)
        return measured

    def _verify(self, path: Path, limit_ms: float, *, fresh_process: bool) -> Verification:
        assert self._device is not None  # `device_for` has given one for a budget on latency
        runtime, table = self._device.runtime, self._device.table_path
        if not fresh_process:
            first = verify(path, runtime, limit_ms, table=table, rounds=_CANDIDATE_ROUNDS)
            if first.accepted or not first.passed:
                return first
            return verify(path, runtime, limit_ms, table=table, rounds=_UNDECIDED_ROUNDS)
        fingerprint = runtime.fingerprint
        name = f"{fingerprint.runtime}:{fingerprint.device}"
        if name not in known_devices():
            return verify(path, runtime, limit_ms, table=table, rounds=VERIFY_ROUNDS)
        request = {
            "path": str(path),
            "device": name,
            "threads": fingerprint.threads,
            "batch_size": fingerprint.batch_size,
            "limit_ms": limit_ms,
            "table": str(table),
            "rounds": VERIFY_ROUNDS,
        }
        answer = subprocess.run(
            [sys.executable, "-m", "hwnas.device"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            raise DeviceError(f"Verifying {path} in a fresh process failed: {answer.stderr.strip()[-2000:]}")
        fields = json.loads(answer.stdout)
        return Verification(**(fields | {"fingerprint": Fingerprint(**fields["fingerprint"])}))
