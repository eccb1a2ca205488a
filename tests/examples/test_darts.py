"""examples/darts: both programs as a user gives them, what they write, that they go on, and what they refuse."""

import json
import signal
import subprocess
import time

import pytest
import torch
from safetensors.torch import load_file

from hwnas.data import cifar10
from hwnas.device import connect, onnx_agrees
from hwnas.nn.families import DARTS_NETWORKS, darts
from hwnas.space import Architecture
from hwnas.train import evaluate_accuracy
from tests.examples.programs import call, command, names, run

SEARCH, RETRAIN = "darts/search.py", "darts/retrain.py"
SMALL = {"channels": 2, "num_cells": 3, "num_nodes": 2}  # of --smoke
BUDGET = ("--budget", "params<=80%")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder of a search."""
    folder = tmp_path_factory.mktemp("darts") / "out"
    done = run(SEARCH, "--smoke", "--out", folder, *BUDGET)
    assert done.returncode == 0, done.stderr
    assert "network: " in done.stdout
    return folder


@pytest.fixture(scope="module")
def retrained(out):
    """The same folder, with the final training of what was found."""
    done = run(RETRAIN, "--smoke", "--out", out, "--arch-checkpoint", out / "search" / "architecture.json")
    assert done.returncode == 0, done.stderr
    assert "test accuracy " in done.stdout
    return out


def result(folder):
    content = json.loads((folder / "result.json").read_text())
    del content["seconds"]
    return content


def test_a_search_writes_an_architecture_that_keeps_the_budget(out):
    content = result(out / "search")
    found = Architecture.from_json(json.loads((out / "search" / "architecture.json").read_text()))
    assert found == darts(**SMALL).space.validate(Architecture.from_json(content["architecture"]))
    assert [(row["profiler"], row["kept"]) for row in content["budgets"]] == [("params", True)]
    # A network of its own has as many parameters as the result says.
    parameters = darts(**SMALL).freeze(found).parameters()
    assert content["budgets"][0]["measured"] == sum(parameter.numel() for parameter in parameters)
    sizes = {name: part["num_examples"] for name, part in content["splits"].items()}
    assert sizes == {"train": 128, "search": 128, "test": 40}  # halves, as in the paper
    assert (out / "search" / "report.html").is_file()
    assert (out / "smoke-data" / "cifar-10-batches-py" / "data_batch_5").is_file()


def test_the_same_search_again_ends_the_same(out):
    before = result(out / "search")
    assert call(SEARCH, "--smoke", "--out", out, *BUDGET) == 0
    assert result(out / "search") == before


def test_another_search_in_the_same_folder_is_refused(out, capsys):
    assert call(SEARCH, "--smoke", "--out", out, *BUDGET, "--unrolled") == 2
    assert "unrolled is false there and true here" in capsys.readouterr().err


def test_the_final_network_is_that_of_the_file_and_of_the_weights(retrained):
    folder = retrained / "retrain"
    content = result(folder)
    assert content["architecture"] == result(retrained / "search")["architecture"]
    recipe = content["recipe"]
    assert (recipe["auxiliary_weight"], recipe["drop_path_rate"], recipe["cutout"]) == (0.4, 0.2, 0.5)
    assert content["splits"]["train"]["num_examples"] == 256  # the search part as well
    network = darts(**SMALL, affine=True).freeze(Architecture.from_json(content["architecture"])).eval()
    network.load_state_dict(load_file(folder / "network.safetensors"))
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert onnx_agrees(folder / "network.onnx", network, (images,), connect("onnxruntime:cpu"), tolerance=1e-4)
    data = cifar10(retrained / "smoke-data", seed=0)
    assert evaluate_accuracy(network, data.test, data.task).accuracy == pytest.approx(content["test_accuracy"])


def test_killed_it_goes_on_and_ends_the_same(retrained, tmp_path):
    arguments = ("--smoke", "--out", tmp_path, "--arc-checkpoint", retrained / "search" / "architecture.json")
    with subprocess.Popen(command(RETRAIN, *arguments)) as process:
        while process.poll() is None and not list((tmp_path / "retrain" / "training").glob("step-*.safetensors")):
            time.sleep(0.01)  # until the checkpoint of the first of two epochs
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "retrain" / "result.json").exists()
    assert call(RETRAIN, *arguments) == 0
    one, other = (load_file(folder / "retrain" / "network.safetensors") for folder in (retrained, tmp_path))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert result(tmp_path / "retrain") == result(retrained / "retrain")


def test_a_published_architecture_is_trained_by_its_name(tmp_path):
    short = ("--smoke", "--nodes", 4, "--epochs", 0.2)
    assert call(RETRAIN, *short, "--out", tmp_path, "--arch-checkpoint", "darts-v1") == 0
    expected = Architecture(DARTS_NETWORKS["darts-v1"].architecture)
    assert Architecture.from_json(result(tmp_path / "retrain")["architecture"]) == expected


def test_the_defaults_are_the_papers():
    """Sections 3.1 and A.1 of the paper."""
    search = names(SEARCH)["options"]().parse_args([])
    assert (search.epochs, search.batch_size, search.learning_rate, search.grad_clip) == (50, 64, 0.025, 5)
    assert (search.arc_learning_rate, search.unrolled) == (3e-4, False)
    assert (search.channels, search.layers, search.nodes, search.search_size) == (16, 8, 4, 25_000)
    final = names(RETRAIN)["options"]().parse_args([])
    assert (final.epochs, final.batch_size, final.channels, final.layers, final.nodes) == (600, 96, 36, 20, 4)
    assert (final.aux_weight, final.drop_path_prob) == (0.4, 0.2)


@pytest.mark.parametrize(
    ("program", "options"),
    [
        (SEARCH, ("--epochs", "--batch_size", "--learning_rate", "--grad_clip", "--arc_learning_rate", "--unrolled")),
        (RETRAIN, ("--arch-checkpoint", "--arc-checkpoint", "--epochs", "--batch_size", "--layers", "--channels")),
    ],
)
def test_help_names_the_options_and_an_example(program, options, capsys):
    assert call(program, "--help") == 0
    text = capsys.readouterr().out
    assert [
        option for option in (*options, "--data-dir", "--smoke", "Example:  python", "default: ") if option not in text
    ] == []


def test_what_is_wrong_is_said_in_a_line(tmp_path, capsys):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "other.json").write_text('{"stage1.depth": 2}')
    no_data = ("--data-dir", tmp_path / "none", "--out", tmp_path / "out")
    for program, arguments, words in (
        (SEARCH, no_data, "cifar-10-batches-py"),
        (SEARCH, (*no_data, "--budget", "latency<=5"), "latency<=5"),
        (RETRAIN, (*no_data, "--arch-checkpoint", "darts-v1"), "cifar-10-batches-py"),
        (RETRAIN, no_data, f"{tmp_path / 'out' / 'search' / 'architecture.json'}' cannot be read: No such file"),
        (RETRAIN, (*no_data, "--arch-checkpoint", tmp_path / "bad.json"), "bad.json is not valid JSON"),
        (RETRAIN, (*no_data, "--arch-checkpoint", tmp_path / "other.json"), "stage1.depth"),
        (RETRAIN, (*no_data, "--arch-checkpoint", "spos"), "'spos' is a network of the space shufflenet_v2"),
    ):
        assert call(program, *arguments) == 2
        said = capsys.readouterr().err
        assert words in said
        assert (said.startswith("error: "), said.count("\n")) == (True, 1)
