"""The comparison of strategies: its arithmetic, its plan, and (slow) all of it on tiny data."""

import argparse
import dataclasses
import json
import math
import pathlib
import subprocess
import sys

import pytest
import torch

BENCH = pathlib.Path(__file__).parents[1] / "bench"
sys.path.insert(0, str(BENCH))

import step_memory  # noqa: E402
import strategies  # noqa: E402
import strategy_runs  # noqa: E402
import strategy_table  # noqa: E402
from strategy_table import Outcome  # noqa: E402


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCH / "strategies.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def outcomes(**accuracies: list[float]) -> list[Outcome]:
    names = {"random": "best of random feasible"}
    return [
        Outcome(row=names.get(row, row), seed=seed, kept=True, ratio=0.9, accuracy=accuracy, seconds=10.0 * seed)
        for row, of_row in accuracies.items()
        for seed, accuracy in enumerate(of_row)
    ]


MEMORY = {("full", "path"): 100.0, ("full", "proxylessnas"): 219.0, ("small", "path"): 2.0**20}


def test_the_peak_of_known_tensors() -> None:
    def action() -> None:
        first = torch.zeros(1024, 1024)  # 4 MiB
        second = torch.zeros(1024, 1024)
        del first
        third = torch.zeros(2048, 1024)  # 8 MiB, beside the second: 12
        del second, third

    assert step_memory.peak_bytes(action) == 12 * 2**20


def test_what_was_there_before_does_not_count_when_it_is_freed() -> None:
    before = [torch.zeros(1024, 1024)]

    def action() -> None:
        before.clear()
        torch.zeros(1024)  # 4 bytes each

    assert step_memory.peak_bytes(action) == 4096


def test_two_errors_by_hand() -> None:
    assert strategy_table.two_errors([1.0, 2.0, 3.0]) == pytest.approx(2 / math.sqrt(3))  # standard deviation 1
    assert math.isnan(strategy_table.two_errors([1.0]))


def test_a_strategy_below_random_is_told_from_one_within_noise() -> None:
    found = outcomes(random=[0.80, 0.80, 0.80], worse=[0.70, 0.71, 0.72], noisy=[0.70, 0.90, 0.70])
    lines = {line.split("  ")[1].split()[0]: line[:4] for line in strategy_table.checks(found, MEMORY)}
    assert lines == {"every": "PASS", "worse": "FAIL", "noisy": "PASS", "ProxylessNAS's": "PASS"}


def test_differences_are_taken_seed_by_seed() -> None:
    # The seeds differ by 10 points and the strategies by 1: unpaired, the noise would be 11.5.
    found = outcomes(random=[0.7, 0.8, 0.9], worse=[0.69, 0.79, 0.89])
    (line,) = [line for line in strategy_table.checks(found, {}) if "worse" in line]
    assert line.startswith("FAIL")
    assert "-1.00 ± 0.00" in line


def test_what_cannot_be_said_is_not_passed() -> None:
    lines = strategy_table.checks(outcomes(random=[0.8], other=[0.9]), {})
    assert lines[1] == "----  other is not below best of random feasible by more than noise: it takes both in two seeds"
    assert lines[2].startswith("----")
    assert strategy_table.checks([], {})[0].startswith("FAIL")


def test_a_broken_budget_and_too_much_memory_fail() -> None:
    (broken,) = outcomes(darts=[0.8])
    broken = dataclasses.replace(broken, kept=False, ratio=1.2)
    lines = strategy_table.checks([broken], MEMORY | {("full", "proxylessnas"): 221.0})
    assert lines[0] == "FAIL  every network keeps its budget as measured: darts, seed 0 (1.200)"
    assert lines[-1].endswith("2.21 x")
    assert lines[-1].startswith("FAIL")


def test_the_table_has_the_most_accurate_first_and_means_with_noise() -> None:
    table = strategy_table.strategy_table(outcomes(random=[0.8, 0.8], better=[0.89, 0.91]), MEMORY)
    lines = table.splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {7}
    assert lines[2] == "| better | yes (0.900) | 90.00 ± 2.00 | 89.00 91.00 | 5 s | 1 MiB |"


def test_the_memory_table_has_a_line_for_each_step() -> None:
    lines = strategy_table.memory_table(MEMORY).splitlines()
    assert len(lines) == 2 + len(step_memory.MEMORY_ROWS)
    assert any("(2.19 x)" in line for line in lines)


