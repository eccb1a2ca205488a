"""How far two measurements of the same thing differ: the noise floor, beside which every accuracy is read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from hwnas.device.session import RETEST
from hwnas.device.statistics import between_rounds, ratios, visit_ratio
from hwnas.store import Visit

__all__ = ["Noise", "noise_of"]

_LEAST_DRIFT = 0.01


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noise:
    """Test-retest noise of a session.

    Attributes:
        floor: relative; the larger of the test-retest difference and, where it is told, `apart`.
        retest: root mean square relative difference of a later visit from the median of the rounds; an item weighs
            as much as its time.
        apart: how far items moved against the reference from round to round beyond the noise of their samples, as
            memory-bound and compute-bound items do when they slow down differently; 0 where that is below 1 %.
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
    total = squares = 0.0
    for key, visit in retests.items():
        if key in rounds:
            first = float(np.median(np.concatenate([ratios(earlier) for earlier in rounds[key]])))
            total += first
            squares += first * math.log(visit_ratio(visit) / first) ** 2
    return math.sqrt(squares / total) if total else 0.0
