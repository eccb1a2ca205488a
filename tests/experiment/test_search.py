"""The whole search in seconds, on a fake device; once on the real one, as a library."""

import json

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file

import hwnas
import hwnas.device
from hwnas.errors import (
    BudgetError,
    CheckpointError,
    ConfigError,
    DataError,
    FingerprintError,
    InfeasibleError,
    RunDirectoryError,
)
from hwnas.experiment import search
from hwnas.experiment.trials import TrialOptions
from hwnas.nn import ModelSpace
from hwnas.testing.fake_runtime import FakeRuntime
from tests.experiment.examples import OPTIONS, RECIPE, SHORT, TinyNet, tiny_data, tiny_search, tiny_space


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    return directory, tiny_search(directory / "run", ("latency<=60%", "params<=90%"), rivals="train")[0]


def test_every_file_is_there_and_says_the_same(finished):
    _, result = finished
    folder = result.directory
    content = json.loads((folder / "result.json").read_text())
    assert json.loads((folder / "architecture.json").read_text()) == content["architecture"]
    assert content == json.loads(json.dumps(result.to_json()))
    for key in ("architecture", "budgets", "certificate", "estimate", "fingerprint", "splits", "test_accuracy", "seed"):
        assert content[key] not in (None, {}, [])
    assert {"versions", "seconds", "rivals", "note"} <= set(content)
    assert set(content["budgets"][0]) == {"profiler", "limit", "predicted", "measured", "unit", "kept"}
    assert set(content["certificate"]) == {"objective", "bound", "gap", "status"}
    assert {"measure", "train supernet", "search", "settle", "fine-tune", "verify"} <= set(content["seconds"])
    onnx.checker.check_model(onnx.load(folder / "network.onnx"))
    assert "plotly" in (folder / "report.html").read_text()
    assert len((folder / "front.csv").read_text().splitlines()) > 2
    assert (folder / "table.sqlite").is_file()


def test_budgets_are_kept_as_measured_with_gap_zero(finished):
    _, result = finished
    assert [row.profiler for row in result.budgets] == ["latency", "params"]
    for row in result.budgets:
        assert row.kept
        assert row.measured <= row.limit
    assert result.certificate.status == "optimal"
    assert result.certificate.gap == 0.0
    assert result.onnx_difference < 1e-4


def test_the_weights_are_those_of_the_frozen_network(finished):
    _, result = finished
    network = tiny_space().freeze(result.architecture)
    network.load_state_dict(load_file(result.directory / "network.safetensors"))
    assert sum(p.numel() for p in network.parameters()) == result.budgets[1].measured
    x = torch.randn(1, 1, 8, 8)
    session = onnx.reference.ReferenceEvaluator(onnx.load(result.directory / "network.onnx"))
    with torch.no_grad():
        expected = network.eval()(x).numpy()
    np.testing.assert_allclose(session.run(None, {"input_0": x.numpy()})[0], expected, atol=1e-4)
    copy = result.export(result.directory / "copy.onnx")
    assert copy.read_bytes() == (result.directory / "network.onnx").read_bytes()


def test_rivals_are_trained_and_measured_alike(finished):
    _, result = finished
    names = [rival.name for rival in result.rivals]
    assert names[0] == "largest-macs-feasible"
    assert names[1].startswith("best-of-")
    for rival in result.rivals:
        assert rival.measured["latency"] <= result.budgets[0].limit
        assert 0.0 <= rival.test_accuracy <= 1.0


def test_again_does_nothing_and_gives_the_same(finished, tmp_path):
    directory, result = finished
    log = tmp_path / "log"
    again = tiny_search(directory / "run", ("latency<=60%", "params<=90%"), rivals="train", log=log)[0]
    ours, theirs = again.to_json(), result.to_json()
    del ours["seconds"], theirs["seconds"]
    assert ours == theirs
    advances = [json.loads(line) for line in log.read_text().splitlines()]
    assert not [advance for advance in advances if advance[0] in ("train supernet", "fine-tune") and advance[1]]


def test_another_configuration_is_refused(finished):
    directory, _ = finished
    with pytest.raises(RunDirectoryError, match="seed is 1 there and 2 here"):
        tiny_search(directory / "run", ("latency<=60%", "params<=90%"), rivals="train", seed=2)


