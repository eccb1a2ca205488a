"""Does a whole exported network keep a limit, measured beside the reference model?"""

from __future__ import annotations

import dataclasses
import math
import os
import tempfile
from pathlib import Path

from scipy import stats

from hwnas.device.runtime import Runtime
from hwnas.device.session import Item, ready, visit_item
from hwnas.device.statistics import baseline_ms, summarise
from hwnas.device.timing import Timing
from hwnas.errors import BadInputError, StoreError
from hwnas.export import export_reference, write_whole
from hwnas.measurement import Fingerprint
from hwnas.store import MeasurementStore

__all__ = ["Verification", "verify"]

_TIMING = Timing(slice_ms=10.0, min_samples=11, limit_ms=1000.0)
_CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verification:
    """What was measured of a network, with what it must keep.

    Attributes:
        raw_ms: median of what the clock said.
        corrected_ms: median of raw * baseline / reference beside it.
        lower_ms: lower 95 % bound of the corrected median.
        upper_ms: upper 95 % bound of it.
        limit_ms: what must be kept.
        baseline_ms: the table's, or without a table the reference's median of this session.
        reference_ms: the reference's median of this session; far from the baseline, the machine is not as it was.
        fingerprint: where this was measured.
        rounds: how many there were, a number fixed beforehand.
    """

    raw_ms: float
    corrected_ms: float
    lower_ms: float
    upper_ms: float
    limit_ms: float
    baseline_ms: float
    reference_ms: float
    fingerprint: Fingerprint
    rounds: int

    @property
    def accepted(self) -> bool:
        """Whether the upper bound keeps the limit: what a search asks of a candidate."""
        return self.upper_ms <= self.limit_ms

    @property
    def passed(self) -> bool:
        """Whether the median keeps the limit: what the final verification says.

        A network that was accepted at the very edge passes with probability Phi(1.96 / sqrt 2) = 0.92, the accepting
        and the final median being equally uncertain; a network below the edge by the noise floor practically always.
        """
        return self.corrected_ms <= self.limit_ms


def verify(
    path: str | os.PathLike[str],
    runtime: Runtime,
    limit_ms: float,
    *,
    table: str | os.PathLike[str] | None = None,
    rounds: int = 7,
    timing: Timing = _TIMING,
) -> Verification:
    """Measure any ONNX file between slices of the reference model.

    Both are loaded anew in every round, so that the bounds also hold what their place in memory does.

    Args:
        path: the ONNX file.
        runtime: where to measure.
        limit_ms: what the network must keep.
        table: a SQLite table that `measure` filled: its reference model and its baseline are used.
            Without it: a fixed small network, and its median of this session.
        rounds: how many; fixed beforehand, for measuring until it passes would be optional stopping.
        timing: how long a round takes.

    Raises:
        BadInputError: a limit that is not positive, fewer than 2 rounds, or `path` is no ONNX file.
        FingerprintError: the table was measured elsewhere or otherwise; names the differing field.
        StoreError: the table is damaged, foreign, or was never finished.
        DeviceError: the device failed.
    """
    if not 0 < limit_ms < math.inf:
        raise BadInputError(f"The limit must be a positive number of milliseconds; got {limit_ms}.")
    if rounds < 2:
        raise BadInputError(f"`rounds` must be at least 2, for the bounds come from their differences; got {rounds}.")
    with tempfile.TemporaryDirectory() as folder:
        reference_path = Path(folder) / "reference.onnx"
        if table is None:
            export_reference(reference_path)
            baseline = None
        else:
            baseline = _from_table(table, runtime.fingerprint, reference_path)
        visits = []
        for number in range(rounds):
            reference = ready(reference_path, runtime, f"verify-reference#{number}")
            visits.append(visit_item(_item(Path(path)), number, runtime, reference, timing))
    reference_ms = baseline_ms(visits)
    measured = summarise(visits, reference_ms if baseline is None else baseline)
    quantile = float(stats.t.ppf((1 + _CONFIDENCE) / 2, rounds - 1))
    factor = math.exp(quantile * measured.standard_error_ms / measured.median_ms)
    return Verification(
        raw_ms=measured.raw_median_ms,
        corrected_ms=measured.median_ms,
        lower_ms=measured.median_ms / factor,
        upper_ms=measured.median_ms * factor,
        limit_ms=limit_ms,
        baseline_ms=reference_ms if baseline is None else baseline,
        reference_ms=reference_ms,
        fingerprint=runtime.fingerprint,
        rounds=rounds,
    )


def _item(path: Path) -> Item:
    return Item(key="verify", kind="network", path=path)


def _from_table(table: str | os.PathLike[str], fingerprint: Fingerprint, reference_path: Path) -> float:
    """The table's baseline; its reference model is written to `reference_path`."""
    with MeasurementStore(table, write=False) as store:
        measured_at, onnx, baseline = store.fingerprint, store.model("reference"), store.fact("baseline_ms")
    if measured_at is None or onnx is None or baseline is None:
        raise StoreError(f"The table {os.fspath(table)} is not finished. Give the command that started it again.")
    measured_at.require_same(fingerprint, what=f"The table {os.fspath(table)}")
    write_whole(reference_path, onnx)
    return float(baseline)
