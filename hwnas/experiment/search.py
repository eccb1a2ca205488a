"""The main job: from a space, data, a device and budgets to trained networks that keep them, as measured.

    measure the device's table ─► is it feasible at all? ─► train the supernet       once, shared
       for every set of budgets (`study.py`):
       strategy: ask, score, tell ─► settle: derive, export, measure, tighten ─► fine-tune ─► verify ─► result

Whatever was finished is in the run's folder, and the same call goes on from there: tables and trials by
their own stores, trainings by their checkpoints, measured candidates as facts of the run's store.
"""

from __future__ import annotations

import copy
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hwnas.arguments import LARGEST, whole_number
from hwnas.cost import Budget, BudgetRequest, LatencyTable, parse_budget
from hwnas.data import Splits
from hwnas.device import Runtime, measure
from hwnas.errors import BudgetError, ConfigError
from hwnas.experiment.budgets import Profilers, budget_sets, resolve, slug
from hwnas.experiment.deployment import device_for
from hwnas.experiment.phases import Advance, Phases, ignore, training_steps
from hwnas.experiment.reporting import write_evidence
from hwnas.experiment.result import SearchResult
from hwnas.experiment.run_directory import NETWORKS, SPACE, open_run
from hwnas.experiment.scoring import Named
from hwnas.experiment.strategies import (
    StrategyFactory,
    is_one_shot,
    make_strategy,
    needs_latency,
    search_recipe,
    split_options,
)
from hwnas.experiment.study import Rivals, Study
from hwnas.experiment.supernet import train_whole_space
from hwnas.experiment.trials import TrialOptions
from hwnas.nn import ModelSpace
from hwnas.strategy import OneShot
from hwnas.strategy.feasible import require_feasible
from hwnas.train import Recipe, check_inputs, load_supernet

__all__ = ["DEFAULT_FINE_TUNE", "DEFAULT_SHORT", "search", "search_each"]

DEFAULT_FINE_TUNE = Recipe(epochs=10.0, learning_rate=0.02, warmup_epochs=0.5, distillation=0.0)
"""How the chosen network is trained further."""

DEFAULT_SHORT = Recipe(epochs=2.0, learning_rate=0.02, warmup_epochs=0.2, distillation=0.0)
"""How the finalists are trained before they are compared."""


