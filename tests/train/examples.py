"""A small space, small data, and a training run for processes that will be killed."""

import json

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

from hwnas.data import ShiftFlip, split
from hwnas.nn import LayerChoice, ModelSpace, Repeat
from hwnas.nn.elastic_inverted_residual import ElasticInvertedResidual
from hwnas.train import Recipe, train_supernet
from hwnas.train.loop import StepContext


def conv(kernel, *, inputs=4):
    return nn.Sequential(nn.Conv2d(inputs, 4, kernel, padding=kernel // 2), nn.BatchNorm2d(4), nn.ReLU())


def make_space(*, outputs=3, elastic=False, seed=0):
    """Two kernels, then one to three blocks of two kernels each, with dropout; or with an elastic block between."""
    torch.manual_seed(seed)
    middle = ElasticInvertedResidual(4, 4, kernel_size=[3, 5], expansion=[2, 4]) if elastic else nn.Identity()
    net = nn.Sequential(
        LayerChoice({"k1": conv(1, inputs=1), "k3": conv(3, inputs=1)}, label="first"),
        middle,
        Repeat([LayerChoice([conv(3), conv(5)], label=f"block{i}") for i in range(3)], (1, 3), label="depth"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(4, outputs),
    )
    return ModelSpace(net, torch.zeros(1, 1, 6, 6))


def make_volume_space():
    """Of 3-D convolutions; for the digits."""

    def branch(kernel):
        return nn.Conv3d(1, 1, kernel, padding=kernel // 2)

    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.Unflatten(1, (1, 4)),
        LayerChoice({"k1": branch(1), "k3": branch(3)}, label="volume"),
        nn.Flatten(),
        nn.Linear(4 * 8 * 8, 10),
    )
    return ModelSpace(model, torch.zeros(1, 1, 8, 8))


def make_splits(*, num=240, seed=0):
    """Three classes that differ in brightness, and noise."""
    rng = np.random.default_rng(5)
    labels = np.arange(num) % 3
    images = rng.normal(labels[:, None, None, None], 1.0, (num, 1, 6, 6))
    data = TensorDataset(torch.from_numpy(images).float(), torch.from_numpy(labels))
    return split(data, seed=seed, normalise=True, augmentation=ShiftFlip(max_shift=1, flip=True))


def ends(space):
    """The largest and the smallest architecture, by hand."""
    largest = space.space.validate({"first": "k3", "depth": 3, "block0": 1, "block1": 1, "block2": 1})
    return {"largest": largest, "smallest": space.space.validate({"first": "k1", "depth": 1, "block0": 0})}


def context(module, backward, *, seed=0):
    """That of the first step of a training in one process."""
    return StepContext(
        step=0,
        num_steps=1,
        steps_per_epoch=1,
        rng=np.random.default_rng(seed),
        backward=backward,
        mean=lambda value: value,
        optimizer=torch.optim.SGD(module.parameters(), lr=0.1),
        device=torch.device("cpu"),
        placed=lambda batch: batch,
        unwrapped=module,
        process=(0, 1),
    )


def weights(module):
    """A copy of all parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def same(a, b):
    """Whether two such copies are equal bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


KILLED_RECIPE = Recipe(epochs=12, batch_size=16, warmup_epochs=1)


def run_to_be_killed(directory, log):
    """Train; append every step, and where the run went on, to a log."""
    torch.set_num_threads(1)
    with open(log, "a", buffering=1) as file:
        result = train_supernet(
            make_space(),
            make_splits(),
            KILLED_RECIPE,
            seed=7,
            directory=directory,
            progress=lambda p: file.write(json.dumps({"step": p.step}) + "\n"),
            checkpoint_seconds=0.05,
        )
        file.write(json.dumps({"finished": result.step}) + "\n")
