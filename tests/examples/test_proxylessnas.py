"""examples/proxylessnas, its two modes one after the other as a user gives them, and what they refuse."""

import json

import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from safetensors.torch import load_file

from hwnas.device import connect, measure, read_table
from hwnas.nn.families import proxylessnas
from hwnas.profiler import LatencyProfiler
from hwnas.space import Architecture
from tests.examples.programs import call, run

PROGRAM = "proxylessnas/main.py"
SMOKE = {"resolution": 32, "num_classes": 4, "widths": (16, 24), "strides": (2, 1), "depths": (2, 1), "kernels": (3, 5)}
SMOKE |= {"expansions": (3,), "stem_channels": 8, "first_channels": 8, "head_channels": 64}
DEVICE = ("--applied_hardware", "onnxruntime:cpu")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Of the space's latencies on this machine, as thorough as a smoke run's."""
    path = tmp_path_factory.mktemp("table") / "latency.sqlite"
    measure(proxylessnas(**SMOKE), connect("onnxruntime:cpu"), out=path, repeats=1, calibrate=3)
    return path


@pytest.fixture(scope="module")
def searched(table, tmp_path_factory):
    """The folder, and a limit that the slowest networks of the space are over; the reference is the README's."""
    out = tmp_path_factory.mktemp("proxylessnas")
    cost = LatencyProfiler(proxylessnas(**SMOKE), read_table(table), z=1.0).cost
    least_ms, most_ms = cost.minimum().value, cost.maximum().value
    limit_ms = 0.3 * least_ms + 0.7 * most_ms
    reference = ("--reference_latency", 20, "--grad_reg_loss_type", "add#linear")
    limit = ("--budget", f"latency<={limit_ms}ms", "--arch_path", out / "mine" / "arch.json")
    done = run(PROGRAM, "--smoke", "--out", out, *DEVICE, *reference, *limit, "--latency-table", table)
    assert done.returncode == 0, done.stderr
    assert f"--reference-latency-ms is {(least_ms + most_ms) / 2:.4g} here." in " ".join(done.stderr.split())
    return out, limit_ms


def content_of(path):
    return json.loads(path.read_text())


def test_the_budget_is_kept_as_measured(searched):
    out, limit_ms = searched
    result = content_of(out / "search" / "result.json")
    [row] = result["budgets"]
    assert (row["profiler"], row["unit"], row["kept"]) == ("latency", "ms", True)
    assert row["limit"] == pytest.approx(limit_ms)
    assert max(row["predicted"], row["measured"]) <= limit_ms
    assert content_of(out / "mine" / "arch.json") == result["architecture"]


def test_the_file_computes_what_the_network_does(searched):
    out, _ = searched
    architecture = Architecture.from_json(content_of(out / "search" / "architecture.json"))
    network = proxylessnas(**SMOKE).freeze(architecture)
    network.load_state_dict(load_file(out / "search" / "network.safetensors"))
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        expected = network.eval()(images)
    model = ReferenceEvaluator(onnx.load(out / "search" / "network.onnx"))
    [output] = model.run(None, {"input_0": images.numpy()})
    torch.testing.assert_close(torch.tensor(output), expected, rtol=0, atol=1e-4)


def test_an_architecture_from_a_file_is_retrained(searched, tmp_path):
    out, _ = searched
    given = ("--train-mode", "retrain", "--exported_arch_path", out / "mine" / "arch.json")
    assert call(PROGRAM, "--smoke", "--out", tmp_path, *given) == 0
    result = content_of(tmp_path / "retrain" / "result.json")
    assert result["architecture"] == content_of(out / "mine" / "arch.json")
    assert (result["recipe"]["recipe"]["epochs"], result["budgets"]) == (2.0, [])


def test_two_limits_are_two_networks_and_both_are_retrained(tmp_path):
    out = tmp_path / "out"
    limits = ("--budget", "macs<=70%", "--budget", "macs<=90%", "--arch-path", tmp_path / "arch.json")
    assert call(PROGRAM, "--smoke", "--out", out, *limits, "--epochs", 2) == 0
    assert not (out / "latency.sqlite").exists()  # nothing is about latency
    folders = sorted((out / "search").glob("macs-*"))
    assert len(folders) == 2
    assert sorted(path.stem for path in tmp_path.glob("*.json")) == [folder.name for folder in folders]
    assert call(PROGRAM, "--smoke", "--out", out, "--train_mode", "retrain") == 0
    for folder in folders:
        result = content_of(out / "retrain" / folder.name / "result.json")
        assert result["architecture"] == content_of(tmp_path / f"{folder.name}.json")
        assert [row["kept"] for row in result["budgets"]] == [True]
        assert result["splits"]["train"]["num_examples"] == 64  # those of the search as well


def test_what_is_refused(tmp_path, capsys):
    def said(*arguments):
        assert call(PROGRAM, *arguments) == 2
        return capsys.readouterr().err

    smoke = ("--smoke", "--out", tmp_path / "out")
    for device in ("cortexA76cpu_tflite21", "myriadvpu_openvino2019r2"):
        message = said(*smoke, "--applied_hardware", device, "--reference_latency", 65)
        assert f"Unknown device '{device}'. Known are: onnxruntime:cpu" in message
    assert "go together; got 'onnxruntime:cpu' and None" in said(*smoke, *DEVICE)
    assert "go together; got None and 65.0" in said(*smoke, "--reference-latency-ms", 65)
    assert "must be square colour images, as in 1,3,224,224; got '1,3,2'" in said(*smoke, "--dummy_input", "1,3,2")
    assert "images must lie in" in said("--data-dir", tmp_path / "nowhere", "--out", tmp_path / "new")
    retrain = ("--smoke", "--train_mode", "retrain", "--out", tmp_path / "none")
    assert "none" in said(*retrain)
    assert "architecture file" in said(*retrain, "--exported_arch_path", tmp_path / "none.json")
    assert "proxyless-gpu" in said(*retrain, "--exported_arch_path", "proxyless-gpu")


def test_help_names_the_options(capsys):
    assert call(PROGRAM, "--help") == 0
    text = capsys.readouterr().out
    names = (
        "applied_hardware reference_latency reference-latency-ms grad_reg_loss_type grad_reg_loss_lambda epochs "
        "grad_reg_loss_alpha grad_reg_loss_beta dummy_input arch_path train_mode exported_arch_path warmup-epochs "
        "learning-rate arc_learning_rate batch_size workers"
    )
    for name in names.split():
        assert f"--{name} " in text, name
    assert "in milliseconds" in text
