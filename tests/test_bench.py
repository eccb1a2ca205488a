"""The benchmarks run, on the smallest spaces; what they measure is not asserted."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest

SPEED = pathlib.Path(__file__).parents[1] / "bench" / "speed.py"
CHEAP = ["prepare", "sample", "profile", "front", "front_correlated", "maximise", "train", "train_bare"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SPEED), *arguments], capture_output=True, text=True, check=False)


def test_every_short_row_is_measured() -> None:
    done = run("--tiny", "--rounds", "2", "--clock", "cpu", "--json", "--only", *CHEAP)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [row["row"] for row in result["rows"]] == CHEAP
    for row in result["rows"]:
        assert row["num_readings"] >= 2
        assert row["quartiles"][0] <= row["median"] <= row["quartiles"][1]
        assert row["median"] > 0
        assert row["peer"] == []
    assert result["conditions"]["clock"] == "cpu"


def test_the_table_is_markdown_with_a_line_for_each_row() -> None:
    done = run("--tiny", "--rounds", "1", "--only", "front", "sample")
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert {line.count("|") for line in table} == {7}
    assert "(`front`)" in table[2]
    assert "at least 50,000/s" in table[3]


def test_a_peer_that_is_not_installed() -> None:
    if importlib.util.find_spec("nni") is not None:
        pytest.skip("NNI is installed beside hwnas")
    done = run("--tiny", "--rounds", "1", "--only", "sample", "--nni-python", sys.executable)
    assert done.returncode == 1
    assert "bench/README.md says how to install it" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--rounds", "0"], "--rounds must be at least 1; got 0"), (["--only", "speed"], "invalid choice: 'speed'")],
)
def test_wrong_arguments(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
