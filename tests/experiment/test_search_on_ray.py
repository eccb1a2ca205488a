"""`hwnas search --executor ray`, as a user runs it: a process of its own, on a cluster that others have started."""

import json
import os
import subprocess
import sys
from pathlib import Path

from hwnas.experiment import read_experiment
from tests.cli.runs import run
from tests.cli.test_search import CONFIG, MINE

SCORED = CONFIG.replace('rivals = "none"', 'rivals = "score"')  # a second study, over the same connection


def hwnas(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hwnas.cli", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)


def scores(folder: str, study: str) -> dict[str, float]:
    """By architecture."""
    return {json.dumps(trial.architecture): trial.score for trial in read_experiment(folder, study).trials}


def test_a_search_on_a_cluster(cluster, tmp_path, monkeypatch, capsys):
    """Its trials' scores are those in line, though the nodes work in another folder than the search."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "config.toml").write_text(SCORED)
    flags = ("--executor", "ray", "--address", cluster.address, "--concurrency", "2", "--out", "run", "--json")
    done = hwnas(tmp_path, "search", "config.toml", *flags)
    assert done.returncode == 0, done.stderr
    [result] = json.loads(done.stdout)["results"]
    assert len(result["rivals"]) == 2
    assert "search: 5/5 done" in done.stderr

    monkeypatch.chdir(tmp_path)
    _, printed, _ = run(capsys, "status", "run", "--json")
    studies = json.loads(printed)["studies"]
    assert [(study["complete"], study["failed"]) for study in studies] == [(5, 0), (5, 0)]
    assert run(capsys, "search", "config.toml", "--out", "inline")[0] == 0
    for study in (study["name"] for study in studies):
        on_ray, in_line = scores("run", study), scores("inline", study)
        both = on_ray.keys() & in_line.keys()
        assert both
        assert [on_ray[each] for each in both] == [in_line[each] for each in both]

    # What is finished needs no cluster.
    assert run(capsys, "search", "config.toml", "--executor", "ray", "--address", "127.0.0.1:1", "--out", "run")[0] == 0


def test_an_address_where_nobody_answers_is_said_before_training(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "config.toml").write_text(CONFIG + '[trials]\nexecutor = "ray"\naddress = "127.0.0.1:1"\n')
    done = hwnas(tmp_path, "search", "config.toml", "--out", "run")
    assert (done.returncode, done.stdout) == (4, "")
    assert "Ray cannot be reached at '127.0.0.1:1': ConnectionRefusedError" in done.stderr
    assert "train supernet" not in done.stderr
    assert not (tmp_path / "run" / "supernet").exists()
