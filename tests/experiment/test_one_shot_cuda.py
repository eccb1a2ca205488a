"""Steps of one-shot searches on a GPU."""

import dataclasses

import pytest
import torch
from torch.utils.data import TensorDataset

from hwnas.data import split
from hwnas.experiment import STRATEGIES
from hwnas.experiment.one_shot import run_one_shot
from hwnas.testing.one_shot_contract import small_space
from hwnas.testing.planted_search import planted_data
from tests.experiment.test_one_shot_processes import OPTIONS, RECIPE

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")

CASES = [(key, "float32") for key in OPTIONS] + [(key, "bfloat16") for key in OPTIONS if "second order" not in key]


@pytest.mark.parametrize(("key", "precision"), CASES)
def test_steps_on_a_gpu(tmp_path, key, precision):
    """Weights live there and logits on the host; both move, stay finite and come back from a checkpoint."""
    data = split(TensorDataset(*planted_data(170, 1)), seed=0, search_size=50)
    recipe = dataclasses.replace(RECIPE, precision=precision)
    states = []
    for num_steps in (2, 4):  # the second goes on from the first's checkpoint
        space = small_space()
        strategy = STRATEGIES[key.split(",")[0]](space, (), seed=0, **OPTIONS[key])
        result = run_one_shot(
            strategy, space, data, recipe, settings={}, seed=0, directory=tmp_path, max_steps=num_steps
        )
        assert result.resumed_from == num_steps - 2
        assert all(parameter.device.type == "cuda" and parameter.isfinite().all() for parameter in space.parameters())
        states.append(strategy.state())
    before, after = states
    assert all(tensor.device.type == "cpu" for tensor in after.values())
    assert any(not torch.equal(before[name], tensor) for name, tensor in after.items() if name in before)
    space.space.validate(strategy.derive(()).architecture)
