"""The final training: its loss by hand, drop path by epoch, cutout as the network sees it, killed and resumed."""

import numpy as np
import pytest
import torch
from timm.layers import DropPath
from torch import nn
from torch.nn import functional

from hwnas.data import TensorPart, load_data
from hwnas.data.task import CLASSIFICATION
from hwnas.errors import CheckpointError, ConfigError, DataError
from hwnas.nn.families import WithAuxiliaryHead, family
from hwnas.train import FinalRecipe, Recipe, train_finally

RECIPE = Recipe(epochs=2, batch_size=25, learning_rate=0.05, label_smoothing=0.0, distillation=0.0)


class Watched(nn.Module):
    """Two linear heads, a pair in training mode; remembers what it was given and told."""

    def __init__(self, *, pair=True):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second, self.pair = nn.Linear(64, 3), nn.Linear(64, 3), pair
        self.inputs, self.rates = [], []

    def forward(self, x):
        self.inputs.append(x.detach().clone())
        x = x.flatten(1)
        return (self.first(x), self.second(x)) if self.pair and self.training else self.first(x)

    def set_drop_path_rate(self, rate):
        self.rates.append(rate)


def part(num=50):
    images = torch.rand(num, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 1
    return TensorPart([images], torch.arange(num) % 3, np.arange(num), num_classes=3)


def trained(module, recipe=RECIPE, data=None, *, steps=None, **options):
    extras = {name: options.pop(name) for name in ("auxiliary_weight", "drop_path_rate", "cutout") if name in options}
    final = FinalRecipe(recipe=recipe, **extras)
    return train_finally(module, data or part(), CLASSIFICATION, final, seed=3, max_steps=steps, **options)


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.5])
def test_the_loss_is_the_tasks_plus_the_weighted_auxiliary_and_the_teachers(weight):
    recipe = Recipe(epochs=1, batch_size=50, label_smoothing=0.1, distillation=2.0)  # one step of all the images
    everything = part().batch(np.arange(50))
    module, teacher = Watched(), nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with torch.no_grad():
        main, auxiliary = module(*everything.inputs)
        soft = functional.log_softmax(teacher(*everything.inputs), 1)
        expected = functional.cross_entropy(main, everything.labels, label_smoothing=0.1)
        expected += weight * functional.cross_entropy(auxiliary, everything.labels, label_smoothing=0.1)
        student = functional.log_softmax(main, 1)
        expected += 2 * (soft.exp() * (soft - student)).sum(1).mean()  # KL(teacher || student)
    result = trained(module, recipe, auxiliary_weight=weight, teacher=teacher)
    assert result.loss == pytest.approx(float(expected), rel=1e-5)
    module.eval()
    assert module(*everything.inputs).shape == (50, 3)


def test_the_rate_of_drop_path_grows_from_epoch_to_epoch():
    module = Watched()
    trained(module, Recipe(epochs=4, batch_size=25), drop_path_rate=0.2)
    assert module.rates == pytest.approx([0, 0, 0.05, 0.05, 0.1, 0.1, 0.15, 0.15])  # 0.2 e / 4; two steps an epoch


def test_drop_path_of_a_cell_network_is_set():
    space = family("darts_8")
    # All paths are convolutions, so that every one can be dropped.
    options = {name: "sep_conv_3x3" for name in space.space.names if "/op_" in name}
    inputs = {f"{kind}/inputs_{node}": (0, 1) for kind in ("normal", "reduce") for node in (2, 3)}
    chosen = {name: option for name, option in (options | inputs).items() if name in space.space.names}
    active = {name for name in chosen if "/op_" not in name or name.rsplit("_", 1)[1] in "01"}
    network = space.freeze({name: chosen[name] for name in active})
    data = load_data("digits", seed=0, train_size=60)
    recipe = Recipe(epochs=2, batch_size=30, distillation=0.0)
    train_finally(network, data.train, data.task, FinalRecipe(recipe=recipe, drop_path_rate=0.2), seed=0)
    assert {inner.drop_prob for inner in network.modules() if isinstance(inner, DropPath)} == {0.1}


