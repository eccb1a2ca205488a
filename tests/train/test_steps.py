"""The steps beside their papers: which networks run, on what, and with which gradient."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from hwnas.data import CLASSIFICATION, Batch
from hwnas.errors import ArchitectureError, CheckpointError, ConfigError
from hwnas.profiler import FlopsProfiler
from hwnas.train import Recipe, fine_tune, train_supernet
from hwnas.train.cost_bins import CostBins
from hwnas.train.sandwich import sandwich
from hwnas.train.single_path import single_path
from tests.train.examples import context, ends, make_space, make_splits, same, weights

BATCH = Batch(inputs=(torch.randn(8, 1, 6, 6),), labels=torch.arange(8) % 3)


class Recording:
    """A network that notes what ran, and the backward passes."""

    def __init__(self, space):
        self.space, self.ran, self.losses = space.eval(), [], []

    def __call__(self, inputs, selection):
        self.ran.append(selection)
        return self.space(inputs, selection)

    def backward(self, loss):
        self.losses.append(loss.detach())
        loss.backward()


def gradients(space):
    return {name: None if p.grad is None else p.grad.clone() for name, p in space.named_parameters()}


def test_single_path():
    space = make_space()
    network = Recording(space)
    step = single_path(space.space, CLASSIFICATION, label_smoothing=0.1)
    loss = step(network, BATCH, context(space, network.backward, seed=3))
    assert network.ran == [space.space.sample(np.random.default_rng(3))]
    expected = nn.CrossEntropyLoss(label_smoothing=0.1)(space(BATCH.inputs, network.ran[0]), BATCH.labels)
    assert float(loss) == pytest.approx(float(expected.detach()))
    other = {"k1": "k3", "k3": "k1"}[network.ran[0]["first"]]
    first = {name: gradient for name, gradient in gradients(space).items() if name.startswith("module.0.")}
    assert all((gradient is None) == (f".{other}." in name) for name, gradient in first.items())


def test_the_largest_network_alone():
    space, before = make_space(), weights(make_space())
    recipe = Recipe(epochs=1, batch_size=16, scheme="largest", weight_decay=0.1)
    train_supernet(space, make_splits(), recipe, seed=0, **ends(space))
    after = weights(space)
    learning = [name for name in before if name.endswith("weight")]  # a bias before batch norm has no gradient
    moved = {name for name in learning if not torch.equal(before[name], after[name])}
    assert moved == {name for name in learning if not re.match(r"module\.(0\.k1|2\.\d\.0)\.", name)}
    with pytest.raises(ConfigError, match="The scheme 'largest' needs `largest`"):
        train_supernet(make_space(), make_splits(), recipe, seed=0)


def test_single_path_over_bins_of_cost():
    space = make_space()
    macs = FlopsProfiler(space).cost
    low, high = macs.minimum().value, macs.maximum().value
    middle = (low + high) / 2
    bins = CostBins(space.space, macs, (middle, high), 3)
    network = Recording(space)
    step = single_path(space.space, CLASSIFICATION, label_smoothing=0.1, bins=bins)
    for seed in range(30):
        step(network, BATCH, context(space, network.backward, seed=seed))
    assert all(middle <= macs.value(architecture) <= high for architecture in network.ran)
    assert len(set(network.ran)) > 5


def test_a_range_of_macs_needs_them_and_keeps_to_them(tmp_path):
    macs = FlopsProfiler(make_space()).cost
    limits = (macs.minimum().value, macs.maximum().value)
    recipe = Recipe(epochs=1, batch_size=16, macs_range=limits, num_cost_bins=2)
    with pytest.raises(ConfigError, match="`macs_range` needs `cost`, the table of a FlopsProfiler; got none"):
        train_supernet(make_space(), make_splits(), recipe, seed=0)
    whole, resumed = make_space(), make_space()
    train_supernet(whole, make_splits(), recipe, seed=0, cost=macs)
    train_supernet(make_space(), make_splits(), recipe, seed=0, cost=macs, directory=tmp_path, max_steps=2)
    with pytest.raises(CheckpointError, match="cost"):
        train_supernet(make_space(), make_splits(), recipe, seed=0, cost=2 * macs, directory=tmp_path)
    train_supernet(resumed, make_splits(), recipe, seed=0, cost=macs, directory=tmp_path)
    assert same(weights(whole), weights(resumed))


def test_sandwich_is_one_sum_of_gradients():
    """Expected gradient: of CE(largest) + w * sum of KL(largest || student), written out with detached targets."""
    space = make_space()
    network = Recording(space)
    step = sandwich(space.space, CLASSIFICATION, **ends(space), num_random=2, label_smoothing=0.0, weight=0.7)
    loss = step(network, BATCH, context(space, network.backward, seed=3))
    rng = np.random.default_rng(3)
    randoms = [space.space.sample(rng), space.space.sample(rng)]
    assert network.ran == [*ends(space).values(), *randoms]
    found = gradients(space)

    space.zero_grad()
    teacher = space(BATCH.inputs, ends(space)["largest"])
    target = torch.softmax(teacher, 1).detach()
    total = nn.functional.cross_entropy(teacher, BATCH.labels)
    assert float(loss) == pytest.approx(float(total.detach()))
    for architecture in network.ran[1:]:
        log_student = torch.log_softmax(space(BATCH.inputs, architecture), 1)
        total = total + 0.7 * (target * (target.log() - log_student)).sum(1).mean()
    total.backward()
    for name, gradient in gradients(space).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


def test_no_gradient_to_the_teacher():
    teacher = torch.randn(4, 3, requires_grad=True)
    CLASSIFICATION.distillation(torch.randn(4, 3, requires_grad=True), teacher).backward()
    assert teacher.grad is None
    assert float(CLASSIFICATION.distillation(teacher, teacher).detach()) == pytest.approx(0.0, abs=1e-6)
    labels = torch.tensor([0, 1, 2, 0])
    expected = nn.functional.cross_entropy(teacher, labels)  # a mean, which may be rounded in another order
    torch.testing.assert_close(CLASSIFICATION.training_loss(teacher, labels), expected)


def test_sandwich_needs_its_ends():
    recipe = Recipe(scheme="sandwich", batch_size=16)
    with pytest.raises(ConfigError, match="'sandwich' needs `largest` and `smallest`"):
        train_supernet(make_space(), make_splits(), recipe, seed=0)
    with pytest.raises(ArchitectureError):
        train_supernet(make_space(), make_splits(), recipe, seed=0, largest={"first": "k9"}, smallest={})


def plain():
    return make_space().freeze({"first": "k3", "depth": 1, "block0": 0})


def test_fine_tune_with_a_teacher_resumes(tmp_path):
    recipe = Recipe(epochs=2, batch_size=16, distillation=2.0)
    whole, resumed, untaught = plain(), plain(), plain()
    teacher = make_space(seed=4).freeze({"first": "k1", "depth": 1, "block0": 1})
    teacher[-2].p = 0.9
    before = weights(teacher)
    fine_tune(whole, make_splits(), recipe, seed=2, teacher=teacher)
    fine_tune(plain(), make_splits(), recipe, seed=2, teacher=teacher, directory=tmp_path, max_steps=5)
    fine_tune(resumed, make_splits(), recipe, seed=2, teacher=teacher, directory=tmp_path)
    fine_tune(untaught, make_splits(), recipe, seed=2)
    assert same(weights(whole), weights(resumed))
    assert not same(weights(whole), weights(untaught))
    assert same(before, weights(teacher))  # the trap: a teacher in train mode moves its batch norm
    assert teacher.training
