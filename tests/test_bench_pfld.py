"""The comparison on facial landmarks: its arithmetic, its random networks, and (slow) all of it on few faces."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from hwnas.data import landmark_list
from hwnas.errors import InfeasibleError
from hwnas.nn.families import family
from hwnas.profiler import FlopsProfiler

BENCH = pathlib.Path(__file__).parents[1] / "bench"
sys.path.insert(0, str(BENCH))

import pfld  # noqa: E402
import pfld_runs  # noqa: E402
import pfld_table  # noqa: E402
from pfld_table import Network  # noqa: E402


def networks(searched: list[float], random: list[list[float]]) -> list[Network]:
    """By seed, the searched network's NME and those of the random ones."""
    one = Network(
        seed=0,
        searched=True,
        nme=0.0,
        nme_standard_error=0.001,
        latency_ms=0.9,
        limit_ms=1.0,
        kept=True,
        difference=1e-6,
    )
    found = []
    for seed, (nme, others) in enumerate(zip(searched, random, strict=True)):
        found.append(dataclasses.replace(one, seed=seed, nme=nme))
        found += [dataclasses.replace(one, seed=seed, searched=False, nme=other) for other in others]
    return found


def test_a_line_for_every_seed_and_their_mean() -> None:
    lines = pfld_table.table_of(networks([0.02, 0.04], [[0.03, 0.05], [0.05, 0.03]])).splitlines()
    assert lines[2] == "| 0 | 2.00% | 3.00% | 4.00% | 3.00 5.00 | 0.900 |"
    assert lines[3] == "| 1 | 4.00% | 3.00% | 4.00% | 3.00 5.00 | 0.900 |"
    assert lines[4] == "| mean | 3.00% | 3.00% | 4.00% | | |"


def test_every_seed_must_win() -> None:
    kept, agrees, better = pfld_table.checks(networks([0.02, 0.02], [[0.03, 0.05], [0.04]]))
    assert kept == "PASS  every network keeps the budget as measured: 5 of 5"
    assert agrees == "PASS  every file gives the network's landmarks to 1e-4: at most 1e-06 off"
    assert better.startswith("PASS")
    assert better.endswith("by +1.000 (seed 0), +2.000 (seed 1); mean +1.500 points")
    *_, lost = pfld_table.checks(networks([0.02, 0.02], [[0.03], [0.019]]))  # the mean is still better
    assert lost.startswith("FAIL")
    assert lost.endswith("by +1.000 (seed 0), -0.100 (seed 1); mean +0.450 points")


def test_a_broken_budget_and_a_file_that_differs_fail() -> None:
    first, *others = networks([0.02], [[0.03]])
    over, differs, _ = pfld_table.checks([dataclasses.replace(first, kept=False, difference=2e-4), *others])
    assert over == "FAIL  every network keeps the budget as measured: 1 of 2"
    assert differs.startswith("FAIL")


def test_results_are_read_from_their_files(tmp_path: pathlib.Path) -> None:
    for name, nme in {"searched-3": 0.02, "random-3-0": 0.05, "random-3-1": 0.04}.items():
        folder = tmp_path / name
        folder.mkdir()
        budget = {"profiler": "latency", "limit": 2.0, "measured": 1.5, "kept": True}
        result = {"test_accuracy": -nme, "test_standard_error": 0.001, "budgets": [budget]}
        (folder / "result.json").write_text(json.dumps(result))
        (folder / "agreement.json").write_text('{"difference": 1e-7}')
    found = pfld_table.networks(tmp_path, [3], 2)
    assert [(n.seed, n.searched, n.nme, n.latency_ms, n.limit_ms) for n in found] == [
        (3, True, 0.02, 1.5, 2.0),
        (3, False, 0.05, 1.5, 2.0),
        (3, False, 0.04, 1.5, 2.0),
    ]


def test_random_networks_keep_the_budgets_they_are_derived_under() -> None:
    space = family("pfld_32")
    profiler = FlopsProfiler(space)
    budget = profiler.at_most(np.mean([profiler.cost.minimum().value, profiler.cost.maximum().value]))
    strategies = [pfld_runs.RandomFeasible(space.space, [budget], seed=seed) for seed in range(8)]
    drawn = [strategy.derive([budget]).architecture for strategy in strategies]
    assert all(budget.holds(architecture) for architecture in drawn)
    assert len(set(drawn)) == 8
    assert strategies[0].ask(3) == []
    with pytest.raises(InfeasibleError):
        strategies[0].derive([profiler.at_most(1.0)])


def test_either_side_has_as_many_tries() -> None:
    """As many networks are fine-tuned and compared within the search as are drawn at random."""
    for setting in (pfld_runs.Setting(), pfld_runs.Setting.smoke()):
        assert setting.certified["num_finalists"] == setting.num_random


def test_a_folder_of_another_setting_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "setting.json").write_text("{}")
    with pytest.raises(SystemExit, match="holds runs of another setting"):
        pfld.main(["--out", str(tmp_path)])


@pytest.mark.slow
def test_searched_trained_and_measured_on_few_faces(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, str(BENCH / "pfld.py"), "--smoke", "--seeds", "0", "--out", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    found = [Network(**network) for network in content["networks"]]
    assert [network.searched for network in found] == [True, False, False]
    assert [line[:4] for line in content["checks"][:2]] == ["PASS", "PASS"]  # budgets, and files that agree
    data = landmark_list(tmp_path / "faces", seed=0, image_size=32, angles=False)
    faces = data.train.batch(np.arange(len(data.train))).labels
    tested = data.test.batch(np.arange(len(data.test))).labels
    mean_face = -float(data.task.scores(faces.mean(0, keepdim=True).expand_as(tested), tested).mean())
    searched, *random = found
    # The images are learned from; and as few steps as these tell better networks from worse ones only roughly.
    assert searched.nme < 0.7 * mean_face
    assert searched.nme < np.mean([network.nme for network in random]) + 2 * searched.nme_standard_error
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(again.stdout)["networks"] == content["networks"]
