"""One-shot strategies driven to the end: on a fake device in seconds, killed and resumed, and with wrong arguments."""

import csv
import json
import multiprocessing
import time

import pytest
import torch

from hwnas.errors import CheckpointError, ConfigError, InfeasibleError, RunDirectoryError
from hwnas.experiment import search_each
from hwnas.experiment.one_shot import run_one_shot
from hwnas.strategy import DARTS, FBNet
from hwnas.testing.fake_runtime import FakeRuntime
from hwnas.train import Recipe
from tests.experiment.examples import tiny_data, tiny_search, tiny_space

SEARCH = Recipe(epochs=2, batch_size=32, learning_rate=0.05, momentum=0.9)
STRATEGIES = {
    "darts": {},
    "darts, second order": {"unrolled": True},
    "enas": {},
    "fbnet": {"start_epoch": 0.5, "profiler": "macs"},
    "hardcorenas": {"train_weights": True, "step_size": 0.05},
    "proxylessnas": {"num_warmup_epochs": 0.5},
    "proxylessnas, by reinforce": {"method": "reinforce", "num_warmup_epochs": 0.5},
}
PROCESSES = multiprocessing.get_context("forkserver")  # it imports torch once, for all runs
PROCESSES.set_forkserver_preload(["hwnas.experiment", "hwnas.testing.fake_runtime"])


def run(directory, key, budgets=("macs<=60%", "params<=90%"), **options):
    settings = {
        "device": None,
        "strategy": key.split(",")[0],
        "strategy_options": STRATEGIES[key],
        "search": SEARCH,
        "rivals": "none",
    }
    return tiny_search(directory, budgets, **(settings | options))


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("key", STRATEGIES)
def test_every_strategy_keeps_the_budgets_as_measured(tmp_path, key):
    [result] = run(tmp_path / "run", key)
    assert all(row.measured <= row.limit for row in result.budgets)
    assert result.onnx_difference < 1e-4
    content = json.loads((result.directory / "result.json").read_text())
    assert "train supernet" not in content["seconds"]  # the search itself trains the weights
    probabilities = rows(result.directory / "probabilities.csv")
    assert {row["epoch"] for row in probabilities} == {"1", "2"}
    sums = {}
    for row in probabilities:
        at = row["epoch"], row["choice"]
        sums[at] = sums.get(at, 0.0) + float(row["probability"])
    assert sums == pytest.approx(dict.fromkeys(sums, 1.0))
    expected = rows(result.directory / "expected_costs.csv")
    assert {(row["profiler"], row["unit"]) for row in expected} == {("params", "params"), ("macs", "macs")}
    assert (result.directory / "report.html").is_file()


def test_without_budgets_it_is_the_papers_derivation(tmp_path):
    [result] = run(tmp_path / "run", "darts", ())
    last = [row for row in rows(result.directory / "probabilities.csv") if row["epoch"] == "2"]
    space = tiny_space().space
    for name, option in result.architecture.items():
        mine = {row["option"]: float(row["probability"]) for row in last if row["choice"] == name}
        assert max(mine, key=mine.get) == str(option)
        assert len(mine) == space.choice(name).num_options


def test_two_budgets_are_two_searches_from_the_same_weights(tmp_path):
    device = FakeRuntime(noise=0.02, drift=0.1, replay=True)
    both = run(tmp_path / "both", "fbnet", ("latency<=60%", "latency<=90%"), device=device)
    assert all(row.measured <= row.limit for result in both for row in result.budgets)
    table = tmp_path / "both" / "table.sqlite"
    [alone] = run(tmp_path / "alone", "fbnet", ("latency<=90%",), device=device, table=table)
    assert [result.directory.parent.name for result in both] == ["both", "both"]
    assert rows(both[1].directory / "probabilities.csv") == rows(alone.directory / "probabilities.csv")
    assert both[1].architecture == alone.architecture


def test_frozen_weights_are_those_of_a_supernet_trained_before(tmp_path):
    [result] = run(tmp_path / "run", "hardcorenas", strategy_options={"step_size": 0.05})
    assert {"train supernet", "search"} <= set(json.loads((result.directory / "result.json").read_text())["seconds"])
    assert all(row.kept for row in result.budgets)


