"""From visits to a measurement: robust statistics of ratios to the reference.

Legend: ratio = item / reference beside it; corrected = ratio * baseline. Both medians and spreads are taken of ratios,
for the drift that item and reference share cancels in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hwnas.measurement import Measurement
from hwnas.store import Visit

__all__ = ["baseline_ms", "between_rounds", "ratios", "standard_error", "summarise", "visit_ratio", "weighted_quantile"]

_MIN_STEADY = 3
_NORMAL_MAD = 1.4826  # standard deviation of a normal distribution over its median absolute deviation
_MEDIAN_EFFICIENCY = math.sqrt(math.pi / 2)  # standard error of a median over that of a mean, normal samples


def ratios(visit: Visit) -> npt.NDArray[np.float64]:
    """Item over reference of every steady sample; of all samples where hardly one was steady."""
    values: npt.NDArray[np.float64] = np.asarray(visit.samples_ms) / np.asarray(visit.references_ms)
    steady: npt.NDArray[np.float64] = values[np.asarray(visit.steady, dtype=bool)]
    return steady if len(steady) >= _MIN_STEADY else values


def visit_ratio(visit: Visit) -> float:
    """The median ratio of one visit."""
    return float(np.median(ratios(visit)))


def baseline_ms(visits: Sequence[Visit]) -> float:
    """The reference's median over a session; every visit counts the same, however long it took."""
    return float(np.median([np.median(visit.references_ms) for visit in visits]))


def standard_error(visits: Sequence[Visit]) -> float:
    """The standard error of the median ratio over the visits of one item, relative to it.

    The larger of two estimates: from the samples as if they were independent, and from the medians of the rounds,
    which also see what changes slowly (memory layout, drift that the reference does not share).
    """
    pooled = np.log(np.concatenate([ratios(visit) for visit in visits]))
    mad = float(np.median(np.abs(pooled - np.median(pooled))))
    within = _MEDIAN_EFFICIENCY * _NORMAL_MAD * mad / math.sqrt(len(pooled))
    if len(visits) < 2:
        return within
    medians = np.log([visit_ratio(visit) for visit in visits])
    return max(within, float(np.std(medians, ddof=1)) / math.sqrt(len(visits)))


def summarise(visits: Sequence[Visit], baseline: float) -> Measurement:
    """The measurement of one item from all its visits.

    Percentiles and MAD are of the corrected samples; `raw_median_ms` is of what the clock said.

    Args:
        visits: of one item.
        baseline: the reference's median over the session that filled the table, in milliseconds.
    """
    corrected = np.concatenate([ratios(visit) for visit in visits]) * baseline
    median = float(np.median(corrected))
    p10, p90 = np.quantile(corrected, (0.1, 0.9))
    return Measurement(
        key=visits[0].key,
        median_ms=median,
        raw_median_ms=float(np.median(np.concatenate([visit.samples_ms for visit in visits]))),
        p10_ms=float(p10),
        p90_ms=float(p90),
        mad_ms=float(np.median(np.abs(corrected - median))),
        standard_error_ms=median * standard_error(visits),
        num_samples=len(corrected),
        num_rounds=len(visits),
    )


def between_rounds(items: Sequence[Sequence[Visit]]) -> float:
    """How far items move against the reference from round to round, beyond the noise within a round.

    The typical relative standard deviation of a visit's median, less what the samples' own dispersion explains; 0 where
    nothing is left. An item weighs as much as its time. Typical is the quantile at which the variance of three rounds
    is on average right (1 - 1/e): one visit that the machine spoilt moves no median, so it must not widen the floor.
    """
    excess, weights = [], []
    for visits in items:
        if len(visits) < 2:
            continue
        spread = float(np.var(np.log([visit_ratio(visit) for visit in visits]), ddof=1))
        noise = float(np.mean([standard_error([visit]) ** 2 for visit in visits]))
        excess.append(spread - noise)
        weights.append(visit_ratio(visits[0]))
    return math.sqrt(max(0.0, weighted_quantile(excess, weights, 1.0 - 1.0 / math.e)))


def weighted_quantile(values: Sequence[float], weights: Sequence[float], q: float) -> float:
    """The least value with a share of at least `q` of all weight at or below it; 0 without values."""
    if not values:
        return 0.0
    order = np.argsort(values, kind="stable")
    shares = np.cumsum(np.asarray(weights, dtype=np.float64)[order])
    return float(np.asarray(values)[order][np.searchsorted(shares, q * shares[-1] * (1.0 - 1e-12))])