def test_what_the_network_sees_is_cut_out():
    module = Watched()
    trained(module, cutout=0.5)
    squares = torch.cat([(x == 0).sum((1, 2, 3)) for x in module.inputs])
    # Squares of 4 x 4, clipped at the edges of 8 x 8 images: 2, 3 or 4 rows and as many columns.
    assert len(squares) == 100
    assert set(squares.tolist()) == {4, 6, 8, 9, 12, 16}
    again = Watched()
    trained(again, cutout=0.5)
    assert all(torch.equal(a, b) for a, b in zip(module.inputs, again.inputs, strict=True))
    first, second = (x[: len(x) // 2] for x in module.inputs[::2])  # epoch 1 and 2
    assert not torch.equal(first == 0, second == 0)


def test_killed_and_resumed_it_is_the_same_network(tmp_path):
    data = load_data("digits", seed=0, train_size=120)
    space = family("darts_8", affine=True)
    architecture = space.space.sample(np.random.default_rng(2))

    def start():
        torch.manual_seed(5)
        return WithAuxiliaryHead(space.freeze(architecture))

    options = {"auxiliary_weight": 0.4, "drop_path_rate": 0.3, "cutout": 0.5}
    recipe = Recipe(epochs=3, batch_size=30, learning_rate=0.05, distillation=0.0)
    whole, halves = start(), start()
    trained(whole, recipe, data.train, **options)
    assert trained(halves, recipe, data.train, directory=tmp_path, steps=6, **options).step == 6
    halves = start()
    result = trained(halves, recipe, data.train, directory=tmp_path, **options)
    assert (result.resumed_from, result.step) == (6, 12)
    for (name, a), b in zip(whole.state_dict().items(), halves.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    with pytest.raises(CheckpointError, match=r"recipe\.auxiliary_weight is 0\.4 there and 0\.2 here"):
        trained(start(), recipe, data.train, directory=tmp_path, **(options | {"auxiliary_weight": 0.2}))


def test_another_length_and_another_batch():
    published = FinalRecipe(
        recipe=Recipe(
            epochs=100, batch_size=100, warmup_epochs=5, learning_rate=0.4, min_learning_rate=0.01, decay_epochs=3
        )
    )
    resized = published.resized(epochs=10, batch_size=25).recipe
    assert (resized.epochs, resized.warmup_epochs) == (10, pytest.approx(0.5))
    assert resized.decay_epochs == pytest.approx(0.3)
    assert (resized.batch_size, resized.learning_rate, resized.min_learning_rate) == (25, 0.1, 0.0025)
    assert published.resized() == published


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"auxiliary_weight": -0.1}, "`auxiliary_weight` must be at least 0; got -0.1"),
        ({"auxiliary_weight": float("nan")}, "`auxiliary_weight` must be at least 0; got nan"),
        ({"drop_path_rate": 1.0}, "`drop_path_rate` must be at least 0 and below 1; got 1.0"),
        ({"cutout": 16}, "`cutout` must be from 0 to 1, a share of the image's side; got 16"),
    ],
)
def test_values_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        FinalRecipe(recipe=RECIPE, **options)


@pytest.mark.parametrize(("options", "name"), [({"epochs": 0.0}, "epochs"), ({"batch_size": 0}, "batch_size")])
def test_a_length_or_batch_out_of_range_is_called_by_its_name(options, name):
    with pytest.raises(ConfigError, match=f"`{name}` must be"):
        FinalRecipe(recipe=Recipe(warmup_epochs=1)).resized(**options)


def test_what_the_network_or_the_data_cannot_do():
    with pytest.raises(
        ConfigError, match=r"`auxiliary_weight` is 0\.4, but in training mode the network gives no pair"
    ):
        trained(Watched(pair=False), auxiliary_weight=0.4)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with pytest.raises(ConfigError, match=r"`drop_path_rate` is 0\.2, but no part of the network has"):
        trained(plain, drop_path_rate=0.2)
    flat = TensorPart([torch.zeros(50, 64)], torch.arange(50) % 3, np.arange(50), num_classes=3)
    with pytest.raises(DataError, match="Cutout takes images"):
        trained(plain, data=flat, cutout=0.5)
    narrow = Watched()
    narrow.second = nn.Linear(64, 2)
    with pytest.raises(DataError, match=r"one number a class, 3 an image; its output has the shape \(25, 2\)"):
        trained(narrow, auxiliary_weight=0.4)
