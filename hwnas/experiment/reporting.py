"""The report and the front of a finished study, written beside its result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import entr

from hwnas.cost import STANDARD_UNITS, CostTable, LatencyTable
from hwnas.device import read_networks
from hwnas.experiment.metric import outcome_of_trial
from hwnas.experiment.one_shot import SearchEpoch
from hwnas.experiment.phases import phase_seconds
from hwnas.experiment.result import SearchResult
from hwnas.experiment.study import Study
from hwnas.report import (
    BlockTime,
    BudgetRow,
    ExpectedCost,
    FrontPoint,
    Network,
    ReportData,
    SplitRow,
    write_front_csv,
    write_report,
)
from hwnas.solve import pareto_front
from hwnas.space import Architecture
from hwnas.strategy import Certified, OneShot, Strategy
from hwnas.trace import Guard

__all__ = ["write_evidence"]


def write_evidence(study: Study, result: SearchResult, *, title: str) -> None:
    """Write `front.csv` and `report.html` into the result's folder.

    The horizontal axis is the latency of the budget, or where there is none the MACs.
    """
    latency = next((budget.cost for budget in study.budgets if budget.profiler == "latency"), None)
    table = None if latency is None else study.profilers.latency_table
    name = "macs" if latency is None else "latency"
    cost = study.profilers["macs"].cost if latency is None else latency
    assert isinstance(cost, CostTable)  # both are sums
    front = _front(study.strategy, cost)
    write_front_csv(front, result.directory / "front.csv", cost_column="latency_ms" if name == "latency" else name)
    data = ReportData(
        title=title or f"A network for {', '.join(map(str, study.budgets)) or 'no budget'}",
        space=study.space_name,
        num_architectures=study.space.space.size,
        chosen=Network(
            name="chosen",
            cost=cost.value(result.architecture),
            score=result.search_accuracy,
            standard_error=result.search_standard_error,
            measured_ms=next((row.measured for row in result.budgets if row.profiler == "latency"), None),
        ),
        budgets=tuple(
            BudgetRow(
                profiler=row.profiler, unit=row.unit, limit=row.limit, predicted=row.predicted, measured=row.measured
            )
            for row in result.budgets
        ),
        blocks=() if table is None else _blocks(study, table, result.architecture),
        cost_name=name,
        cost_unit=STANDARD_UNITS[name],
        front=front,
        score_name=result.score_name,
        evaluated=_evaluated(study, cost),
        rivals=tuple(
            Network(
                name=rival.name,
                cost=cost.value(rival.architecture),
                score=rival.search_accuracy,
                measured_ms=None if rival.measured is None else rival.measured.get("latency"),
            )
            for rival in result.rivals
        ),
        calibration=_calibration(table, cost),
        expected_costs=_expected_costs(study),
        entropy_by_epoch=tuple(_entropy(epoch) for epoch in study.search_log.epochs()),
        certificate=result.certificate,
        estimate=result.estimate,
        test_score=result.test_accuracy,
        test_standard_error=result.test_standard_error,
        noise_floor=None if table is None else table.noise_floor,
        fingerprint=result.fingerprint,
        splits=tuple(
            SplitRow(name=name, num_examples=part.num_examples, sha256=part.sha256)
            for name, part in result.splits.items()
        ),
        seed=result.seed,
        versions=result.versions,
        seconds=phase_seconds(study.store, study.name),
    )
    write_report(data, result.directory / "report.html")


def _front(strategy: Strategy | OneShot, cost: CostTable) -> tuple[FrontPoint, ...]:
    """The exact front under the strategy's utility; nothing for strategies without one."""
    if not isinstance(strategy, Certified) or not strategy.has_estimate:
        return ()
    front = pareto_front(strategy.utility().table, cost)
    return tuple(FrontPoint(cost=float(c), utility=float(u)) for c, u in zip(front.costs, front.utilities, strict=True))


def _evaluated(study: Study, cost: CostTable) -> tuple[Network, ...]:
    points: dict[Architecture, Network] = {}
    for name in (study.name, f"{study.name}/best-of-random"):
        for trial in study.store.trials(name):
            if trial.fidelity == "full" and trial.status == "complete":
                architecture = Architecture.from_json(trial.architecture)
                points[architecture] = Network(
                    name=f"{name}, trial {trial.number}",
                    cost=cost.value(architecture),
                    score=trial.score,
                    standard_error=outcome_of_trial(trial).standard_error,
                )
    return tuple(points.values())


def _expected_costs(study: Study) -> tuple[ExpectedCost, ...]:
    log = study.search_log
    epochs = log.epochs()
    return tuple(
        ExpectedCost(profiler=name, unit=cost.unit, by_epoch=tuple(epoch.expected[name] for epoch in epochs))
        for name, cost in log.costs.items()
        if epochs
    )


def _entropy(epoch: SearchEpoch) -> float:
    """Of the probabilities, summed over the choices, as a share of the uniform ones'; 0 where nothing is open."""
    choices = [np.asarray(probabilities) for probabilities in epoch.probabilities.values()]
    most = sum(math.log(len(probabilities)) for probabilities in choices)
    return float(sum(entr(probabilities).sum() for probabilities in choices)) / most if most else 0.0


def _calibration(table: LatencyTable | None, cost: CostTable) -> tuple[Network, ...]:
    if table is None or table.path is None:
        return ()
    return tuple(
        Network(name=measurement.key, cost=cost.value(architecture), score=0.0, measured_ms=measurement.median_ms)
        for architecture, measurement in read_networks(table.path)
    )


def _blocks(study: Study, table: LatencyTable, architecture: Architecture) -> tuple[BlockTime, ...]:
    """The measured blocks of one network in the order in which they run."""
    space = study.space.space
    codes = {name: space.choice(name).index(option) for name, option in architecture.items()}
    return tuple(
        BlockTime(
            stage=_stage(block.module),
            name=block.module or "the model",
            option=", ".join(str(architecture[name]) for name in block.guard.choices if name in architecture),
            latency_ms=table.latency_ms(block.key),
        )
        for block in study.space.trace().blocks
        if _runs(block.guard, codes)
    )


def _runs(guard: Guard, codes: Mapping[str, int]) -> bool:
    return any(all(codes.get(name) in allowed for name, allowed in box) for box in guard.boxes)


def _stage(path: str) -> str:
    """The path up to its first number: the blocks of one stage belong together."""
    parts: Sequence[str] = path.split(".")
    numbered = next((place for place, part in enumerate(parts) if part.isdigit()), len(parts) - 1)
    return ".".join(parts[: numbered + 1])
