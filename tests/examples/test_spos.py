"""examples/spos, its three programs one after the other as a user gives them, and what they refuse."""

import json
import shutil

import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from safetensors.torch import load_file

from hwnas.device import connect, measure, read_table
from hwnas.experiment.budgets import slug
from hwnas.nn.families import family, shufflenet_v2
from hwnas.profiler import LatencyProfiler
from hwnas.space import Architecture
from hwnas.store import TrialStore
from hwnas.testing.layouts import write_image_folder
from hwnas.train import load_supernet
from tests.examples import programs
from tests.examples.programs import call

SMOKE = {"resolution": 32, "num_classes": 4, "widths": (16, 24), "depths": (1, 2), "stem_channels": 8}
SMOKE |= {"last_channels": 64}


def run(program, *arguments):
    """What the program prints, run as a user does."""
    done = programs.run(program, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def smoke_space(**options):
    return shufflenet_v2(**SMOKE, **options)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Of the space's latencies on this machine, as thorough as a smoke run's."""
    path = tmp_path_factory.mktemp("table") / "latency.sqlite"
    measure(smoke_space(), connect("onnxruntime:cpu"), out=path, repeats=1, calibrate=3)
    return path


@pytest.fixture(scope="module")
def supernet(tmp_path_factory):
    """The folder that the three programs share."""
    out = tmp_path_factory.mktemp("spos")
    assert "6 steps" in run("spos/supernet.py", "--smoke", "--out", out, "--spos-preprocessing")  # 51 images twice
    return out


@pytest.fixture(scope="module")
def searched(table, supernet):
    """The folder, and a threshold that the slower networks of the space are over."""
    cost = LatencyProfiler(smoke_space(), read_table(table), z=1.0).cost
    threshold_ms = 0.3 * cost.minimum().value + 0.7 * cost.maximum().value
    limit = ("--latency_filter", "onnxruntime:cpu", "--latency_threshold_ms", threshold_ms, "--latency-table", table)
    run("spos/search.py", "--smoke", "--out", supernet, "--spos-preprocessing", *limit)
    return supernet, threshold_ms


def content_of(path):
    return json.loads(path.read_text())


def outputs_agree(folder, network, images):
    """Whether the ONNX file in `folder` computes what `network` does with the weights beside it."""
    network.load_state_dict(load_file(folder / "network.safetensors"))
    with torch.no_grad():
        expected = network.eval()(images)
    [output] = ReferenceEvaluator(onnx.load(folder / "network.onnx")).run(None, {"input_0": images.numpy()})
    return torch.allclose(torch.tensor(output), expected, atol=1e-4)


def test_the_architecture_keeps_the_threshold_as_measured(searched):
    out, threshold_ms = searched
    result = content_of(out / "search" / "result.json")
    [row] = result["budgets"]
    assert (row["profiler"], row["unit"], row["kept"]) == ("latency", "ms", True)
    assert row["limit"] == pytest.approx(threshold_ms)
    assert max(row["predicted"], row["measured"]) <= threshold_ms
    assert content_of(out / "search" / "architecture.json") == result["architecture"]
    architecture = smoke_space().space.validate(Architecture.from_json(result["architecture"]))
    assert outputs_agree(out / "search", smoke_space().freeze(architecture), 255 * torch.rand(1, 3, 32, 32))


def test_no_architecture_over_the_threshold_was_evaluated(table, searched):
    out, threshold_ms = searched
    profiler = LatencyProfiler(smoke_space(), read_table(table), z=1.0)
    with TrialStore(out / "search" / "run.sqlite") as store:
        trials = store.trials(slug([profiler.at_most(threshold_ms)]))
    assert len(trials) == 12  # the cycles of a smoke run
    latencies = [profiler.profile(Architecture.from_json(trial.architecture)) for trial in trials]
    assert max(latencies) <= threshold_ms < profiler.max()


def test_evaluation_trains_what_was_found(searched):
    out, _ = searched
    printed = run("spos/evaluation.py", "--smoke", "--out", out, "--spos-preprocessing")
    result = content_of(out / "evaluation" / "result.json")
    assert f"network: {out / 'evaluation' / 'network.onnx'}" in printed
    assert result["architecture"] == content_of(out / "search" / "architecture.json")
    assert result["splits"]["train"]["num_examples"] == 64  # those of the search as well
    assert result["recipe"]["recipe"]["schedule"] == "linear"
    architecture = Architecture.from_json(result["architecture"])
    network = smoke_space(affine=True).freeze(architecture)
    assert outputs_agree(out / "evaluation", network, 255 * torch.rand(1, 3, 32, 32))


def test_again_nothing_is_done_twice(searched):
    out, _ = searched
    files = [out / "supernet" / "step-000000006.safetensors", out / "search" / "network.safetensors"]
    before = [path.read_bytes() for path in files]
    assert call("spos/supernet.py", "--smoke", "--out", out, "--spos-preprocessing") == 0
    assert [path.read_bytes() for path in files] == before


def test_weights_from_a_published_file(supernet, tmp_path, capsys):
    trained = smoke_space()
    load_supernet(trained, supernet / "supernet")
    published = tmp_path / "checkpoint.pth.tar"
    torch.save({"state_dict": {f"module.{name}": t for name, t in trained.module.state_dict().items()}}, published)
    few = ("--strategy", "spos", "--evolution-population-size", 2, "--evolution-cycles", 3)
    arguments = ("--smoke", "--out", tmp_path / "out", *few, "--flops-limit", 1e6, "--budget", "params<=1M")
    assert call("spos/search.py", *arguments, "--checkpoint", published) == 0
    assert "were trained with --spos-preprocessing" in capsys.readouterr().err
    used = smoke_space()
    load_supernet(used, tmp_path / "out" / "published")
    assert all(torch.equal(tensor, used.state_dict()[name]) for name, tensor in trained.state_dict().items())
    budgets = content_of(tmp_path / "out" / "search" / "result.json")["budgets"]
    kept = {row["profiler"]: (row["limit"], row["kept"]) for row in budgets}
    assert kept == {"params": (1e6, True), "macs": (1e6, True)}


def test_random_search_has_as_many_evaluations(supernet, tmp_path):
    shutil.copytree(supernet / "supernet", tmp_path / "supernet")
    few = ("--strategy", "random", "--evolution-cycles", 3, "--flops-limit", 1e6)
    assert call("spos/search.py", "--smoke", "--out", tmp_path, *few) == 0
    [row] = content_of(tmp_path / "search" / "result.json")["budgets"]
    assert (row["profiler"], row["limit"], row["kept"]) == ("macs", 1e6, True)
    with TrialStore(tmp_path / "search" / "run.sqlite") as store:
        [study] = store.studies()
        assert len(store.trials(study)) == 3


def test_a_threshold_that_nothing_keeps(table, supernet, tmp_path, capsys):
    shutil.copytree(supernet / "supernet", tmp_path / "supernet")
    limit = ("--latency-filter", "onnxruntime:cpu", "--latency-threshold-ms", 1e-6, "--latency-table", table)
    assert call("spos/search.py", "--smoke", "--out", tmp_path, *limit) == 3
    assert "infeasible: " in capsys.readouterr().err


def test_what_is_refused(supernet, tmp_path, capsys):
    out = ("--smoke", "--out", tmp_path / "out")

    def said(program, *arguments):
        assert call(f"spos/{program}.py", *arguments) == 2
        return capsys.readouterr().err

    assert "Unknown device 'cortexA76cpu_tflite21'. Known are: onnxruntime:cpu" in said(
        "search", *out, "--latency-filter", "cortexA76cpu_tflite21"
    )
    assert "Train one with supernet.py, or give --checkpoint" in said("search", *out, "--flops-limit", "1e6")
    other = tmp_path / "other.pth.tar"
    torch.save({"state_dict": family("proxylessnas_8").module.state_dict()}, other)
    assert "missing" in said("search", *out, "--checkpoint", other)
    assert "architecture file" in said("evaluation", *out, "--fixed-arc", tmp_path / "none.json")
    assert "stage" in said("evaluation", *out, "--fixed-arc", "spos")  # is not of the small space
    for program in ("supernet", "search", "evaluation"):
        arguments = ("--data-dir", tmp_path / "nowhere", "--out", supernet)
        assert "images must lie in" in said(program, *arguments)
    broken = write_image_folder(tmp_path / "broken", num_classes=2, train_per_class=2, val_per_class=1)
    next(broken.glob("val/n00000002/*")).unlink()
    assert "Every class needs at least one image" in said("supernet", "--data-dir", broken, "--out", tmp_path / "new")


@pytest.mark.parametrize(
    ("program", "names"),
    [
        ("supernet", "--spos-preprocessing --batch-size --epochs --learning-rate --workers --momentum --weight-decay"),
        (
            "search",
            "--spos-preprocessing --latency-filter --latency-threshold-ms --evolution-sample-size --checkpoint "
            "--evolution-population-size --evolution-cycles --flops-limit --imagenet-dir",
        ),
        ("evaluation", "--spos-preprocessing --fixed-arc --batch-size --epochs --learning-rate"),
    ],
)
def test_help_names_the_options(program, names, capsys):
    assert call(f"spos/{program}.py", "--help") == 0
    text = capsys.readouterr().out
    assert all(f"{name}" in text for name in names.split())
    assert "Example:  python examples/spos/" in text
