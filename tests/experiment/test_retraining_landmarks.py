"""Retraining a network of the family pfld: with the head that estimates angles, where the task has angles."""

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import TensorDataset

from hwnas.data import Splits, landmarks, split
from hwnas.experiment import retrain
from hwnas.nn.families import family
from hwnas.train import FinalRecipe, Recipe

FINAL = FinalRecipe(recipe=Recipe(epochs=1, batch_size=16, learning_rate=0.01, distillation=0.0))


def faces(*, angles: bool) -> Splits:
    """Grey images of one bright spot, five points around it, and three angles."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(0.3, 0.7, (64, 1, 2))
    grid = (np.arange(32) + 0.5) / 32
    distances = (grid[None, None, :] - centres[:, :, :1]) ** 2 + (grid[None, :, None] - centres[:, :, 1:]) ** 2
    offsets = np.array([[-0.2, 0.0], [0.2, 0.0], [0.0, 0.1], [-0.1, 0.2], [0.1, 0.2]])
    points = (centres + offsets).reshape(64, 10)
    targets = np.concatenate([points, rng.normal(size=(64, 3))], 1) if angles else points
    tensors = TensorDataset(torch.tensor(np.exp(-40 * distances))[:, None].float(), torch.tensor(targets).float())
    return split(tensors, seed=0, task=landmarks(eyes=(0, 1), angles=angles))


@pytest.mark.parametrize("angles", [True, False])
def test_the_angle_head_learns_where_there_are_angles_and_nothing_of_it_is_kept(tmp_path, angles):
    architecture = family("pfld_32").space.sample(np.random.default_rng(0))
    result = retrain(lambda: family("pfld_32"), faces(angles=angles), architecture, FINAL, directory=tmp_path / "final")
    [checkpoint] = (tmp_path / "final" / "training").glob("*.safetensors")
    assert any(name.startswith("model.angles.") for name in load_file(checkpoint)) == angles
    network = family("pfld_32").freeze(architecture)
    network.load_state_dict(load_file(result.directory / "network.safetensors"))
    outputs = onnx.load(result.directory / "network.onnx").graph.output[0].type.tensor_type.shape
    assert outputs.dim[1].dim_value == 10
    assert result.onnx_difference < 1e-4
    assert result.score_name == "minus NME"
