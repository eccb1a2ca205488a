"""How far from the best each strategy ends on spaces that are known throughout: two Markdown tables, Optuna beside.

    python bench/cell_table.py                                             # first, once: the scores of all cells
    python bench/regret.py [--seeds 20] [--jobs 2] [--only ROW ...] [--out runs/regret.jsonl] [--cells runs/cells.csv]

Every strategy of `hwnas.experiment.STRATEGIES` that proposes trials, and Optuna's TPE and NSGA-II run by Optuna itself
where it is installed. What is searched is in `regret_problems.py`, what a run is in `regret_runs.py`. Finished runs are
in the file; called again with the same arguments, the command goes on. Under a budget no strategy of ours may have run
a trial over it: a run in which one did ends the command.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"  # read when numpy is imported

import argparse
import dataclasses
import datetime
import functools
import importlib.util
import json
import platform
import sys
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path

import numpy as np
import regret_problems
from regret_problems import CELLS, SMALL, Problem
from regret_runs import ROWS, Run, run

from hwnas.device.machine import processor_name

NUM_TRIALS = {CELLS: 200, "small": 100}
COLUMNS = {"cells": "cells of NAS-Bench-201, nats", "additive": "additive", "pairwise": "pairwise"}
COLUMNS |= {"deceptive": "deceptive"}
_TITLES = {
    "optuna": "`optuna`, its NSGA-II",
    "optuna_tpe": "Optuna alone, TPE",
    "optuna_nsga2": "Optuna alone, NSGA-II",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """All seeds of one row on one problem.

    Attributes:
        row: the strategy.
        problem: its name.
        within_budget: whether there is a budget.
        num_trials: of each run.
        num_seeds: from 0.
    """

    row: str
    problem: str
    within_budget: bool
    num_trials: int
    num_seeds: int


def do(task: Task, cells: Path) -> list[Run]:
    """The task's runs."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="optuna")  # of what is experimental in it
        return [
            run(task.row, _problem(task.problem, cells), task.num_trials, within_budget=task.within_budget, seed=seed)
            for seed in range(task.num_seeds)
        ]


@functools.lru_cache(maxsize=1)
def _problem(name: str, cells: Path) -> Problem:
    return regret_problems.cells(cells) if name == CELLS else regret_problems.small_problem(name)


def run_all(tasks: Sequence[Task], *, out: Path, cells: Path, jobs: int) -> list[Run]:
    """The runs of all tasks: those in the file `out`, which has a task in a line, and the others, which are added."""
    out.parent.mkdir(parents=True, exist_ok=True)
    done = _read(out)
    todo = [task for task in tasks if task not in done]
    with ProcessPoolExecutor(jobs) as pool:
        futures = {pool.submit(do, task, cells): task for task in todo}
        for number, future in enumerate(as_completed(futures), start=1):
            task = futures[future]
            done[task] = future.result()
            content = {"task": dataclasses.asdict(task), "runs": [dataclasses.asdict(r) for r in done[task]]}
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(content) + "\n")
            print(f"{number}/{len(todo)} {task.row} on {task.problem}", file=sys.stderr, flush=True)
    return [finished for task in tasks for finished in done[task]]


def _read(path: Path) -> dict[Task, list[Run]]:
    """What is in the file; what a killed process left of a line goes."""
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {Task(**line["task"]): [Run(**entry) for entry in line["runs"]] for line in lines}


def table(runs: Sequence[Run], *, within_budget: bool) -> str:
    """Median and quartiles of the regret over spaces and seeds, and under a budget the trials over it."""
    runs = [one for one in runs if one.within_budget == within_budget]
    kinds = [kind for kind in COLUMNS if any(_kind(one) == kind for one in runs)]
    head = ["strategy", *(COLUMNS[kind] for kind in kinds)]
    head += ["trials run", "of them over budget", "refused, not run"] if within_budget else []
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in dict.fromkeys(one.row for one in runs):
        own = [one for one in runs if one.row == row]
        cells = [_TITLES.get(row, f"`{row}`")]
        cells += [_quartiles(one.regret for one in own if _kind(one) == kind) for kind in kinds]
        if within_budget:
            evaluated, over = sum(one.num_evaluated for one in own), sum(one.num_over for one in own)
            cells += [f"{evaluated:,}", f"{over:,} ({over / evaluated:.0%})" if over else "0"]
            cells += [f"{sum(one.num_refused for one in own):,}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _kind(run: Run) -> str:
    return run.problem.rpartition("_")[0] or run.problem


def _quartiles(regrets: Iterable[float | None]) -> str:
    """What found nothing within the budget counts as infinitely far."""
    values = [np.inf if regret is None else regret for regret in regrets]
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], method="lower")
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def conditions(num_seeds: int) -> dict[str, object]:
    """Where and on what."""
    facts: dict[str, object] = {
        "date": datetime.date.today().isoformat(),
        "processor": processor_name(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "seeds": num_seeds,
        "trials": f"{NUM_TRIALS[CELLS]} on cells, {NUM_TRIALS['small']} on small spaces",
    }
    return facts | ({"optuna": version("optuna")} if importlib.util.find_spec("optuna") else {})


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench/regret.py", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="how many; default: 20")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time; default: 2")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW",
                        help=f"of: {', '.join(ROWS)}")  # fmt: skip
    parser.add_argument("--problems", nargs="+", choices=(CELLS, *SMALL), default=[CELLS, *SMALL], metavar="PROBLEM",
                        help=f"of: {CELLS}, {', '.join(SMALL)}")  # fmt: skip
    parser.add_argument("--trials", type=int, help="of each run; 200 on cells and 100 on the others if not given")
    parser.add_argument("--out", type=Path, default=Path("runs/regret.jsonl"), help="the file of finished runs")
    parser.add_argument("--cells", type=Path, default=Path("runs/cells.csv"), help="of cell_table.py")
    arguments = parser.parse_args(given)
    for name in ("seeds", "jobs"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be at least 1; got {getattr(arguments, name)}")
    if arguments.trials is not None and arguments.trials < 1:
        parser.error(f"--trials must be at least 1; got {arguments.trials}")
    if CELLS in arguments.problems and not arguments.cells.exists():
        parser.error(f"{arguments.cells} is missing: make it with bench/cell_table.py, or leave out --problems {CELLS}")
    tasks = [
        Task(
            row=row,
            problem=problem,
            within_budget=within_budget,
            num_trials=arguments.trials or NUM_TRIALS.get(problem, NUM_TRIALS["small"]),
            num_seeds=arguments.seeds,
        )
        for problem in arguments.problems
        for row in arguments.only
        for within_budget in (False, True)
    ]
    runs = run_all(tasks, out=arguments.out, cells=arguments.cells, jobs=arguments.jobs)
    for within_budget, title in ((False, "Without a budget"), (True, "Under a budget that a quarter keeps")):
        print(f"{title}:\n\n{table(runs, within_budget=within_budget)}\n")
    print("; ".join(f"{name}: {value}" for name, value in conditions(arguments.seeds).items()))


if __name__ == "__main__":
    main()