def test_several_budgets_give_several_networks_from_one_supernet(tmp_path):
    results = tiny_search(tmp_path / "run", ("macs<=40%", "macs<=90%"), rivals="none")
    assert len(results) == 2
    assert len({result.directory for result in results}) == 2
    for result in results:
        (row,) = result.budgets
        assert row.measured <= row.limit
        assert (result.directory / "result.json").is_file()
    assert (tmp_path / "run" / "supernet").is_dir()
    with pytest.raises(BudgetError, match="Two limits on macs are two networks; call `search_each`"):
        search(tiny_space(), tiny_data(), ["macs<=40%", "macs<=90%"])


@pytest.mark.parametrize("strategy", ["random", "evolution"])
def test_other_strategies(tmp_path, strategy):
    options = {"max_trials": 6} | ({"population_size": 4, "sample_size": 2} if strategy == "evolution" else {})
    (result,) = tiny_search(
        tmp_path / "run", ("macs<=60%", "size<=90%", "memory<=100%"), strategy=strategy, strategy_options=options
    )
    assert result.certificate is None
    assert [row.kept for row in result.budgets] == [True, True, True]


def test_an_infeasible_budget_is_said_before_training(tmp_path):
    log = tmp_path / "log"
    with pytest.raises(InfeasibleError, match=r"latency.*least achievable") as caught:
        tiny_search(tmp_path / "run", ("latency<=1us",), log=log)
    assert caught.value.least["latency"] > 0.001
    assert "train supernet" not in log.read_text()


def test_data_of_another_shape(tmp_path):
    space = ModelSpace(TinyNet(), torch.zeros(1, 1, 9, 9))
    with pytest.raises(DataError, match="shape"):
        search(space, tiny_data(), ["macs<=50%"], directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_seed_that_no_generator_takes(tmp_path):
    with pytest.raises(ConfigError, match=r"`seed` must be a whole number of at most 9223372036854775807; got 9+\."):
        tiny_search(tmp_path / "run", seed=99999999999999999999999999999)
    assert not (tmp_path / "run").exists()


def test_a_latency_budget_needs_a_device(tmp_path):
    with pytest.raises(BudgetError, match="needs a device"):
        tiny_search(tmp_path / "run", device=None)


def test_a_wrong_supernet_is_said_before_anything_is_measured(tmp_path):
    log = tmp_path / "log"
    with pytest.raises(CheckpointError, match="nowhere"):
        tiny_search(tmp_path / "run", supernet=tmp_path / "nowhere", log=log)
    assert not log.exists()  # no phase was begun
    assert not (tmp_path / "run").exists()


def test_a_table_of_another_device(tmp_path):
    table = tmp_path / "table.sqlite"
    hwnas.measure(tiny_space(), FakeRuntime(), out=table, repeats=1, calibrate=0)
    with pytest.raises(FingerprintError, match="batch_size is 1 there and 2 here"):
        tiny_search(tmp_path / "run", device=FakeRuntime(batch_size=2), table=table)


def test_as_a_library_on_the_real_device(tmp_path):
    space = hwnas.ModelSpace(TinyNet(), torch.zeros(1, 1, 8, 8))
    device = hwnas.connect("onnxruntime:cpu", threads=1)
    table = hwnas.measure(space, device, out=tmp_path / "table.sqlite", repeats=2, calibrate=4)
    latency = hwnas.LatencyProfiler(space, table)
    result = hwnas.search(
        space,
        tiny_data(),
        budgets=[latency.at_most(3.0 * latency.max())],
        strategy="certified",
        strategy_options=OPTIONS,
        recipe=RECIPE,
        fine_tune=SHORT,
        short=SHORT,
    )
    assert result.budgets[0].kept
    assert result.fingerprint.runtime == "onnxruntime"
    assert result.export(tmp_path / "net.onnx").is_file()
    again = hwnas.device.read_table(tmp_path / "table.sqlite")
    assert again == table  # finished before: the search has measured nothing into it


def test_exploring_in_full_under_a_budget_that_one_network_keeps(tmp_path):
    params = hwnas.NumParamsProfiler(tiny_space())
    budget = f"params<={params.min():.0f}"
    [result] = tiny_search(tmp_path / "run", (budget,), strategy_options={**OPTIONS, "explore": "full"})
    assert params.profile(result.architecture) == params.min()
    assert result.estimate is None  # there was nothing to compare
    assert (result.directory / "report.html").is_file()


def test_objects_of_this_process_are_searched_in_line_only(tmp_path):
    with pytest.raises(ConfigError, match=r"runs its trials in line.*got the executor 'processes'"):
        tiny_search(tmp_path / "run", trials=TrialOptions(executor="processes"))
    assert not (tmp_path / "run").exists()
