"""Timing one item beside the reference model, in short slices that alternate.

Drift, not noise, is the enemy: on a shared machine the same network may take 40 % longer a minute later. A slice of
the item lies between two slices of the reference, a few milliseconds away, and only their ratio is trusted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import math
import statistics
from collections.abc import Iterator

import numpy as np

from hwnas.device.runtime import Prepared, Runtime

__all__ = ["DRIFT_LIMIT", "Paired", "Timing", "alternate", "slice_ms", "warm_up"]

DRIFT_LIMIT = 0.03
"""A sample is taken again when the reference moved by more than this around it."""

_WARM_UP_RUNS = 5
_WARM_UP_AGREEMENT = 0.01


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """How long to measure; part of the measuring protocol, so a change raises its number.

    Attributes:
        slice_ms: the least length of a slice.
        warm_up_ms: when warming up ends at the latest.
        min_samples: before these, dispersion does not stop a visit.
        spread: interquartile range over median of the ratios at which a visit is done.
        limit_ms: when a visit ends at the latest (but not before `min_samples` slices, steady or not).
    """

    slice_ms: float = 5.0
    warm_up_ms: float = 1000.0
    min_samples: int = 11
    spread: float = 0.02
    limit_ms: float = 500.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paired:
    """Samples of an item, each with the reference's time around it.

    Attributes:
        samples_ms: the median run of each slice of the item.
        references_ms: the geometric mean of the reference's slices before and after.
        steady: whether the reference stood still, within `DRIFT_LIMIT`, around the slice.
    """

    samples_ms: tuple[float, ...]
    references_ms: tuple[float, ...]
    steady: tuple[bool, ...]


def warm_up(prepared: Prepared, runtime: Runtime, limit_ms: float = 1000.0) -> None:
    """Run until two consecutive medians of five runs differ by less than 1 %, or for `limit_ms`."""
    start = runtime.clock_ns()
    previous = math.inf
    while runtime.clock_ns() - start < limit_ms * 1e6:
        times = []
        for _ in range(_WARM_UP_RUNS):
            before = runtime.clock_ns()
            prepared.run()
            times.append(runtime.clock_ns() - before)
        median = float(np.median(times))
        if abs(median - previous) < _WARM_UP_AGREEMENT * previous:
            return
        previous = median


def slice_ms(prepared: Prepared, runtime: Runtime, least_ms: float) -> float:
    """The median run of at least `least_ms` of runs, in milliseconds.

    The median and not the mean: where other processes take the core away for some milliseconds, that falls on one run
    of many. One run goes before the clock starts: it pays for the caches that the other model has emptied.
    """
    prepared.run()
    least_ns = int(least_ms * 1e6)
    start = now = runtime.clock_ns()
    runs_ns: list[int] = []
    while not runs_ns or now - start < least_ns:
        prepared.run()
        before, now = now, runtime.clock_ns()
        runs_ns.append(now - before)
    return statistics.median(runs_ns) / 1e6


def alternate(item: Prepared, reference: Prepared, runtime: Runtime, timing: Timing) -> Paired:
    """Measure `item` between slices of `reference` until the steady ratios agree or the time is up.

    A slice around which the reference moved is kept as raw data but does not count: another is taken in its place.
    """
    warm_up(item, runtime, timing.warm_up_ms)
    samples: list[float] = []
    references: list[float] = []
    steady: list[bool] = []
    with _no_garbage_collection():
        start = runtime.clock_ns()
        before = slice_ms(reference, runtime, timing.slice_ms)
        while not _enough(samples, references, steady, timing, (runtime.clock_ns() - start) / 1e6):
            samples.append(slice_ms(item, runtime, timing.slice_ms))
            after = slice_ms(reference, runtime, timing.slice_ms)
            references.append(math.sqrt(before * after))
            steady.append(abs(math.log(after / before)) <= math.log1p(DRIFT_LIMIT))
            before = after
    return Paired(samples_ms=tuple(samples), references_ms=tuple(references), steady=tuple(steady))


def _enough(
    samples: list[float], references: list[float], steady: list[bool], timing: Timing, elapsed_ms: float
) -> bool:
    if len(samples) < timing.min_samples:
        return False
    if elapsed_ms >= timing.limit_ms:
        return True
    ratios = np.asarray(samples)[steady] / np.asarray(references)[steady]
    if len(ratios) < timing.min_samples:
        return False
    lower, median, upper = np.quantile(ratios, (0.25, 0.5, 0.75))
    return bool(upper - lower < timing.spread * median)


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