def search(
    space: ModelSpace, data: Splits, budgets: Sequence[Budget | BudgetRequest | str] = (), **options: Any
) -> SearchResult:
    """Find, train and verify one network that keeps every budget.

    Args:
        space: the supernet; its weights are trained in place.
        data: what to train on, to search on and to test on.
        budgets: hard limits, as `profiler.at_most(value)` or as text: "latency<=5ms", "macs<=60%".
        options: as of `search_each`.

    Raises:
        BudgetError: two limits on one quantity, which are two networks: call `search_each`.
        Exception: whatever `search_each` raises.
    """
    names = [(parse_budget(b) if isinstance(b, str) else b).profiler for b in budgets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BudgetError(f"Two limits on {twice[0]} are two networks; call `search_each`, or give one limit.")
    return search_each(space, data, budgets, **options)[0]


def search_each(
    space: ModelSpace,
    data: Splits,
    budgets: Sequence[Budget | BudgetRequest | str] = (),
    *,
    device: Runtime | str | None = None,
    table: str | Path | None = None,
    repeats: int = 3,
    calibrate: int = 12,
    strategy: str | StrategyFactory = "certified",
    strategy_options: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    search: Recipe | None = None,
    fine_tune: Recipe | None = None,
    short: Recipe | None = None,
    supernet: str | Path | None = None,
    trials: TrialOptions | None = None,
    named: Named | None = None,
    rivals: Rivals = "score",
    seed: int = 0,
    directory: str | Path | None = None,
    title: str = "",
    space_name: str = "",
    configuration: Mapping[str, Any] | None = None,
    progress: Callable[[Advance], None] = ignore,
) -> list[SearchResult]:
    """Find, train and verify a network for every set of budgets.

    Several limits on one quantity give several networks, each under all limits on the other quantities. Killed
    and called again with the same arguments, it goes on where it was.

    Args:
        space: the supernet; its weights are trained in place, or loaded from `supernet`.
        data: what to train on, to search on and to test on.
        budgets: hard limits, as `profiler.at_most(value)` or as text: "latency<=5ms", "macs<=60%".
        device: where latencies are measured, as a name or a connected runtime; needed for budgets on latency that
            are given as text. Others know the device they were measured on.
        table: the SQLite table of this space on this device; filled as far as it is not. Without it the table
            is in the run's folder.
        repeats: rounds in which every block is visited.
        calibrate: whole networks that are measured to calibrate the sum of blocks.
        strategy: one of `STRATEGIES`, "certified" or "darts" for example, or
            `factory(space, budgets, seed=..., **strategy_options)`.
        strategy_options: the strategy's own options; of those that ask for evaluations also "max_trials".
        recipe: how the supernet is trained before a search that does not train weights itself.
        search: how a one-shot strategy takes its steps; its paper's recipe if not given.
        fine_tune: how the chosen network is trained further.
        short: how finalists are trained before they are compared.
        supernet: the folder of a trained supernet; without it one is trained in the run's folder.
        trials: how the trials of a strategy that asks for evaluations run; in line if not given.
        named: what names the space and the data to workers; needed by trials that do not run in line.
        rivals: what simple searches find is "score"d with the supernet's weights, also "train"ed, measured and tested
            as the chosen network is, or left out ("none").
        seed: of everything.
        directory: the run's folder; without it a new temporary one.
        title: of the report.
        space_name: for the report; the class of the model if not given.
        configuration: what else the folder belongs to; another one is refused.
        progress: told of every advance.

    Raises:
        InfeasibleError: no architecture keeps the budgets; said before training where the table shows it.
        RunDirectoryError: the folder holds another run, or one in progress.
        BadInputError: any other wrong argument, with the remedy.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # as torchrun sets it
        raise ConfigError(
            "A search runs in one process: measuring and its folder are one writer's. Train the supernet in several "
            "(`torchrun -m hwnas.cli train`) and give it as `supernet`, or take the steps of a one-shot strategy in "
            "several with `hwnas.experiment.run_one_shot`."
        )
    seed = whole_number("seed", seed, at_least=0, at_most=LARGEST)
    options = dict(strategy_options or {})
    _, max_trials = split_options(strategy, options)
    trials = trials or TrialOptions()
    if is_one_shot(strategy) and trials != TrialOptions():
        raise ConfigError(
            f"The strategy {strategy!r} takes steps and has no trials, so [trials], --executor, --address and "
            "--concurrency have no use. Leave them out, or take a strategy that asks for evaluations."
        )
    if trials.has_workers and named is None:
        raise ConfigError(
            "A search from Python with a space and data of its own runs its trials in line, for workers cannot make "
            f"them; got the executor {trials.executor!r}. Leave the executor out, or search by a configuration that "
            'names them: `hwnas search config.toml`, with space = "file.py:factory".'
        )
    check_inputs(space, data)
    if supernet is not None:
        load_supernet(space, supernet)  # before anything is measured: a wrong one is said at once
    requests = [parse_budget(b) if isinstance(b, str) else b for b in budgets]
    recipe = recipe or Recipe()
    search = search or search_recipe(strategy) or recipe
    folder = Path(tempfile.mkdtemp(prefix="hwnas-")) if directory is None else Path(directory)
    identity = {
        "space": space.space.uid,
        "budgets": sorted(str(request) for request in requests),
        "strategy": strategy if isinstance(strategy, str) else getattr(strategy, "__name__", "custom"),
        "strategy_options": json.loads(json.dumps(options, default=_name)),
        "data": data.hashes,
        "task": data.task.name,
        "train": None if supernet else recipe.to_json(),
        "supernet": str(supernet) if supernet else None,
        "search": search.to_json() if is_one_shot(strategy) else None,
        "fine_tune": (fine_tune or DEFAULT_FINE_TUNE).to_json(),
        "short": (short or DEFAULT_SHORT).to_json(),
        "rivals": rivals,
        "seed": seed,
    } | dict(configuration or {})
    with open_run(folder, identity) as store:
        store.set_fact(SPACE, space.space.to_json())
        if store.fact(NETWORKS) is None:  # a finished run needs no cluster
            trials.check_reachable()
        phases = Phases(store, progress)
        connected = device_for(device, requests, table, folder, always=needs_latency(options))
        finished = _finished_table(requests)

        def latency_table() -> LatencyTable:
            if finished is not None and table is None:
                return finished
            assert connected is not None  # whatever asks for latency is a budget or an option, and has asked for it
            with phases("measure") as advance:
                return measure(
                    space,
                    connected.runtime,
                    out=connected.table_path,
                    repeats=repeats,
                    calibrate=calibrate,
                    progress=lambda step: advance(step.done, step.total, step.phase),
                )

        profilers = Profilers(space, latency_table)
        sets = budget_sets([b if isinstance(b, Budget) else resolve(b, profilers) for b in requests]) or [()]
        for budget_set in sets:
            require_feasible(space.space, budget_set)
        strategies = [
            make_strategy(strategy, space, budget_set, profilers=profilers, seed=seed, options=options)
            for budget_set in sets
        ]
        in_steps = all(isinstance(made, OneShot) and made.trains_weights for made in strategies)
        if supernet is None and not in_steps:
            _train(space, data, recipe, folder, phases, seed)
        weights = copy.deepcopy(space.state_dict()) if in_steps and len(sets) > 1 else None
        results = []
        for budget_set, made in zip(sets, strategies, strict=True):
            if weights is not None:
                space.load_state_dict(weights)  # every search begins with the same
            study = Study(
                space=space,
                data=data,
                budgets=budget_set,
                profilers=profilers,
                device=connected,
                store=store,
                phases=phases,
                directory=folder if len(sets) == 1 else folder / slug(budget_set),
                name=slug(budget_set),
                strategy=made,
                max_trials=max_trials,
                trials=trials,
                named=named,
                weights=None if in_steps else Path(supernet or folder / "supernet"),
                search=search,
                settings={"options": identity["strategy_options"], "supernet": identity["supernet"]},
                fine_tune=fine_tune or DEFAULT_FINE_TUNE,
                short=short or DEFAULT_SHORT,
                rivals=rivals,
                seed=seed,
                space_name=space_name or type(space.module).__name__,
            )
            result = study.run()
            with phases("report", study=study.name):
                write_evidence(study, result, title=title)
            results.append(result)
        store.set_fact(NETWORKS, [str(result.directory.relative_to(folder)) for result in results])
    return results


def _name(value: object) -> str:
    """What stands in the identity of a run for an option that is no plain value."""
    return getattr(value, "__qualname__", None) or type(value).__qualname__


def _finished_table(requests: Sequence[Budget | BudgetRequest]) -> LatencyTable | None:
    """The table on disk that a budget was made from: nothing is measured into it again."""
    tables = [budget.table for budget in requests if isinstance(budget, Budget)]
    return next((table for table in tables if table is not None and table.path is not None), None)


def _train(
    space: ModelSpace,
    data: Splits,
    recipe: Recipe,
    folder: Path,
    phases: Phases,
    seed: int,
) -> None:
    """Train the supernet in place."""
    with phases("train supernet") as advance:
        train_whole_space(
            space, data, recipe, seed=seed, directory=folder / "supernet", progress=training_steps(advance)
        )
