"""How far two measurements of the same thing differ: the noise floor, beside which every accuracy is read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from hwnas.device.session import RETEST
from hwnas.device.statistics import between_rounds, ratios, visit_ratio, weighted_quantile
from hwnas.store import Visit

__all__ = ["Noise", "noise_of"]

_LEAST_DRIFT = 0.02
_ONE_SIGMA = 0.6827  # probability of a normal deviate within one standard deviation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noise:
    """Test-retest noise of a session.

    Attributes:
        floor: relative; the larger of the test-retest difference and, where it is told, `apart`.
        retest: typical relative difference of a later visit from the median of the rounds: as large as those of
            68 % of the items, by time (one standard deviation, if they were normal; a spoilt visit does not count).
        apart: how far items moved against the reference from round to round beyond the noise of their samples, as
            memory-bound and compute-bound items do when they slow down differently; 0 where that is below 2 %.
    """

    floor: float
    retest: float
    apart: float


def noise_of(visits: Sequence[Visit]) -> Noise:
    """The noise of items of one kind, from all their visits; 0 where nothing was visited twice."""
    rounds: dict[str, list[Visit]] = {}
    retests: dict[str, Visit] = {}
    for visit in visits:
        if visit.round == RETEST:
            retests[visit.key] = visit
        else:
            rounds.setdefault(visit.key, []).append(visit)
    retest = _retest(rounds, retests)
    between = between_rounds(list(rounds.values()))
    apart = between if between > _LEAST_DRIFT else 0.0
    return Noise(floor=max(retest, apart), retest=retest, apart=apart)


def _retest(rounds: Mapping[str, Sequence[Visit]], retests: Mapping[str, Visit]) -> float:
    differences, weights = [], []
    for key, visit in retests.items():
        if key in rounds:
            first = float(np.median(np.concatenate([ratios(earlier) for earlier in rounds[key]])))
            differences.append(abs(math.log(visit_ratio(visit) / first)))
            weights.append(first)
    return weighted_quantile(differences, weights, _ONE_SIGMA)
