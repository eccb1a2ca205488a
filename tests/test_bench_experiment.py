"""The benchmark of strategies runs, on short histories; what it measures is not asserted."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

BENCH = pathlib.Path(__file__).parents[1] / "bench"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCH / "experiment_speed.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_rows_are_measured() -> None:
    names = ["evolution_0", "nsga2_120", "nsga2_budget", "evolution_conditional", "sample_rare", "experiment_nsga2"]
    done = run("--tiny", "--rounds", "2", "--clock", "cpu", "--json", "--only", *names)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [row["row"] for row in result["rows"]] == names
    assert all(row["num_readings"] == 2 and row["median"] > 0 for row in result["rows"])


def test_the_table_has_optuna_beside_ours() -> None:
    pytest.importorskip("optuna")
    done = run("--tiny", "--rounds", "1", "--only", "evolution_120", "optuna_nsga2_memory", "optuna_tpe_memory")
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(table) == 5
    assert {line.count("|") for line in table} == {5}
    assert "(`optuna_tpe_memory`)" in table[4]


def test_the_rare_budget_is_as_rare_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against counting all 4**6 architectures."""
    monkeypatch.syspath_prepend(str(BENCH))
    from experiment_rows import rare_budget, whole_costs

    from hwnas.space import Choice, Space

    space = Space([Choice(f"c{number}", range(4)) for number in range(6)])
    cost = whole_costs(space)
    values = cost.values(space.enumerate_codes())
    for share in (0.01, 0.2):
        limit = rare_budget(cost, share).limit
        assert np.mean(values <= limit) <= share < np.mean(values <= limit + 1) + 1e-12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--rounds", "0"], "--rounds must be at least 1; got 0"), (["--only", "speed"], "no row 'speed'; known are evo")],
)
def test_wrong_arguments(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
