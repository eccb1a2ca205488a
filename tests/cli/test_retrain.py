"""`hwnas retrain` after real searches on the digits, from configurations."""

import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from hwnas.cli.main import main
from hwnas.nn.families import family
from hwnas.store import TrialStore
from hwnas.train import load_supernet

DARTS = """
space = "darts_8"
strategy = "darts"
rivals = "none"
[data]
train_size = 120
search_size = 80
[search]
epochs = 1
batch_size = 40
[fine_tune]
epochs = 0.5
warmup_epochs = 0.0
batch_size = 40
"""
CERTIFIED = """
space = "mobilenet_v3_8"
budgets = ["params<=60%"]
rivals = "none"
[data]
train_size = 120
search_size = 80
[train]
epochs = 1
batch_size = 40
[fine_tune]
epochs = 0.5
warmup_epochs = 0.0
batch_size = 40
[short]
epochs = 0.5
warmup_epochs = 0.0
batch_size = 40
[strategy_options]
num_samples = 10
num_held_out = 4
num_candidates = 2
max_rounds = 1
num_finalists = 2
"""
QUICK = ("--epochs", "1", "--batch-size", "40")


def run(*arguments):
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return left.value.code


def searched(folder, text):
    (folder / "config.toml").write_text(text)
    assert run("search", folder / "config.toml", "--out", folder / "run") == 0
    return folder / "run"


@pytest.fixture(scope="module")
def darts_run(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("darts"), DARTS)


@pytest.fixture(scope="module")
def certified_run(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("certified"), CERTIFIED)


@pytest.fixture(scope="module")
def darts_retrained(darts_run):
    assert run("retrain", darts_run, *QUICK) == 0
    return darts_run / "retrain"


def retrained(capsys, *arguments):
    """What `hwnas retrain --json` gives for a run with one network."""
    capsys.readouterr()
    assert run("retrain", *arguments, "--json") == 0
    [result] = json.loads(capsys.readouterr().out)["results"]
    return result


def test_darts_is_trained_anew_by_its_own_recipe(darts_run, darts_retrained):
    folder = darts_retrained
    result = json.loads((folder / "result.json").read_text())
    found = json.loads((darts_run / "result.json").read_text())
    assert result["architecture"] == found["architecture"]
    assert result["splits"]["train"]["num_examples"] == 120 + 80
    assert result["splits"]["test"] == found["splits"]["test"]
    assert result["num_steps"] == 200 // 40
    recipe = result["recipe"]
    assert (recipe["auxiliary_weight"], recipe["drop_path_rate"], recipe["cutout"]) == (0.4, 0.2, 0.5)
    assert recipe["recipe"]["learning_rate"] == pytest.approx(0.025 * 40 / 96)
    assert "1806.09055" in recipe["source"]

    # The files hold the network of the final training, affine, without the auxiliary head, and agree.
    network = family("darts_8", affine=True).freeze(result["architecture"]).eval()
    network.load_state_dict(load_file(folder / "network.safetensors"))
    images = torch.randn(1, 1, 8, 8)
    session = onnxruntime.InferenceSession(folder / "network.onnx")
    [outputs] = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(outputs, network(images).numpy(), atol=1e-4)
    assert result["onnx_difference"] < 1e-4
    shapes = [tuple(tensor.dims) for tensor in onnx.load(folder / "network.onnx").graph.initializer]
    assert not [shape for shape in shapes if 768 in shape]  # the auxiliary head's width


def test_the_same_command_again_does_nothing_anew(darts_run, darts_retrained, capsys):
    first = json.loads((darts_retrained / "result.json").read_text())
    weights = (darts_retrained / "network.safetensors").read_bytes()
    assert run("retrain", darts_run, *QUICK) == 0
    printed = capsys.readouterr()
    assert "train: 5/5" not in printed.err  # no step is left
    assert "test accuracy" in printed.out
    assert f"network: {darts_retrained / 'network.onnx'}" in printed.out
    second = json.loads((darts_retrained / "result.json").read_text())
    del first["seconds"], second["seconds"]
    assert first == second
    assert (darts_retrained / "network.safetensors").read_bytes() == weights


