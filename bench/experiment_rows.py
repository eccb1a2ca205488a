"""What `bench/experiment_speed.py` measures: a function for each row, which makes ready and returns the measurement."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from rows import Row
from setting import Measure, Setting

from hwnas import Experiment, Metric
from hwnas.cost import Budget, CostTable
from hwnas.space import Choice, Requirement, Space
from hwnas.strategy import NSGA2, Outcome, RegularizedEvolution, Strategy
from hwnas.strategy.feasible import sample_feasible

__all__ = ["Sizes", "rows"]

NUM_OPTIONS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much of everything; the defaults are those of the published table.

    Attributes:
        histories: of how many trials a strategy was told before it is measured.
        peer_history: the same for Optuna.
        num_asks: in one reading.
        num_peer_asks: in one reading of Optuna.
        num_samples: drawn at once in one reading.
    """

    histories: tuple[int, ...] = (0, 1_000, 10_000)
    peer_history: int = 1_000
    num_asks: int = 500
    num_peer_asks: int = 10
    num_samples: int = 1_000

    @classmethod
    def tiny(cls) -> Sizes:
        """To see that it runs."""
        return cls(histories=(0, 120), peer_history=60, num_asks=5, num_peer_asks=1, num_samples=5)


def plain_space() -> Space:
    """105 choices of four options."""
    return Space([Choice(f"c{number}", range(NUM_OPTIONS)) for number in range(105)])


def conditional_space() -> Space:
    """105 choices as well: five stages of depth 1 to 4, with five choices in each block, active below the depth."""
    choices = []
    for stage in range(5):
        depth = Choice(f"s{stage}.depth", (1, 2, 3, 4))
        choices.append(depth)
        for block in range(4):
            deeper = [[Requirement(depth.name, tuple(range(block + 1, 5)))]] if block else []
            choices += [Choice(f"s{stage}.b{block}.{part}", range(NUM_OPTIONS), condition=deeper) for part in range(5)]
    return Space(choices)


def whole_costs(space: Space) -> CostTable:
    """A whole number from 1 to 100 for every option."""
    rng = np.random.default_rng(0)
    tables = {
        c.name: dict(zip(c.options, rng.integers(1, 101, c.num_options).tolist(), strict=True)) for c in space.choices
    }
    return CostTable.from_options(space, tables)


def rare_budget(cost: CostTable, share: float) -> Budget:
    """A limit that at most `share` of all architectures keep, exactly: the distribution of the cost by convolution.

    Args:
        cost: whole numbers over choices that are always active.
        share: of the space.
    """
    probabilities = np.ones(1)  # of the costs 0, 1, ...
    for term in cost.terms:
        options = np.bincount(term.values[:-1].astype(np.int64)) / (len(term.values) - 1)
        probabilities = np.convolve(probabilities, options)
    limit = int(np.searchsorted(np.cumsum(probabilities), share, side="right")) - 1
    return Budget("cost", float(limit), "", cost)


def _told(strategy: Strategy, num: int, rng: np.random.Generator) -> None:
    """Asks and tells, one after the other; two random objectives."""
    for score, other in rng.random((num, 2)).tolist():
        [proposal] = strategy.ask(1)
        strategy.tell(proposal, Outcome(score=score, objectives=(score, other)))


def _ask_tell(setting: Setting, sizes: Sizes, make: Callable[[], Strategy], history: int) -> Measure:
    """Asks and tells a second. The strategy is told a history once; without one, a new strategy in every round."""
    rng = np.random.default_rng(1)
    grown = make()
    _told(grown, history, rng)

    def once(seed: int) -> list[float]:
        strategy = grown if history else make()
        return [sizes.num_asks / setting.seconds(lambda: _told(strategy, sizes.num_asks, rng))]

    return once


def _experiment(setting: Setting, sizes: Sizes, strategy: str) -> Measure:
    """Trials a second of an experiment in a folder, in line, whose evaluation returns at once; its store included."""
    rng = np.random.default_rng(3)
    names = ("score", "other")
    folder = tempfile.TemporaryDirectory()
    experiment = Experiment(
        plain_space(),
        lambda architecture: dict(zip(names, rng.random(2).tolist(), strict=True)),
        strategy,
        metrics=[Metric(name) for name in names],
        directory=folder.name,
    )
    experiment.run(sizes.peer_history)

    def once(seed: int, keep: object = folder) -> list[float]:  # the folder lives as long as the measurement
        more = experiment.status().num_ended + sizes.num_asks
        return [sizes.num_asks / setting.seconds(lambda: experiment.run(more))]

    return once


