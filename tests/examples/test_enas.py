"""examples/enas: both searches as a user gives them, what they write, that they go on, and what they refuse."""

import json

import pytest
import torch
from safetensors.torch import load_file

from hwnas.cli import main as cli
from hwnas.device import connect, onnx_agrees
from hwnas.nn.families import enas_macro, enas_micro
from hwnas.space import Architecture
from tests.examples.programs import call, names, run

SEARCH = "enas/search.py"
MAKE = {
    "macro": lambda: enas_macro(filters=4, num_layers=3),  # of --smoke
    "micro": lambda: enas_micro(channels=4, num_cells=3, num_nodes=2),
}


@pytest.fixture(scope="module", params=MAKE)
def searched(request, tmp_path_factory):
    """Which search, its arguments and its folder."""
    out = tmp_path_factory.mktemp("enas")
    arguments = ("--smoke", "--search-for", request.param, "--out", out, "--budget", "params<=80%")
    done = run(SEARCH, *arguments)
    assert done.returncode == 0, done.stderr
    assert "network: " in done.stdout
    return request.param, arguments, out / request.param


def result(folder):
    content = json.loads((folder / "result.json").read_text())
    del content["seconds"]
    return content


def test_a_search_writes_an_architecture_that_keeps_the_budget(searched):
    kind, _, folder = searched
    content, space = result(folder), MAKE[kind]()
    found = Architecture.from_json(json.loads((folder / "architecture.json").read_text()))
    assert found == space.space.validate(Architecture.from_json(content["architecture"]))
    assert "samples of the controller on 1 validation batches" in content["note"]
    network = space.freeze(found).eval()
    assert [(row["profiler"], row["kept"]) for row in content["budgets"]] == [("params", True)]
    assert content["budgets"][0]["measured"] == sum(parameter.numel() for parameter in network.parameters())
    network.load_state_dict(load_file(folder / "network.safetensors"))
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert onnx_agrees(folder / "network.onnx", network, (images,), connect("onnxruntime:cpu"), tolerance=1e-4)


def test_the_same_search_again_ends_the_same(searched):
    _, arguments, folder = searched
    before = result(folder)
    assert call(SEARCH, *arguments) == 0
    assert result(folder) == before


def test_hwnas_retrain_does_the_final_training(searched, capsys):
    """As the folder's README.md says; it is short here, and the recipe is that of the kind of network."""
    kind, _, folder = searched
    with pytest.raises(SystemExit, match="0"):
        cli.main(["retrain", str(folder), "--epochs", "0.2", "--batch-size", "32"])
    assert "test accuracy " in capsys.readouterr().out
    recipe = result(folder / "retrain")["recipe"]
    assert f"scripts/cifar10_{kind}_final.sh" in recipe["source"]


def test_the_defaults_are_the_papers():
    """Section 3.2 and appendix C of the paper, and the scripts of its program."""
    program = names(SEARCH)
    given = program["options"]().parse_args([])
    assert (given.search_for, program["EPOCHS"]) == ("macro", {"macro": 310, "micro": 150})
    assert (given.batch_size, given.learning_rate, given.grad_clip) == (128, 0.05, 5)
    assert (given.entropy_weight, given.skip_weight, given.skip_target, given.baseline_decay) == (1e-4, 0.8, 0.4, 0.999)
    assert (given.ctrl_lr, given.ctrl_steps_aggregate, given.lstm_size, given.tanh_constant) == (3.5e-4, 20, 64, 1.5)
    # The part that weights learn from is 45,000 images: 351 steps an epoch, for 50 of the controller.
    assert 45_000 // given.batch_size // given.steps_per_controller_step == 50


def test_help_names_the_options_and_an_example(capsys):
    assert call(SEARCH, "--help") == 0
    text = capsys.readouterr().out
    options = (
        *("--search-for", "--epochs", "--batch_size", "--grad_clip", "--entropy_weight", "--skip_weight"),
        *("--baseline_decay", "--ctrl_lr", "--ctrl_steps_aggregate", "--data-dir", "--smoke", "--budget", "--device"),
    )
    assert [part for part in (*options, "Example:  python", "default: ") if part not in text] == []


def test_what_is_wrong_is_said_in_a_line(tmp_path, capsys):
    no_data = ("--data-dir", tmp_path / "none", "--out", tmp_path / "out")
    for arguments, words in (
        (no_data, "cifar-10-batches-py"),
        ((*no_data, "--epochs", "-1"), "`epochs` must be a finite number above 0"),
        ((*no_data, "--epochs", "0"), "`epochs` must be a finite number above 0; got 0"),
        ((*no_data, "--budget", "params<=4parsecs"), "4parsecs"),
        (("--smoke", "--out", tmp_path / "smoke", "--ctrl-lr", "0"), "`controller_learning_rate` must be a finite"),
        (("--smoke", "--out", tmp_path / "other", "--device", "cortexA76", "--budget", "latency<=1ms"), "cortexA76"),
    ):
        assert call(SEARCH, *arguments) == 2
        said = capsys.readouterr().err
        assert words in said
        assert (said.startswith("error: "), said.count("\n")) == (True, 1)


def test_a_budget_that_no_network_keeps_is_exit_code_3(tmp_path, capsys):
    assert call(SEARCH, "--smoke", "--out", tmp_path, "--budget", "params<=10") == 3
    assert "least achievable" in capsys.readouterr().err
