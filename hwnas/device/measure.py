"""Filling a latency table: every block of a space, then whole networks to calibrate their sum."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path

from hwnas.cost import LatencyTable
from hwnas.device.filling import Filling, measurements_of
from hwnas.device.runtime import Runtime
from hwnas.device.session import Progress
from hwnas.device.timing import Timing
from hwnas.errors import BadInputError, StoreError
from hwnas.measurement import Measurement
from hwnas.nn import ModelSpace
from hwnas.space import Architecture
from hwnas.store import MeasurementStore

__all__ = ["measure", "read_measurements", "read_networks", "read_table"]


def measure(
    space: ModelSpace,
    runtime: Runtime,
    *,
    out: str | os.PathLike[str] | None = None,
    repeats: int = 3,
    calibrate: int = 12,
    seed: int = 0,
    timing: Timing | None = None,
    progress: Progress | None = None,
) -> LatencyTable:
    """Measure every block of `space`, equal ones once, and calibrate their sum on whole networks.

    The reference model is a network of the space itself, of middle size, so that it slows down as the others do. With
    `out` each finished measurement is on disk at once, and the same call measures only what is missing; exported
    files are kept beside it in the folder `<out>.onnx`.

    Args:
        space: whose blocks; its example inputs give the shapes, the runtime's fingerprint the batch size.
        runtime: where to measure.
        out: the SQLite table; without it nothing is kept but what is returned.
        repeats: rounds, in each of which every item is visited once.
        calibrate: whole networks to fit; 0 leaves the table without a calibration.
        seed: of the order, the reference and the networks.
        timing: how long a visit takes; a part of the measuring protocol.
        progress: told of every step.

    Raises:
        BadInputError: fewer than 1 repeats, or 1 or 2 networks.
        FingerprintError: `out` was measured elsewhere or otherwise.
        StoreError: `out` is damaged, foreign, newer, or in use.
        ExportError: a block or network cannot be exported; names it.
        DeviceError: the device failed.
    """
    if repeats < 1:
        raise BadInputError(f"`repeats` must be at least 1; got {repeats}.")
    if calibrate in (1, 2) or calibrate < 0:
        raise BadInputError(f"`calibrate` must be 0 or at least 3; got {calibrate}.")
    with tempfile.TemporaryDirectory() as folder, MeasurementStore(out or Path(folder) / "table.sqlite") as store:
        store.bind(runtime.fingerprint)
        told = progress or (lambda step: None)
        filling = Filling(space, runtime, store, repeats=repeats, seed=seed, timing=timing, progress=told)
        table = filling.run(num_networks=calibrate)
    return table if out is None else dataclasses.replace(table, path=os.path.abspath(out))


def read_table(path: str | os.PathLike[str]) -> LatencyTable:
    """The finished table in a file that `measure` filled.

    Raises:
        StoreError: the file is no such table, or its measuring was never finished.
    """
    with MeasurementStore(path, write=False) as store:
        table = store.fact("table")
    if table is None:
        raise StoreError(f"The table {os.fspath(path)} is not finished. Give the command that started it again.")
    return dataclasses.replace(LatencyTable.from_json(table), path=os.path.abspath(path))


def read_measurements(path: str | os.PathLike[str]) -> list[Measurement]:
    """Every block and network of a finished table, raw and corrected.

    Raises:
        StoreError: as `read_table` does.
    """
    baseline = read_table(path).baseline_ms
    with MeasurementStore(path, write=False) as store:
        return measurements_of(store.visits(), baseline)


def read_networks(path: str | os.PathLike[str]) -> list[tuple[Architecture, Measurement]]:
    """The whole networks that calibrated a finished table, each with its measurement.

    Raises:
        StoreError: the file is no such table, or its measuring was never finished.
    """
    with MeasurementStore(path, write=False) as store:
        networks = store.fact("networks") or {}
    measured = {measurement.key: measurement for measurement in read_measurements(path)}
    return [(Architecture.from_json(content), measured[key]) for key, content in networks.items() if key in measured]