def _sample_rare(setting: Setting, sizes: Sizes) -> Measure:
    space = plain_space()
    budget = rare_budget(whole_costs(space), 1e-6)

    def once(seed: int) -> list[float]:
        rng = np.random.default_rng(seed)
        return [sizes.num_samples / setting.seconds(lambda: sample_feasible(space, [budget], sizes.num_samples, rng))]

    once(0)
    return once


def _optuna(setting: Setting, sizes: Sizes, sampler: str, *, sqlite: bool) -> Measure:
    """Asks, suggestions and tells a second of a study with a history on the plain space; NSGA-II has two objectives."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = plain_space()
    directions = [optuna.study.StudyDirection.MAXIMIZE] * (2 if sampler == "NSGAIISampler" else 1)
    rng = np.random.default_rng(2)
    folder = tempfile.TemporaryDirectory()

    def study(url: str | None) -> optuna.Study:
        made = getattr(optuna.samplers, sampler)(seed=0)
        return optuna.create_study(storage=url, sampler=made, directions=directions)

    def told(study: optuna.Study, num: int) -> None:
        for values in rng.random((num, len(directions))).tolist():
            trial = study.ask()
            for choice in space.choices:
                trial.suggest_categorical(choice.name, choice.options)
            study.tell(trial, values)

    measured = study(f"sqlite:///{Path(folder.name) / 'study.sqlite'}" if sqlite else None)
    past = study(None)
    if sampler != "NSGAIISampler":  # what it knows is trials alone: random ones will do, and TPE's own take minutes
        past.sampler = optuna.samplers.RandomSampler(seed=0)
    told(past, sizes.peer_history)
    measured.add_trials(past.trials)

    def once(seed: int, keep: object = folder) -> list[float]:  # the folder lives as long as the measurement
        return [sizes.num_peer_asks / setting.seconds(lambda: told(measured, sizes.num_peer_asks))]

    once(0)
    return once


def rows(sizes: Sizes, *, with_optuna: bool) -> dict[str, Row]:
    """The rows by name, for these sizes."""
    plain, conditional = plain_space(), conditional_space()
    cost = whole_costs(plain)
    half = Budget("cost", float(np.median(cost.values(plain.sample_codes(10_000, np.random.default_rng(0))))), "", cost)
    found: dict[str, Row] = {}

    def add(name: str, what: str, make: Callable[[], Strategy], history: int, target: float) -> None:
        found[name] = Row(
            name=name,
            what=f"{what}, {history:,} trials told",
            start=lambda setting: _ask_tell(setting, sizes, make, history),
            unit="/s",
            target=target,
            more_is_better=True,
        )

    longest = sizes.histories[-1]
    kinds: list[tuple[str, Callable[..., Strategy]]] = [("evolution", RegularizedEvolution), ("nsga2", NSGA2)]
    for key, kind in kinds:
        title = "`RegularizedEvolution`" if key == "evolution" else "`NSGA2`, two objectives"
        for history in sizes.histories:
            add(f"{key}_{history}", title, partial(kind, plain), history, 2000.0)
        add(f"{key}_conditional", f"{title}, conditions", partial(kind, conditional), longest, 2000.0)
        add(f"{key}_budget", f"{title}, a budget that half of all keep", partial(kind, plain, [half]), longest, 1000.0)
    for strategy in ("evolution", "nsga2"):
        found[f"experiment_{strategy}"] = Row(
            name=f"experiment_{strategy}",
            what=f'`Experiment` with "{strategy}", its store included, {sizes.peer_history:,} trials before',
            start=partial(_experiment, sizes=sizes, strategy=strategy),
            unit="/s",
            target=200.0,
            more_is_better=True,
        )
    found["sample_rare"] = Row(
        name="sample_rare",
        what=f"uniform draws of {sizes.num_samples:,} where one architecture in a million keeps the budget",
        start=lambda setting: _sample_rare(setting, sizes),
        unit="/s",
        target=1000.0,
        more_is_better=True,
    )
    if with_optuna:
        for key, sampler in (("nsga2", "NSGAIISampler"), ("tpe", "TPESampler")):
            for where in ("memory", "sqlite"):
                found[f"optuna_{key}_{where}"] = _optuna_row(sizes, key, sampler, where)
    return found


def _optuna_row(sizes: Sizes, key: str, sampler: str, where: str) -> Row:
    return Row(
        name=f"optuna_{key}_{where}",
        what=f"Optuna's {sampler}, {sizes.peer_history:,} trials told, {where}",
        start=lambda setting: _optuna(setting, sizes, sampler, sqlite=where == "sqlite"),
        unit="/s",
        more_is_better=True,
    )
