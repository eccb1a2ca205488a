"""The benchmark of regret: its problems against brute force, its rules, and all of it on few trials."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from hwnas import Experiment
from hwnas.space import INACTIVE
from hwnas.trial import TableEvaluator

BENCH = pathlib.Path(__file__).parents[1] / "bench"
sys.path.insert(0, str(BENCH))

import cell_table  # noqa: E402
import regret  # noqa: E402
import regret_problems  # noqa: E402
import regret_runs  # noqa: E402
from regret_runs import Run  # noqa: E402

SMALLEST = "pairwise_4"  # 2,688 architectures


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(BENCH / "regret.py"), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def run_of(regret_value: float | None, **fields: object) -> Run:
    given = {"row": "random", "problem": "additive_0", "within_budget": True, "seed": 0}
    return Run(**{**given, "regret": regret_value, "num_evaluated": 10, "num_over": 0, "num_refused": 0, **fields})


@pytest.mark.parametrize("row", regret_runs.OURS)
def test_no_strategy_runs_a_trial_over_budget(row: str) -> None:
    problem = regret_problems.small_problem(SMALLEST)
    found = regret_runs.run(row, problem, 30, within_budget=True, seed=1)
    assert found.num_over == 0
    assert 0 < found.num_evaluated <= 30
    assert found.num_refused == 0
    assert found.regret is not None
    assert found.regret >= 0.0


@pytest.mark.parametrize("row", ["evolution", "certified"])
def test_a_run_is_what_an_experiment_does(row: str, tmp_path: pathlib.Path) -> None:
    problem = regret_problems.small_problem(SMALLEST)
    found = regret_runs.run(row, problem, 20, within_budget=True, seed=3)
    made = lambda space, budgets, *, seed: regret_runs.STRATEGIES[row](  # noqa: E731
        space, budgets, seed=seed, **regret_runs.options_for(row, 20)
    )
    experiment = Experiment(
        problem.space, TableEvaluator(problem.scores), made, budgets=[problem.budget], directory=tmp_path, seed=3
    )
    status = experiment.run(20)
    assert (status.num_complete, status.num_refused) == (found.num_evaluated, found.num_refused)
    best = problem.best(within_budget=True) - experiment.top(1)[0].metrics["score"]
    assert best == pytest.approx(found.regret, abs=1e-12)


@pytest.mark.parametrize("row", sorted(regret_runs.OPTUNA))
def test_optuna_by_itself_runs_trials_over_budget(row: str) -> None:
    pytest.importorskip("optuna")
    problem = regret_problems.small_problem(SMALLEST)
    within = regret_runs.run(row, problem, 30, within_budget=True, seed=0)
    assert within.num_evaluated == 30
    assert 0 < within.num_over <= 30  # a quarter keeps the budget, and its first trials are random
    assert regret_runs.run(row, problem, 30, within_budget=False, seed=0).num_over == 0


@pytest.mark.parametrize("name", regret_problems.SMALL)
def test_the_best_is_known_and_a_quarter_keeps_the_budget(name: str) -> None:
    problem = regret_problems.small_problem(name)
    assert len(problem.scores) == problem.space.size
    assert any(choice.condition for choice in problem.space.choices)
    assert problem.best(within_budget=False) == 1.0
    kept = [architecture for architecture in problem.scores if problem.budget.holds(architecture)]
    assert len(kept) / problem.space.size == pytest.approx(0.25, abs=0.001)  # costs are real numbers: few are equal
    assert problem.best(within_budget=True) == max(problem.scores[architecture] for architecture in kept)


def test_an_additive_space_is_additive_and_a_pairwise_one_is_not() -> None:
    """By least squares on one indicator for every option; an inactive choice has none."""

    def unexplained(name: str) -> float:
        problem = regret_problems.small_problem(name)
        codes, scores = problem.space.enumerate_codes(), np.array(list(problem.scores.values()))
        columns = [codes[:, [c]] == np.arange(num) for c, num in enumerate(problem.space.num_options)]
        features = np.concatenate([np.ones((len(codes), 1)), *columns], axis=1)
        fitted = features @ np.linalg.lstsq(features, scores, rcond=None)[0]
        return float(np.abs(scores - fitted).max())

    assert unexplained("additive_3") < 1e-9
    assert unexplained("pairwise_4") > 0.05


def test_a_trap_leads_away_from_the_best() -> None:
    """Of all that differ from the best in one active choice, none is close: every one of them breaks a group."""
    problem = regret_problems.small_problem("deceptive_2")
    codes, scores = problem.space.enumerate_codes(), np.array(list(problem.scores.values()))
    best = codes[scores.argmax()]
    differences = ((codes != best) & (best != INACTIVE)).sum(axis=1)
    assert scores[differences == 1].max() < 0.9
    assert scores[differences >= 6].max() > scores[differences == 2].max()


def test_the_table_of_cells_goes_on_where_it_was(tmp_path: pathlib.Path) -> None:
    recipe = cell_table.Recipe(epochs=0.1, batch_size=64)
    path, at_once = tmp_path / "cells.csv", tmp_path / "at_once.csv"
    cell_table.write_table(path, recipe=recipe, num_cells=5)
    path.write_bytes(path.read_bytes()[:-4])  # killed within the last row
    cell_table.write_table(path, recipe=recipe, num_cells=9)
    cell_table.write_table(at_once, recipe=recipe, num_cells=9)
    assert path.read_text() == at_once.read_text()
    assert len(TableEvaluator(path, metrics=["score"])) == 9


def test_the_tables() -> None:
    runs = [run_of(value, seed=seed) for seed, value in enumerate([0.4, 0.1, 0.2, 0.3, 0.5])]
    runs += [run_of(None, row="optuna_tpe", num_over=4), run_of(0.0, row="optuna_tpe", num_over=1)]
    runs += [run_of(0.7, problem="cells", within_budget=False)]
    under = regret.table(runs, within_budget=True).splitlines()
    assert under[0] == "| strategy | additive | trials run | of them over budget | refused, not run |"
    assert under[2] == "| `random` | 0.300 (0.200 to 0.400) | 50 | 0 | 0 |"
    assert under[3] == "| Optuna alone, TPE | 0.000 (0.000 to 0.000) | 20 | 5 (25%) | 0 |"
    without = regret.table(runs, within_budget=False).splitlines()
    assert without == [
        "| strategy | cells of NAS-Bench-201, nats |",
        "|---|---|",
        "| `random` | 0.700 (0.700 to 0.700) |",
    ]


def test_the_command_and_again(tmp_path: pathlib.Path) -> None:
    out = tmp_path / "regret.jsonl"
    few = ("--problems", SMALLEST, "--seeds", 2, "--trials", 12, "--jobs", 1, "--out", out, "--only", "random", "nsga2")
    first = command(*few)
    assert first.returncode == 0, first.stderr
    lines = out.read_text().splitlines()
    assert len(lines) == 4
    assert all(run["num_over"] == 0 for line in lines for run in json.loads(line)["runs"])
    out.write_text("\n".join(lines[:3]) + "\n" + lines[3][:20])  # killed while it wrote
    second = command(*few)
    assert second.stdout == first.stdout
    assert second.stderr.count("\n") == 1  # one of four was still to be done


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "--seeds must be at least 1; got 0"),
        (["--jobs", "0"], "--jobs must be at least 1; got 0"),
        (["--trials", "0"], "--trials must be at least 1; got 0"),
        (["--cells", "nowhere.csv"], "nowhere.csv is missing: make it with bench/cell_table.py"),
        (["--only", "darts"], "invalid choice: 'darts'"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        regret.main(arguments)
    assert message in capsys.readouterr().err
