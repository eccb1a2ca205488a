"""What a configuration's seed decides."""

import torch

from hwnas.data import load_data
from hwnas.experiment import SearchConfig, train_configured
from hwnas.experiment.config import DataConfig
from hwnas.train import Recipe, latest_checkpoint


def first_weights(directory, seed, *, elsewhere):
    """The weights after one step of a learning rate that is next to nothing."""
    torch.manual_seed(elsewhere)
    size = len(load_data("digits", seed=seed).train)
    train = Recipe(epochs=1, batch_size=size, learning_rate=1e-30, weight_decay=0.0)
    config = SearchConfig(space="nasbench201_8", seed=seed, train=train, data=DataConfig(name="digits"))
    train_configured(config, directory)
    tensors = latest_checkpoint(directory).tensors
    return torch.cat([t.flatten() for name, t in tensors.items() if name.startswith("model.") and "weight" in name])


def test_the_seed_decides_the_weights_that_a_space_begins_with(tmp_path):
    """And nothing else does: not what has used the global generator before."""
    first = first_weights(tmp_path / "a", 0, elsewhere=1)
    assert torch.equal(first, first_weights(tmp_path / "b", 0, elsewhere=2))
    assert not torch.equal(first, first_weights(tmp_path / "c", 3, elsewhere=1))
