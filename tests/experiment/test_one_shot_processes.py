"""One-shot searches in two processes on this machine: one architecture, learned from both halves of every batch."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.utils.data import TensorDataset

from hwnas.data import split
from hwnas.errors import ConfigError
from hwnas.experiment import STRATEGIES
from hwnas.experiment.one_shot import run_one_shot
from hwnas.testing.one_shot_contract import small_space
from hwnas.testing.planted_search import planted_data, planted_space
from hwnas.train import Recipe

ROOT = Path(__file__).parents[2]
RECIPE = Recipe(epochs=1, batch_size=24, learning_rate=0.05, gradient_clip=1.0)
NUM_STEPS = 4
OPTIONS = {
    "darts": {},
    "darts, second order": {"unrolled": True},
    "enas": {
        "num_samples": 3,
        "steps_per_controller_step": 1,
        "num_warmup_epochs": 0.0,
        "num_derived_samples": 4,
        "scoring_share": 0.4,
    },
    "fbnet": {"start_epoch": 0.0},
    "hardcorenas": {"train_weights": True, "step_size": 0.1},
    "proxylessnas": {"num_warmup_epochs": 0.0},
    "proxylessnas, by reinforce": {"num_warmup_epochs": 0.0, "method": "reinforce", "num_samples": 3},
}
SPACES = {"planted": planted_space, "batch norm": small_space}
SCRIPT = """
import sys
import torch
from tests.experiment.test_one_shot_processes import main

main(sys.argv[1])
torch.distributed.destroy_process_group()
"""


def search(key, kind, num_steps=NUM_STEPS, directory=None):
    """What a search has come to after some steps: weights, the strategy's state, the architecture's codes, the loss."""
    space = SPACES[kind]()
    size = 17 if kind == "batch norm" else 50  # 17 examples cannot be halved
    data = split(TensorDataset(*planted_data(170, 1)), seed=0, search_size=size)
    strategy = STRATEGIES[key.split(",")[0]](space, (), seed=0, **OPTIONS[key])
    result = run_one_shot(strategy, space, data, RECIPE, settings={}, seed=0, max_steps=num_steps, directory=directory)
    weights = {f"weight {name}": tensor.contiguous() for name, tensor in space.state_dict().items()}
    state = {f"state {name}": tensor for name, tensor in strategy.state().items()}
    codes = torch.from_numpy(space.space.encode([strategy.derive(()).architecture]))
    return {**weights, **state, "codes": codes, "loss": torch.tensor(result.loss)}


def main(out):
    """What every process does."""
    torch.set_num_threads(1)
    for key, kind in itertools.product(OPTIONS, SPACES):
        found = search(key, kind)
        save_file(found, f"{out}/{key}, {kind}, {torch.distributed.get_rank()}.safetensors")
    for key in OPTIONS:
        directory = f"{out}/checkpoints of {key}"
        search(key, "planted", NUM_STEPS // 2, directory)
        torch.distributed.barrier()
        found = search(key, "planted", directory=directory)
        save_file(found, f"{out}/{key}, resumed, {torch.distributed.get_rank()}.safetensors")
    points, labels = planted_data(170, 1)
    data = split(TensorDataset(points, torch.zeros_like(labels)), seed=0, search_size=1)
    space = planted_space()
    with pytest.raises(ConfigError, match=r"The search part has 1 examples, fewer than the 2 processes\. Give it more"):
        run_one_shot(STRATEGIES["darts"](space), space, data, RECIPE, settings={}, seed=0)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script), str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def both(out, key, kind):
    return [load_file(out / f"{key}, {kind}, {rank}.safetensors") for rank in (0, 1)]


def assert_close(found, expected, *, tolerance):
    """As far apart as this share of a tensor's largest number at most."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        atol = tolerance * float(tensor.nan_to_num().abs().max())
        torch.testing.assert_close(
            found[name], tensor, rtol=0, atol=atol, equal_nan=True, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("key", OPTIONS)
def test_both_processes_have_one_architecture_and_one_set_of_weights(out, key, kind):
    """All but running statistics: they are of a process's own images, until those of the first are handed on."""
    first, second = ({name: t for name, t in found.items() if "running" not in name} for found in both(out, key, kind))
    assert_close(first, second, tolerance=0)


@pytest.mark.parametrize("key", OPTIONS)
def test_two_processes_go_on_from_a_checkpoint(out, key):
    uninterrupted, _ = both(out, key, "planted")
    for resumed in both(out, key, "resumed"):
        assert_close(resumed, uninterrupted, tolerance=0)


@pytest.mark.parametrize("key", [key for key in OPTIONS if key != "hardcorenas"])  # its paths are of single images
def test_halves_of_a_batch_teach_what_the_batch_does(out, key):
    """Adam's moving averages of the architecture's gradients, in the state, are those of one process."""
    one = without_squares(search(key, "planted"))
    assert any(name.endswith("exp_avg") and tensor.any() for name, tensor in one.items())
    assert_close(without_squares(both(out, key, "planted")[0]), one, tolerance=1e-5)


def without_squares(found):
    """Those of gradients have twice their relative errors."""
    return {name: tensor for name, tensor in found.items() if not name.endswith("exp_avg_sq")}