def test_results_are_read_with_their_rivals(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "certified-0"
    folder.mkdir()
    result = {
        "budgets": [{"profiler": "latency", "limit": 2.0, "measured": 1.5, "kept": True}],
        "test_accuracy": 0.9,
        "seconds": {"search": 7.0, "rivals": 3.0, "fine-tune": 100.0},
        "rivals": [
            {"name": "largest-macs-feasible", "measured": {"latency": 1.9}, "test_accuracy": 0.8},
            {"name": "best-of-9-random-feasible", "measured": {"latency": 2.1}, "test_accuracy": 0.7},
        ],
    }
    (folder / "result.json").write_text(json.dumps(result))
    (tmp_path / "supernet-0.json").write_text(json.dumps({"seconds": 20.0}))
    found = strategy_table.outcomes(tmp_path, ["certified"], [0, 1])
    assert [(o.row, o.ratio, o.kept, o.seconds) for o in found] == [
        ("certified", 0.75, True, 27.0),
        ("largest MACs feasible", 0.95, True, 20.0),
        ("best of random feasible", 1.05, False, 23.0),
    ]


@pytest.mark.parametrize("setting", [strategy_runs.Setting(), strategy_runs.Setting.smoke()])
def test_ask_and_tell_strategies_see_no_more_search_images_than_there_are_passes(
    setting: strategy_runs.Setting,
) -> None:
    evolution = strategy_runs.ROWS["evolution"].options(setting)
    spos = strategy_runs.ROWS["spos"].options(setting)
    assert evolution["max_trials"] * setting.search_size <= setting.num_passes
    assert spos["num_generations"] * spos["population_size"] * setting.search_size <= setting.num_passes


def test_certified_and_enas_see_no_more_search_images_than_there_are_passes() -> None:
    setting = strategy_runs.Setting()
    certified = strategy_runs.ROWS["certified"].options(setting)
    full = certified["num_held_out"] + certified["max_rounds"] * certified["num_candidates"]
    batches = 2 * 128 * certified["num_samples"]  # of 128 images, for the architecture and for its teacher
    assert full * setting.search_size + batches <= setting.num_passes
    enas = strategy_runs.ROWS["enas"].options(setting)
    scoring = enas["scoring_share"] * enas["num_derived_samples"]
    learning = 1 - enas["num_warmup_epochs"] / setting.epochs - enas["scoring_share"]
    assert scoring + learning <= 1


def test_the_plan_has_what_is_needed_before_what_needs_it() -> None:
    first, before, searches = strategy_runs.jobs(["spos", "darts"], [3])
    assert first == ["table"]
    assert before[0] == "supernet-3"
    assert "memory-full-darts" in before
    assert "memory-full-fbnet" not in before
    assert searches == ["darts-3", "spos-3"]
    assert not any(job.startswith("supernet") for stage in strategy_runs.jobs(["darts"], [3]) for job in stage)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--jobs", "0"], "--jobs must be at least 1; got 0"), (["--only", "magic"], "invalid choice: 'magic'")],
)
def test_wrong_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        strategies.main(arguments)
    assert message in capsys.readouterr().err


def test_a_folder_of_another_setting_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "setting.json").write_text("{}")
    with pytest.raises(SystemExit, match="holds runs of another setting"):
        strategies.main(["--out", str(tmp_path)])


def test_a_run_that_fails_leaves_its_last_words(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = argparse.Namespace(out=tmp_path, smoke=True, device="cpu")
    words = strategies._in_process("darts-0", arguments)  # without the table that it needs
    assert words is not None
    assert "table.sqlite" in words
    assert "darts-0: failed after" in capfd.readouterr().err


@pytest.mark.slow
def test_two_strategies_on_tiny_data_and_again_from_their_files(tmp_path: pathlib.Path) -> None:
    arguments = ["--smoke", "--seeds", "0", "1", "--only", "certified", "enas", "--out", str(tmp_path), "--json"]
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    rows = {outcome["row"] for outcome in result["outcomes"]}
    assert rows == {"certified", "ENAS", "best of random feasible", "largest MACs feasible"}
    assert len(result["outcomes"]) == 8
    assert result["failed"] == {}
    again = run(*arguments)
    assert "begins" not in again.stderr
    assert json.loads(again.stdout)["outcomes"] == result["outcomes"]