def test_a_penalty_and_a_filter_as_in_a_file(tmp_path):
    options = {
        "penalty": {"kind": "expectation", "profiler": "params", "baseline": 1000.0, "scale": 5.0},
        "filter": {"profiler": "macs", "min": 60_000},
        "architecture_learning_rate": 0.05,
    }
    [result] = run(tmp_path / "run", "darts", strategy_options=options)
    from hwnas.profiler import FlopsProfiler

    assert FlopsProfiler(tiny_space()).profile(result.architecture) >= 60_000
    with pytest.raises(ConfigError, match="`kind` of a penalty must be expectation or sample; got 'hope'"):
        run(tmp_path / "kind", "darts", strategy_options={"penalty": {"kind": "hope", "profiler": "macs"}})


def start(directory, key):
    process = PROCESSES.Process(target=run, args=(directory, key))
    process.start()
    return process


def outcome(directory):
    content = json.loads((directory / "result.json").read_text())
    del content["seconds"]
    return content, rows(directory / "probabilities.csv")


def check_killed(tmp_path, key):
    process = start(tmp_path / "whole", key)
    process.join(300)
    assert process.exitcode == 0
    folder = tmp_path / "killed"
    for num_checkpoints in (1, 2):
        process = start(folder, key)
        while process.is_alive() and len(list((folder / "search").glob("step-*"))) < num_checkpoints:
            time.sleep(0.002)
        process.kill()
        process.join()
    assert not (folder / "result.json").exists()
    process = start(folder, key)
    process.join(300)
    assert process.exitcode == 0
    assert outcome(folder) == outcome(tmp_path / "whole")


@pytest.mark.parametrize("key", ["fbnet", "enas"])
def test_killed_and_resumed_in_another_process_gives_the_same(tmp_path, key):
    check_killed(tmp_path, key)


@pytest.mark.slow
@pytest.mark.parametrize("key", [key for key in STRATEGIES if key not in ("fbnet", "enas")])
def test_killed_and_resumed_the_others(tmp_path, key):
    check_killed(tmp_path, key)


def test_a_checkpoint_of_another_strategy_is_refused(tmp_path):
    data, space = tiny_data(), tiny_space()
    run_one_shot(DARTS(space), space, data, SEARCH, settings={}, seed=0, directory=tmp_path, max_steps=2)
    other = tiny_space()
    with pytest.raises(CheckpointError, match="kind is 'darts search' there and 'fbnet search' here"):
        run_one_shot(FBNet(other), other, data, SEARCH, settings={}, seed=0, directory=tmp_path)


def test_interrupted_by_max_steps_it_goes_on_bit_for_bit(tmp_path):
    data = tiny_data()
    whole, halves = tiny_space(), tiny_space()
    once = DARTS(whole, architecture_learning_rate=0.05)
    run_one_shot(once, whole, data, SEARCH, settings={}, seed=3)
    for max_steps in (5, None):
        strategy = DARTS(halves, architecture_learning_rate=0.05)
        run_one_shot(strategy, halves, data, SEARCH, settings={}, seed=3, directory=tmp_path, max_steps=max_steps)
    assert strategy.distribution() == once.distribution()
    for (name, one), other in zip(whole.state_dict().items(), halves.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_another_strategy_in_the_same_folder_is_refused(tmp_path):
    run(tmp_path / "run", "darts")
    with pytest.raises(RunDirectoryError, match='strategy is "darts" there and "fbnet" here'):
        run(tmp_path / "run", "fbnet")


def test_infeasible_is_said_before_any_step(tmp_path):
    with pytest.raises(InfeasibleError, match="params"):
        run(tmp_path / "run", "darts", ("params<=10",))
    assert not (tmp_path / "run" / "search").exists()


def test_a_penalty_on_latency_needs_a_device(tmp_path):
    options = {"profiler": "latency", "mode": "add"}
    from hwnas.errors import BudgetError

    with pytest.raises(BudgetError, match="A budget on latency needs a device"):
        search_each(
            tiny_space(), tiny_data(), (), strategy="fbnet", strategy_options=options, directory=tmp_path / "run"
        )


def test_several_processes_are_told_what_can_be_done_in_several(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"A search runs in one process: .*run_one_shot"):
        run(tmp_path / "run", "darts")
