"""`hwnas status`: beside a process that works, after one that was killed, and of what is no run."""

import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping

import pytest

from hwnas.errors import StoreError
from hwnas.experiment import Experiment, Metric
from hwnas.experiment.phases import Phases, ignore
from hwnas.experiment.recorded import read_experiment
from hwnas.space import Option
from hwnas.store import Trial, TrialStore
from tests.cli.runs import SPACE, SUM, run, whole_grid

WAITS = """
import pathlib, sys, time
from hwnas import Choice, Experiment, Space

def evaluate(architecture):
    if architecture["c0"] == 2:
        pathlib.Path(sys.argv[2]).touch()
        time.sleep(600)
    return float(architecture["c0"])

Experiment(Space([Choice("c0", (0, 1, 2, 3))]), evaluate, "grid", directory=sys.argv[1]).run(4)
"""


def test_trials_by_what_became_of_them(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole_grid(tmp_path / "run").run(60)  # the last four would be 3, 3, c2: all of them raise
    code, printed, _ = run(capsys, "status", tmp_path / "run", "--json")
    content = json.loads(printed)
    [study] = content["studies"]
    assert code == 0
    assert (content["writer"], content["phase"], content["networks"]) == (None, None, [])
    assert {key: study[key] for key in ("complete", "running", "failed", "stopped", "refused", "max_trials")} == {
        "complete": 36,
        "running": 0,
        "failed": 24,  # 12 raised, 12 gave no number
        "stopped": 0,
        "refused": 0,
        "max_trials": 60,
    }
    assert study["best"]["architecture"] == {"c0": 2, "c1": 3, "c2": 2}  # c2=3 wastes too much
    assert study["best"]["metrics"] == {"points": 14.0, "waste": 2.0}
    # Above (0 points, waste 3): the fronts' points at waste 2, 1, 0 are 14, 11, 8.
    assert study["hypervolume"] == 14 + 11 + 8
    assert study["seconds_left"] == 0
    assert [failure["trial"] for failure in study["failures"]] == [59, 58, 57]
    assert study["failures"][0]["error"].startswith("ValueError: three is too many (")

    code, printed, _ = run(capsys, "status", tmp_path / "run")
    assert code == 0
    head, row = (line.split() for line in printed.splitlines()[1:3])
    assert head == ["trials", "done", "running", "failed", "stopped", "refused", "of", "hypervolume", "time", "left"]
    assert row[:8] == ["trials", "36", "0", "24", "0", "0", "60", "33"]
    assert "no process is working on it." in printed
    assert "best of trials: points 14, waste 2 (trial 46, " in printed
    assert printed.count("failed: ValueError: three is too many") == 3


class Sum:
    """A profiler that is a metric as well."""

    def profile(self, architecture: Mapping[str, Option]) -> float:
        return float(SUM.value(architecture))


def test_the_best_has_metrics_that_are_profilers_too(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = [Metric("points"), Metric("sum", "minimise")]
    whole_grid(tmp_path / "run", metrics=metrics, profilers={"sum": Sum()}).run(4)
    _, printed, _ = run(capsys, "status", tmp_path / "run")
    assert "best of trials: points 9, sum 3, waste 3 (trial 3, " in printed  # of (0, 0, 0) to (0, 0, 3)


def test_beside_a_process_at_work_and_after_it_was_killed(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, waits = tmp_path / "run", tmp_path / "waits"
    process = subprocess.Popen([sys.executable, "-c", WAITS, str(folder), str(waits)])
    try:
        while not waits.exists():
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.3)
        code, printed, _ = run(capsys, "status", folder, "--json")
        content = json.loads(printed)
        [study] = content["studies"]
        assert (code, content["writer"]) == (0, str(process.pid))
        assert [study[key] for key in ("complete", "running", "max_trials")] == [2, 1, 4]
        assert study["seconds_elapsed"] > 0.3  # counted on while a trial runs
        assert study["seconds_left"] > 0
        assert f"process {process.pid} is working on it." in run(capsys, "status", folder)[1]
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = (folder / "run.sqlite").read_bytes()
    code, printed, _ = run(capsys, "status", folder)
    assert code == 0
    assert "no process is working on it; 1 trial was running when the last one ended, to be tried again." in printed
    assert (folder / "run.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    ("pid", "elapsed", "left"),
    [
        (os.getpid(), 100.0, 100.0),  # one trial in 100 s
        (None, 100.0, 100.0),  # as before processes were on record
        (os.getpid() + 1, 60.0, 60.0),  # was killed: the 40 s since its last event nobody has worked
    ],
    ids=["at work", "before", "killed"],
)
def test_seconds_are_counted_once_and_only_while_somebody_works(
    tmp_path: pathlib.Path, pid: int | None, elapsed: float, left: float
) -> None:
    now = time.time()
    with TrialStore(tmp_path / "run.sqlite") as store:
        store.set_fact("configuration", {"seed": 0})
        store.begin("s", {"max_trials": 2, **({} if pid is None else {"pid": pid})})
        store.ask(Trial(study="s", number=0, architecture={}))
        store.end(Trial(study="s", number=0, architecture={}, status="stopped"))
        store.ask(Trial(study="s", number=1, architecture={}))
        store.report("s", 1, step=1, value=1.0, stop=False)
        for sequence, ago in enumerate((100.0, 100.0, 70.0, 70.0, 40.0), start=1):
            store.execute("UPDATE events SET time = ? WHERE sequence = ?", (now - ago, sequence))
        status = read_experiment(tmp_path).status  # while this process has the folder open
    slack = time.time() - now
    assert status.seconds_left is not None
    assert 0 <= status.seconds_elapsed - elapsed <= slack + 1e-3
    assert 0 <= status.seconds_left - left <= slack + 1e-3


def test_looking_does_not_keep_a_writer_out(tmp_path: pathlib.Path) -> None:
    """A hundred looks at a lock while writers come and go."""
    whole_grid(tmp_path).run(1)
    looks = (
        "import pathlib, sys\nfrom hwnas.store import writer_of\nprint('ready', flush=True)\n"
        "while True: writer_of(pathlib.Path(sys.argv[1]))\n"
    )
    command = [sys.executable, "-c", looks, str(tmp_path / "run.sqlite")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(20):
            TrialStore(tmp_path / "run.sqlite").close()
        process.kill()
    with TrialStore(tmp_path / "run.sqlite"), pytest.raises(StoreError, match=f"pid {os.getpid()}"):
        TrialStore(tmp_path / "run.sqlite")


def test_what_a_search_is_at(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    with TrialStore(tmp_path / "run.sqlite") as store:
        store.set_fact("configuration", {})
        phases = Phases(store, ignore)
        with phases("measure"):
            pass
        with phases("train supernet"):
            _, printed, _ = run(capsys, "status", tmp_path)
            assert f"process {os.getpid()} is working on it, at 'train supernet'." in printed
            assert "measure 0 s" in printed
            assert "No trial was begun so far." in printed
            with phases("measure"):
                pass
            assert json.loads(run(capsys, "status", tmp_path, "--json")[1])["phase"] == "train supernet"
        store.set_fact("networks", ["."])
    content = json.loads(run(capsys, "status", tmp_path, "--json")[1])
    assert (content["phase"], set(content["phase_seconds"])) == (None, {"measure", "train supernet"})
    assert f"finished; its networks are in {tmp_path}." in " ".join(run(capsys, "status", tmp_path)[1].split())


def _empty(folder: pathlib.Path) -> None:
    TrialStore(folder / "run.sqlite").close()


def _newer(folder: pathlib.Path) -> None:
    _empty(folder)
    connection = sqlite3.connect(folder / "run.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def _truncated(folder: pathlib.Path) -> None:
    whole_grid(folder).run(20)
    file = folder / "run.sqlite"
    file.write_bytes(file.read_bytes()[:-5000])


def _damaged(folder: pathlib.Path) -> None:
    whole_grid(folder).run(20)
    file = folder / "run.sqlite"
    content = bytearray(file.read_bytes())
    content[4096:12288] = b"\xa5" * 8192
    file.write_bytes(content)


@pytest.mark.parametrize("verb", ["status", "top"])
@pytest.mark.parametrize(
    ("break_", "message"),
    [
        (lambda folder: None, r"holds no run (run.sqlite is missing). Give the folder of one."),
        (lambda folder: (folder / "run.sqlite").touch(), "is not a SQLite file, or is truncated"),
        (_empty, "was begun"),
        (_newer, "was written by a newer hwnas (schema 99;"),
        (_truncated, "run.sqlite is truncated."),
        (_damaged, "run.sqlite is damaged"),
    ],
    ids=["no run", "no file", "empty", "newer", "truncated", "damaged"],
)
def test_what_cannot_be_read_is_2_and_left(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], verb: str, break_: object, message: str
) -> None:
    assert callable(break_)
    break_(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.sqlite")}
    code, printed, error = run(capsys, verb, tmp_path, "--json")
    assert (code, printed) == (2, "")
    assert message in error
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.sqlite")} == before


def test_an_experiment_whose_strategy_decides_the_end(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Experiment(SPACE, lambda architecture: 1.0, "grid", directory=tmp_path).run()
    _, printed, _ = run(capsys, "status", tmp_path)
    assert printed.splitlines()[2].split()[:7] == ["trials", "64", "0", "0", "0", "0", "64"]
    assert "no process is working on it; the strategy has finished, it proposes nothing more." in printed
    assert "hypervolume" not in printed  # of one metric it says nothing more than the best
