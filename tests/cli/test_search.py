"""`hwnas search` whose trials run elsewhere: the same results, and what happens to trials there."""

import json
import os
import pathlib
import sqlite3

import pytest

from hwnas.experiment import read_experiment
from tests.cli.runs import run

MINE = """
import os
import pathlib
import signal

import torch
from torch import nn

import hwnas

HERE = pathlib.Path(__file__).parent


def conv(i, o, k):
    return nn.Sequential(nn.Conv2d(i, o, k, padding=k // 2, bias=False), nn.BatchNorm2d(o), nn.ReLU())


def space(dies="never"):
    if dies == "in workers" and str(os.getpid()) != os.environ["PARENT"] and not (HERE / "died").exists():
        (HERE / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    layers = [hwnas.LayerChoice([conv(4, 4, k) for k in (1, 3, 5)]) for _ in range(4)]
    ends = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)
    return hwnas.ModelSpace(nn.Sequential(conv(1, 4, 3), *layers, *ends), torch.zeros(1, 1, 8, 8))
"""

CONFIG = """
space = "mine.py:space"
budgets = ["macs<=80%"]
strategy = "evolution"
rivals = "none"
[strategy_options]
population_size = 4
sample_size = 2
max_trials = 5
[data]
train_size = 200
search_size = 100
[train]
epochs = 1
[fine_tune]
epochs = 0.5
warmup_epochs = 0
[short]
epochs = 0.5
warmup_epochs = 0
"""


@pytest.fixture
def config(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PARENT", str(os.getpid()))
    pathlib.Path("mine.py").write_text(MINE)
    pathlib.Path("config.toml").write_text(CONFIG)
    return pathlib.Path("config.toml")


def trials(folder: str) -> list[tuple[object, ...]]:
    """The score of every image exactly, the mean loss but for its rounding."""
    connection = sqlite3.connect(f"file:{folder}/run.sqlite?mode=ro", uri=True)
    columns = "study, number, architecture, fidelity, status, attempts, score, round(loss, 4), scores"
    rows = connection.execute(f"SELECT {columns} FROM trials ORDER BY study, number").fetchall()
    connection.close()
    return rows


def test_in_a_worker_the_results_are_those_in_line(config: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "search", config, "--out", "inline", "--json")[0] == 0
    code, printed, _ = run(capsys, "search", config, "--out", "worker", "--executor", "processes", "--json")
    assert code == 0
    assert len(trials("inline")) == 5
    assert trials("worker") == trials("inline")
    assert (pathlib.Path("worker") / "workers" / "worker-0.log").exists()
    found, expected = (
        json.loads(pathlib.Path(folder, "result.json").read_text())["architecture"] for folder in ("worker", "inline")
    )
    assert found == expected
    assert json.loads(printed)["results"][0]["architecture"] == expected

    # The folder goes on under another executor; nothing is left to do.
    before = trials("worker")
    assert run(capsys, "search", config, "--out", "worker")[0] == 0
    assert trials("worker") == before
    _, printed, _ = run(capsys, "status", "worker", "--json")
    content = json.loads(printed)
    assert content["networks"] == ["."]
    assert [study["complete"] for study in content["studies"]] == [5]
    code, printed, _ = run(capsys, "top", "worker", "-k", 1, "--json")
    assert json.loads(printed)["top"][0]["metrics"]["score"] == max(row[6] for row in before)


def test_a_worker_that_dies_is_replaced(config: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = '[space_options]\ndies = "in workers"\n[trials]\nexecutor = "processes"\n'
    config.write_text(CONFIG + options)
    assert run(capsys, "search", config, "--out", "run")[0] == 0
    assert pathlib.Path("died").exists()
    status = read_experiment("run").status
    assert (status.num_complete, status.num_failed, status.num_running) == (5, 0, 0)


def test_in_time_or_failed(config: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(CONFIG + "[trials]\ntimeout_seconds = 1e-5\n")
    code, _, error = run(capsys, "search", config, "--out", "run")
    assert code == 2
    assert "Of the 5 trials of 'macs-" in error
    assert "none has given a score; the last said: TimeUp: the trial ran past its limit of 1e-05 seconds." in error
    assert "Mend what is wrong and give another folder" in error


def test_a_strategy_that_takes_steps_has_no_trials(config: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text('space = "mine.py:space"\nstrategy = "darts"\n')
    code, _, error = run(capsys, "search", config, "--out", "run", "--executor", "processes")
    assert code == 2
    assert "The strategy 'darts' takes steps and has no trials" in error
    assert not pathlib.Path("run").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--concurrency", 2), 'In line one trial runs at a time; got concurrency=2. Set executor="processes"'),
        (("--executor", "slurm"), "Unknown executor 'slurm'; known are inline, processes, ray."),
        (("--address", "auto"), "`address` is of a cluster"),
    ],
)
def test_flags_that_do_not_fit(
    config: pathlib.Path, capsys: pytest.CaptureFixture[str], flags: tuple[object, ...], message: str
) -> None:
    code, printed, error = run(capsys, "search", config, "--out", "run", *flags)
    assert (code, printed) == (2, "")
    assert message in error
    assert not pathlib.Path("run").exists()
