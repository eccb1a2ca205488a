"""Retraining from Python on a fake device: budgets as measured, killed and resumed, and with wrong arguments."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hwnas.errors import ArchitectureError, BudgetError, ConfigError, FingerprintError, RunDirectoryError, SpaceError
from hwnas.experiment import retrain, retrain_configured
from hwnas.experiment.found_network import found_networks
from hwnas.nn import ModelSpace
from hwnas.nn.families import family
from hwnas.space import Architecture
from hwnas.testing.fake_runtime import FakeRuntime
from hwnas.train import FinalRecipe, Recipe
from tests.experiment.examples import TinyNet, tiny_data, tiny_search, tiny_space

FINAL = FinalRecipe(recipe=Recipe(epochs=3, batch_size=32, learning_rate=0.05), cutout=0.25, source="this test")
BUDGETS = ("latency<=60%", "latency<=90%", "params<=90%")


def unseeded_space():
    return ModelSpace(TinyNet(), torch.zeros(1, 1, 8, 8))


def device():
    return FakeRuntime(noise=0.02, drift=0.1, replay=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two networks, found at random."""
    directory = tmp_path_factory.mktemp("random") / "run"
    tiny_search(directory, BUDGETS, strategy="random", strategy_options={"max_trials": 3}, rivals="none", calibrate=0)
    return directory


@pytest.fixture
def network(run):
    return found_networks(run)[0].directory


def test_a_run_with_several_networks_says_what_they_are(run):
    networks = found_networks(run)
    assert len(networks) == 2
    for found in networks:
        assert found.run == run
        content = json.loads((found.directory / "result.json").read_text())
        assert found.architecture.to_json() == content["architecture"]
        assert [dataclasses.asdict(row) for row in found.budgets] == content["budgets"]
        assert dataclasses.asdict(found.fingerprint) == content["fingerprint"]
        assert found_networks(found.directory) == [found]
    with pytest.raises(RunDirectoryError, match=f"several networks; name one: {networks[0].directory}, "):
        retrain(tiny_space, tiny_data(), run, FINAL)


def test_latency_is_verified_on_the_searchs_device(network, tmp_path):
    result = retrain(tiny_space, tiny_data(), network, FINAL, device=device(), directory=tmp_path / "out")
    latency, params = result.budgets
    assert (latency.profiler, latency.kept, params.kept) == ("latency", True, True)
    assert 0 < latency.measured <= latency.limit
    assert result.fingerprint == device().fingerprint
    assert result.splits["train"].num_examples == len(tiny_data().train) + len(tiny_data().search)
    assert result.onnx_difference < 1e-4
    assert result.recipe == FINAL
    assert json.loads((tmp_path / "out" / "result.json").read_text())["recipe"]["source"] == "this test"


