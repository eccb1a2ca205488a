import json
import pathlib

import pytest

from hwnas.experiment import Experiment
from hwnas.experiment.trials import run_trials
from hwnas.space import Architecture
from hwnas.store import TrialStore
from hwnas.strategy import GridSearch, Proposal
from hwnas.trial import FunctionEvaluator, TrialContext
from tests.cli.runs import SPACE, SUM, evaluate, run, under_budget, whole_grid


def points(architecture: Architecture) -> int:
    return sum((number + 1) * architecture[f"c{number}"] for number in range(3))


def test_the_best_by_brute_force(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = whole_grid(tmp_path, budgets=[under_budget()], profilers={"twice": Twice()})
    experiment.run()
    code, printed, _ = run(capsys, "top", tmp_path, "-k", 100, "--json")
    content = json.loads(printed)
    found = [Architecture.from_json(one["architecture"]) for one in content["top"]]
    usable = [a for a in SPACE.enumerate() if sum(a.values()) <= 6 and a["c0"] != 3 and a["c1"] != 2]
    expected = sorted(usable, key=lambda a: (-max(0, a["c2"] - 2), points(a)), reverse=True)
    assert code == 0
    assert sorted(found, key=lambda a: a.uid) == sorted(usable, key=lambda a: a.uid)
    rank = [(-max(0, a["c2"] - 2), points(a)) for a in found]
    assert rank == [(-max(0, a["c2"] - 2), points(a)) for a in expected]
    first = content["top"][0]
    assert first["uid"] == found[0].uid
    assert first["metrics"] == evaluate(found[0])
    assert first["costs"] == {"sum": sum(found[0].values()), "twice": 2 * sum(found[0].values())}
    assert content["metrics"] == [
        {"name": "points", "direction": "maximise", "limit": None},
        {"name": "waste", "direction": "minimise", "limit": 2.0},
    ]

    code, printed, _ = run(capsys, "top", tmp_path, "-k", 2)
    lines = printed.splitlines()
    assert code == 0
    assert lines[0].split() == ["architecture", "trial", "points", "waste", "sum", "twice"]
    assert lines[1].split()[0] == found[0].uid[:12]
    assert len(lines) == 4
    assert json.loads(lines[3].removeprefix("the first: ")) == found[0].to_json()


class Twice:
    unit = ""

    def profile(self, architecture: Architecture) -> float:
        return 2 * SUM.value(architecture)


def test_those_over_a_metrics_limit_are_marked(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole_grid(tmp_path).run()
    _, printed, _ = run(capsys, "top", tmp_path, "-k", 40)
    lines = [line.split() for line in printed.splitlines()]
    assert lines[0][-2:] == ["over", "limits"]
    assert [line[-1] for line in lines[1:-1]] == ["-"] * 27 + ["0.5"] * 9  # waste 3 of 2 in a quarter of 36


def scored(architecture: Architecture, context: TrialContext) -> float:
    """After training, worse by 100; by one batch, better by 100."""
    shift = {"batch": 100.0, "full": 0.0, "trained": -100.0}[context.fidelity]
    return shift + points(architecture)


class Thorough(GridSearch):
    """The grid on one batch, but the best of all is trained, and the second, with 17 points, scored on everything."""

    def ask(self, num: int = 1) -> list[Proposal]:
        return [
            Proposal(architecture=p.architecture, fidelity=fidelity)
            for p in super().ask(num)
            for fidelity in [{18: "trained", 17: "full"}.get(points(p.architecture), "batch")]
        ]


def test_scores_of_different_fidelities_are_not_compared(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with TrialStore(tmp_path / "run.sqlite") as store:
        store.set_fact("configuration", {"seed": 0})
        run_trials(Thorough(SPACE), FunctionEvaluator(scored), store, study="first")
        run_trials(GridSearch(SPACE), FunctionEvaluator(scored), store, study="second", max_trials=3)
    _, printed, note = run(capsys, "top", tmp_path, "-k", 4)
    rows = [line.split() for line in printed.splitlines()[1:5]]
    expected = [("-82", "trained"), ("17", "full"), ("116", "batch"), ("116", "batch")]
    assert [(row[2], row[-1]) for row in rows] == expected
    assert note == "These are of 'first'; with --study also of 'second'."
    content = json.loads(run(capsys, "status", tmp_path, "--json")[1])
    assert content["studies"][0]["best"]["metrics"]["score"] == -82
    _, printed, note = run(capsys, "top", tmp_path, "--study", "second", "--json")
    assert (len(json.loads(printed)["top"]), note) == (3, "")
    code, _, error = run(capsys, "top", tmp_path, "--study", "third")
    assert code == 2
    assert "has no search 'third': its searches are 'first', 'second'." in error


def test_nothing_complete_is_2(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    Experiment(SPACE, lambda architecture: "none", "random", directory=tmp_path).run(2)
    code, printed, error = run(capsys, "top", tmp_path)
    assert (code, printed) == (2, "")
    assert "No trial of 'trials'" in error
    assert "is complete: 0 running, 2 failed, 0 stopped, 0 refused. What went wrong: hwnas status" in error


def test_k_is_at_least_1(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run(capsys, "top", tmp_path, "-k", 0)
    assert code == 2
    assert "greater than or equal to 1" in error
