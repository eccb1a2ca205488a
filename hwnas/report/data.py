"""What a report is made of: plain records, filled by whoever ran the search."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hwnas.measurement import Fingerprint
from hwnas.solve import Certificate
from hwnas.strategy import EstimateQuality

__all__ = ["BlockTime", "BudgetRow", "ExpectedCost", "FrontPoint", "Network", "ReportData", "SplitRow"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BudgetRow:
    """One budget and what became of it; `limit`, `predicted` and `measured` are in `unit`.

    `measured` is None where a quantity cannot be measured apart from its prediction.
    """

    profiler: str
    unit: str
    limit: float
    predicted: float
    measured: float | None = None

    @property
    def value(self) -> float:
        """What is held against the limit: the measurement, or else the prediction."""
        return self.predicted if self.measured is None else self.measured

    @property
    def kept(self) -> bool:
        """Whether the value is within the limit; a value that is not a number is not."""
        return self.value <= self.limit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """One network as a point: predicted cost (`ReportData.cost_name`), mean score of the task, and measured latency."""

    name: str
    cost: float
    score: float
    standard_error: float | None = None
    measured_ms: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrontPoint:
    """One network of the exact front: no other has both less predicted cost and more utility."""

    cost: float
    utility: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpectedCost:
    """What networks drawn from a search's probabilities cost on average, after every epoch, in `unit`."""

    profiler: str
    unit: str
    by_epoch: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockTime:
    """One block of the chosen network, in the order it runs; `option` is what the search chose there."""

    stage: str
    name: str
    option: str
    latency_ms: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitRow:
    """One part of the data and the hash of its members."""

    name: str
    num_examples: int
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything the report of one chosen network shows.

    Attributes:
        title: the heading.
        space: the space's name, and `num_architectures` how many networks it has.
        chosen: the network that was returned; its score is with the supernet's weights.
        budgets: every budget, in the order given.
        blocks: the blocks of the chosen network in running order, with the table's times.
        cost_name: the profiler whose cost is the horizontal axis, and `cost_unit` its standard unit.
        front: the exact front of utility against that cost, by rising cost.
        utility_label: what the front's utility is, for its axis.
        score_name: what the task's mean score is called; an accuracy is a fraction, shown in percent.
        evaluated: networks whose score was taken with the supernet's weights.
        rivals: what simpler searches find under the same budgets.
        calibration: whole networks that were both predicted and measured; `measured_ms` is set.
        expected_costs: of a search by steps.
        entropy_by_epoch: of the probabilities of such a search, summed over the choices, as a share of what it is when
            all options of every choice are equally likely: from 1, undecided, to 0.
        certificate: of the last solve; None where the strategy proves nothing.
        estimate: how far the utility can be believed; None where the strategy estimates nothing.
        test_score: of the trained network on the test split, and its standard error.
        noise_floor: the relative test-retest difference of the device, 0.01 for 1 %.
        seconds: wall-clock seconds of every phase.
    """

    title: str
    space: str
    num_architectures: int
    chosen: Network
    budgets: tuple[BudgetRow, ...]
    blocks: tuple[BlockTime, ...] = ()
    cost_name: str = "latency"
    cost_unit: str = "ms"
    front: tuple[FrontPoint, ...] = ()
    utility_label: str = "estimated utility"
    score_name: str = "accuracy"
    evaluated: tuple[Network, ...] = ()
    rivals: tuple[Network, ...] = ()
    calibration: tuple[Network, ...] = ()
    expected_costs: tuple[ExpectedCost, ...] = ()
    entropy_by_epoch: tuple[float, ...] = ()
    certificate: Certificate | None = None
    estimate: EstimateQuality | None = None
    test_score: float | None = None
    test_standard_error: float | None = None
    noise_floor: float | None = None
    fingerprint: Fingerprint | None = None
    splits: tuple[SplitRow, ...] = ()
    seed: int = 0
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def score_title(self) -> str:
        """The score's name as a title begins."""
        return self.score_name[:1].upper() + self.score_name[1:]

    @property
    def cost_label(self) -> str:
        """What the horizontal axis is called: a network's own cost, "latency" or "MACs"."""
        return label_of(self.cost_name)

    def limit_on(self, profiler: str) -> float | None:
        """The tightest budget on a cost, in its unit, if there is one."""
        return min((row.limit for row in self.budgets if row.profiler == profiler), default=None)


def label_of(profiler: str) -> str:
    """What people call a cost."""
    return {"macs": "MACs", "params": "parameters"}.get(profiler, profiler)