def test_budgets_of_the_search_are_verified_again(certified_run, capsys):
    result = retrained(capsys, certified_run, *QUICK)
    assert result["directory"] == str(certified_run / "retrain")
    content = json.loads((certified_run / "retrain" / "result.json").read_text())
    assert content == {key: value for key, value in result.items() if key != "directory"}
    found = json.loads((certified_run / "result.json").read_text())
    assert result["budgets"] == found["budgets"]  # parameters are counted, the same as then
    assert [row["kept"] for row in result["budgets"]] == [True]
    assert "1812.00332" in result["recipe"]["source"]  # certified has no final recipe of its own
    space = family("mobilenet_v3_8")
    space.freeze(result["architecture"]).load_state_dict(load_file(certified_run / "retrain" / "network.safetensors"))


def test_weights_are_inherited_where_that_is_asked_for(certified_run, tmp_path, capsys):
    short = ("--epochs", "0.01", "--batch-size", "40")  # one small step
    inherited = retrained(capsys, certified_run, *short, "--inherit", "--out", tmp_path / "inherited")
    anew = retrained(capsys, certified_run, *short, "--from-scratch", "--out", tmp_path / "anew")
    assert (inherited["recipe"]["inherits"], anew["recipe"]["inherits"]) == (True, False)
    assert (inherited["num_steps"], anew["num_steps"]) == (1, 1)
    space = family("mobilenet_v3_8")
    load_supernet(space, certified_run / "supernet")
    network = space.freeze(inherited["architecture"])
    for folder, is_near in (("inherited", True), ("anew", False)):
        weights = load_file(tmp_path / folder / "network.safetensors")
        distance = max(float((weights[n] - p).detach().abs().max()) for n, p in network.named_parameters())
        assert (distance < 0.02) == is_near, (folder, distance)


def test_a_broken_budget_is_exit_code_3(certified_run, tmp_path, capsys):
    broken = shutil.copytree(certified_run, tmp_path / "run")
    content = json.loads((broken / "result.json").read_text())
    content["budgets"][0]["limit"] = 5.0
    (broken / "result.json").write_text(json.dumps(content))
    assert run("retrain", broken, *QUICK, "--out", tmp_path / "out") == 3
    printed = capsys.readouterr()
    assert "NO" in printed.out
    assert f"over budget: As measured now, budgets of the search are broken ({tmp_path / 'out'}: params)" in printed.err
    assert json.loads((tmp_path / "out" / "result.json").read_text())["budgets"][0]["kept"] is False


def test_what_cannot_be_retrained(darts_run, darts_retrained, tmp_path, capsys):
    def refused(*arguments):
        assert run("retrain", *arguments) == 2
        return " ".join(capsys.readouterr().err.split())

    assert f"{tmp_path} is no folder of a run (run.sqlite is missing)." in refused(tmp_path)
    assert f"{tmp_path / 'none'} is no folder of a run" in refused(tmp_path / "none")
    again = refused(darts_retrained)
    assert f"{darts_retrained} is the folder of a retraining. Give that of the search before it." in again
    other = refused(darts_run, "--epochs", "2", "--batch-size", "40")
    assert "run of another configuration: recipe.recipe.epochs is 1.0 there and 2.0 here" in other
    assert "`batch_size` must be at most the 200 training images; got 400." in refused(
        darts_run, "--batch-size", "400", "--out", tmp_path / "large"
    )
    assert "`epochs` must be a finite number above 0" in refused(darts_run, "--epochs", "0", "--out", tmp_path / "zero")
    changed = shutil.copytree(darts_run, tmp_path / "changed")
    with TrialStore(changed / "run.sqlite") as store:
        configuration = store.fact("configuration")
        configuration["data"]["search"] = "0" * 64
        store.set_fact("configuration", configuration)
    assert "of search the content differs. Put the files back" in refused(changed, *QUICK)


def test_a_search_that_is_not_finished(tmp_path, capsys):
    (tmp_path / "config.toml").write_text(CERTIFIED.replace("params<=60%", "params<=1"))
    assert run("search", tmp_path / "config.toml", "--out", tmp_path / "run") == 3  # infeasible: no result
    assert run("retrain", tmp_path / "run") == 2
    assert f"The search in {tmp_path / 'run'} is not finished. Give its command again" in capsys.readouterr().err


def test_help_has_an_example(capsys):
    assert run("retrain", "--help") == 0
    assert "hwnas retrain runs/mine --epochs 100 --batch-size 64" in " ".join(capsys.readouterr().out.split())
