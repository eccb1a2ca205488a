"""The demonstration of SPOS's search: its arithmetic, and all of it on tiny data; who wins there is not asserted."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from hwnas.device import read_table
from hwnas.experiment.recorded import read_experiment
from hwnas.nn.families import load_space
from hwnas.profiler import LatencyProfiler

BENCH = pathlib.Path(__file__).parents[1] / "bench"
sys.path.insert(0, str(BENCH))

import spos_demo  # noqa: E402


def cells(lines: list[str]) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_the_table_is_of_paired_differences() -> None:
    best = {"random": [0.5, 0.6, 0.7], "evolution": [0.6, 0.6, 0.8], "spos": [0.4, 0.7, 0.7]}
    _, _, random, evolution, spos = cells(spos_demo.table(best).splitlines())
    assert random == ["random search", "50.0 60.0 70.0", "60.00", "", ""]
    # Differences of 10, 0, 10 points: their mean is 20/3, their variance 100/3, the standard error sqrt(100/9).
    assert evolution == ["regularised evolution", "60.0 60.0 80.0", "66.67", "+6.67 ± 3.33", "2, 0"]
    # Of -10, 10, 0: mean 0, variance 100, standard error sqrt(100/3).
    assert spos == ["SPOS's generations", "40.0 70.0 70.0", "60.00", "+0.00 ± 5.77", "1, 1"]


def test_smoke_runs_and_prints_its_table(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, str(BENCH / "spos_demo.py"), "--smoke", "--seeds", "2", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    setting = spos_demo.Setting.smoke()
    space = load_space("shufflenet_v2", **setting.space)
    profiler = LatencyProfiler(space, read_table(tmp_path / "latency.sqlite"), z=1.0)
    drawn = space.space.sample_codes(10_000, np.random.default_rng(0))
    threshold_ms = np.quantile(profiler.cost.values(drawn), 0.5)
    for row, (title, *printed) in zip(setting.strategies, cells(done.stdout.splitlines())[2:], strict=True):
        assert title == spos_demo._TITLES[row]
        best = []
        for seed in range(2):
            recorded = read_experiment(tmp_path / f"{row}-{seed}")
            assert recorded.status.num_complete == setting.num_evaluations
            found = recorded.top(100)
            assert max(profiler.profile(one.architecture) for one in found) <= threshold_ms
            best.append(found[0].metrics["score"])
        assert printed[0] == " ".join(f"{100 * score:.1f}" for score in best)


def test_no_seeds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        spos_demo.main(["--seeds", "0"])
    assert "--seeds must be at least 1; got 0" in capsys.readouterr().err