def test_killed_and_called_again_it_goes_on_to_the_same_network(network, tmp_path):
    steps = []

    def killed(advance):
        steps.append((advance.phase, advance.done))
        if advance.done == 25:  # in the third epoch of 9 steps each
            raise KeyboardInterrupt

    def go(folder, **options):
        options |= {"device": device(), "directory": tmp_path / folder}
        return retrain(unseeded_space, tiny_data(), network, FINAL, **options)

    whole = go("whole")
    assert whole.num_steps == 27  # 288 images in batches of 32
    with pytest.raises(KeyboardInterrupt):
        go("halves", progress=killed)
    assert not (tmp_path / "halves" / "result.json").exists()
    steps.clear()
    halves = go("halves", progress=lambda advance: steps.append((advance.phase, advance.done)))
    assert steps[:2] == [("train", 0), ("train", 19)]  # from the checkpoint of the second epoch
    assert halves.test_accuracy == whole.test_accuracy
    one, other = (load_file(tmp_path / folder / "network.safetensors") for folder in ("whole", "halves"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert halves.num_steps == whole.num_steps


def test_weights_are_new_and_come_from_the_seed(network, tmp_path):
    short = dataclasses.replace(FINAL, recipe=dataclasses.replace(FINAL.recipe, epochs=0.1, learning_rate=1e-9))

    def weights(folder, **options):
        options |= {"device": device(), "directory": tmp_path / folder}
        retrain(unseeded_space, tiny_data(), network, short, **options)
        return load_file(tmp_path / folder / "network.safetensors")["classifier.weight"]

    before = torch.get_rng_state()
    first, other = weights("first"), weights("other", seed=7)
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.allclose(first, other, atol=1e-3)
    assert not torch.allclose(first, load_file(network / "network.safetensors")["classifier.weight"], atol=1e-3)


def test_one_shot_weights_are_inherited_from_the_searchs_own_checkpoint(tmp_path):
    recipe = Recipe(epochs=1, batch_size=32, learning_rate=0.05)
    options = {"strategy": "darts", "strategy_options": {}, "search": recipe, "rivals": "none", "device": None}
    [found] = tiny_search(tmp_path / "run", ("params<=90%",), **options)
    final = FinalRecipe(recipe=Recipe(epochs=0.1, batch_size=32, learning_rate=1e-9, distillation=2.0), inherits=True)
    result = retrain(tiny_space, tiny_data(), found, final)
    assert result.directory == tmp_path / "run" / "retrain"
    [checkpoint] = (tmp_path / "run" / "search").glob("*.safetensors")
    searched, kept = load_file(checkpoint), load_file(result.directory / "network.safetensors")
    name = "classifier.weight"
    torch.testing.assert_close(kept[name], searched[f"model.module.{name}"], atol=1e-5, rtol=0)


def test_a_run_from_python_has_no_configuration(run):
    with pytest.raises(RunDirectoryError, match=r"made from Python: .* hwnas\.retrain\(make_space"):
        retrain_configured(run)


def test_what_is_not_that_of_the_search(run, network, tmp_path):
    settings = {"directory": tmp_path / "out"}
    with pytest.raises(SpaceError, match=f"The space is not the one that was searched in {run}"):
        retrain(lambda: family("mobilenet_v3_8"), tiny_data(), network, FINAL, device=device(), **settings)
    with pytest.raises(ConfigError, match=r"the one given says itself: inherits=False\. Leave `inherit` out"):
        retrain(tiny_space, tiny_data(), network, FINAL, inherit=True, **settings)
    with pytest.raises(ConfigError, match=r"'.*' of the table cannot be connected by its name; give `device`"):
        retrain(tiny_space, tiny_data(), network, FINAL, **settings)
    with pytest.raises(FingerprintError, match="batch_size is 1 there and 4 here"):
        retrain(tiny_space, tiny_data(), network, FINAL, device=FakeRuntime(batch_size=4), **settings)
    with pytest.raises(BudgetError, match=r"The table of the search's latencies, .*none\.sqlite, is not there"):
        retrain(tiny_space, tiny_data(), network, FINAL, device=device(), table=tmp_path / "none.sqlite", **settings)
    with pytest.raises(ConfigError, match=r"`seed` must be a whole number of at most 9223372036854775807; got 9+\."):
        retrain(tiny_space, tiny_data(), network, FINAL, device=device(), seed=99999999999999999999, **settings)
    assert not (tmp_path / "out").exists()
    with pytest.raises(RunDirectoryError, match="is not empty and holds no run"):
        retrain(tiny_space, tiny_data(), network, FINAL, device=device(), directory=network)


def test_folders_that_are_damaged(run, network, tmp_path):
    copied = shutil.copytree(run, tmp_path / "run")
    (copied / "other").mkdir()
    with pytest.raises(RunDirectoryError, match=r"other holds no result; .*run has .*latency"):
        found_networks(copied / "other")
    result = copied / network.name / "result.json"
    for text in ("{", "[]", "{}"):
        result.write_text(text)
        with pytest.raises(RunDirectoryError, match=r"result\.json cannot be read .* Give the search's command again"):
            found_networks(copied)
    result.unlink()
    with pytest.raises(RunDirectoryError, match=r"result\.json cannot be read"):
        found_networks(copied / network.name)


def test_an_architecture_from_elsewhere_is_trained_alike(network, tmp_path):
    architecture = found_networks(network)[0].architecture
    result = retrain(tiny_space, tiny_data(), architecture, FINAL, seed=1, directory=tmp_path / "given")
    assert (result.architecture, result.strategy, result.budgets) == (architecture, "", ())
    searched = retrain(tiny_space, tiny_data(), network, FINAL, seed=1, device=device(), directory=tmp_path / "found")
    assert result.test_accuracy == searched.test_accuracy
    weights, expected = (load_file(each.directory / "network.safetensors") for each in (result, searched))
    assert all(torch.equal(tensor, weights[name]) for name, tensor in expected.items())
    again = retrain(tiny_space, tiny_data(), architecture, FINAL, seed=1, directory=tmp_path / "given")
    assert again.to_json() == {**result.to_json(), "seconds": again.seconds}


def test_an_architecture_needs_what_a_run_would_know(tmp_path):
    architecture = tiny_space().space.sample(np.random.default_rng(0))
    with pytest.raises(ConfigError, match="comes without a run that says how and where"):
        retrain(tiny_space, tiny_data(), architecture, FINAL)
    inheriting = dataclasses.replace(FINAL, inherits=True)
    with pytest.raises(ConfigError, match="comes without a supernet whose weights"):
        retrain(tiny_space, tiny_data(), architecture, inheriting, directory=tmp_path / "run")
    other = Architecture({"stage1.block1": "k3"})
    with pytest.raises(ArchitectureError, match="stage"):
        retrain(tiny_space, tiny_data(), other, FINAL, directory=tmp_path / "run")
