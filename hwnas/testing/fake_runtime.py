"""A runtime whose latencies are known, with the noise and the drift of a real one, on a clock of its own."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx.reference import ReferenceEvaluator

from hwnas.errors import BadInputError, DeviceError
from hwnas.measurement import Fingerprint

__all__ = ["FakePrepared", "FakeRuntime", "latency_by_size"]

Latencies = Mapping[str, float] | Callable[[Path], float]
_NS = 1e6  # a millisecond


def latency_by_size(path: Path) -> float:
    """10 microseconds and one more for every KiB: adds up over blocks, up to a line, as real latencies do."""
    return 0.01 + path.stat().st_size / 2**10 * 1e-3


class FakeRuntime:
    """Runs nothing, sleeps never: a run moves the clock by latency * drift * noise.

    Drift is common to all models and slow; a second one may slow down the memory-bound models only. Outputs, which
    are not timed, are computed by onnx's reference implementation.

    Args:
        latencies_ms: of every model, by the stem of its file's name, or a function of the path.
        noise: standard deviation of the logarithm of a run's time.
        drift: by how much the machine is slower at the worst moment than at the best (0.3 is 30 %).
        drift_apart: the same, for memory-bound models only, at another pace.
        period_ms: of the drift; the other is 1.7 times as long.
        memory_bound: stems of the memory-bound models.
        failing: stems of the models that the device refuses.
        fail_after_runs: the device fails after so many runs.
        replay: `begin` sets the clock of the drift by the visit's name, so that a resumed session sees just what the
            uninterrupted one saw. Otherwise the drift goes on from visit to visit.
        seed: of noise and drift.
        batch_size: of the fingerprint.
    """

    def __init__(
        self,
        latencies_ms: Latencies = latency_by_size,
        *,
        noise: float = 0.03,
        drift: float = 0.0,
        drift_apart: float = 0.0,
        period_ms: float = 60_000.0,
        memory_bound: Collection[str] = (),
        failing: Collection[str] = (),
        fail_after_runs: int | None = None,
        replay: bool = False,
        seed: int = 0,
        batch_size: int = 1,
    ) -> None:
        self._latencies_ms = latencies_ms
        self._noise = noise
        self._drift = drift
        self._drift_apart = drift_apart
        self._period_ms = period_ms
        self._memory_bound = frozenset(memory_bound)
        self._failing = frozenset(failing)
        self._fail_after_runs = fail_after_runs
        self._replay = replay
        self._seed = seed
        self._batch_size = batch_size
        self._rng = np.random.default_rng(seed)
        self._time_ns = 0
        self._offset_ns = 0
        self.num_runs = 0
        self.visits: list[str] = []

    @property
    def fingerprint(self) -> Fingerprint:
        """That of a machine which does not exist."""
        return Fingerprint(
            device="fake",
            processor="fake",
            processor_flags="",
            runtime="fake",
            runtime_version="1",
            precision="float32",
            threads=1,
            batch_size=self._batch_size,
            layout="NCHW",
        )

    def prepare(self, path: Path) -> FakePrepared:
        """See `Runtime.prepare`."""
        if not path.is_file():
            raise BadInputError(f"There is no file {path}. Give the path of an ONNX file.")
        try:
            model = onnx.load(path)
        except DecodeError as error:
            raise BadInputError(f"{path} is not an ONNX file that can be read: {error}.") from error
        if path.stem in self._failing:
            raise DeviceError(f"The fake device refuses {path}.")
        if callable(self._latencies_ms):
            latency_ms = self._latencies_ms(path)
        elif path.stem in self._latencies_ms:
            latency_ms = self._latencies_ms[path.stem]
        else:
            raise BadInputError(f"The fake runtime knows no latency of {path.stem!r}; give one in `latencies_ms`.")
        return FakePrepared(self, model, latency_ms, memory_bound=path.stem in self._memory_bound)

    def begin(self, visit: str) -> None:
        """Draw the visit's noise from its name; with `replay` also the phase of the drift."""
        self.visits.append(visit)
        digest = hashlib.sha256(f"{self._seed}|{visit}".encode()).digest()
        self._rng = np.random.default_rng(int.from_bytes(digest[:8]))
        if self._replay:
            self._offset_ns = round(self._rng.random() * self._period_ms * _NS) - self._time_ns

    def clock_ns(self) -> int:
        """Nanoseconds of runs so far."""
        return self._time_ns

    def spend(self, latency_ms: float, *, memory_bound: bool) -> None:
        """Move the clock by one run.

        Raises:
            DeviceError: this is the run at which the device is to fail.
        """
        if self._fail_after_runs is not None and self.num_runs >= self._fail_after_runs:
            raise DeviceError(f"The fake device failed after {self.num_runs} runs.")
        self.num_runs += 1
        phase = math.pi * (self._time_ns + self._offset_ns) / (self._period_ms * _NS)
        slowdown = 1.0 + self._drift * math.sin(phase) ** 2
        if memory_bound:
            slowdown *= 1.0 + self._drift_apart * math.sin(phase / 1.7) ** 2
        self._time_ns += round(latency_ms * _NS * slowdown * math.exp(self._noise * self._rng.standard_normal()))


class FakePrepared:
    """A model on the fake device."""

    def __init__(self, runtime: FakeRuntime, model: onnx.ModelProto, latency_ms: float, *, memory_bound: bool) -> None:
        self._runtime = runtime
        self._model = model
        self._latency_ms = latency_ms
        self._memory_bound = memory_bound

    def run(self) -> None:
        """Let the time of a run pass."""
        self._runtime.spend(self._latency_ms, memory_bound=self._memory_bound)

    def outputs(self, inputs: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """What onnx's reference implementation computes."""
        names = [node.name for node in self._model.graph.input]
        if len(names) != len(inputs):
            raise DeviceError(f"The model takes {len(names)} inputs; got {len(inputs)}.")
        return list(ReferenceEvaluator(self._model).run(None, dict(zip(names, inputs, strict=True))))
