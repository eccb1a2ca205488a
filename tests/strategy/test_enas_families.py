"""ENAS in its own spaces: how it begins, that controller and child alternate, that rewards rise, what is derived."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from hwnas.data import Splits, Task
from hwnas.data.part import TensorPart
from hwnas.experiment import run_one_shot
from hwnas.nn import ModelSpace
from hwnas.nn.families import family
from hwnas.space import Architecture
from hwnas.strategy import ENAS
from hwnas.strategy.completion import BudgetMasks
from hwnas.strategy.one_shot import Moment
from hwnas.testing.planted_search import moments
from hwnas.train import Recipe

TINY = ("enas_macro_8", "enas_micro_8")
PLANTED = "avg_pool_3x3"


@pytest.mark.parametrize("seed", range(3))
def test_the_first_samples_have_a_skip_with_probability_0_4(seed):
    """The paper's space: 20 samples, as in a step of the controller, of 66 skips each; within three standard errors."""
    model_space = family("enas_macro")
    space, strategy = model_space.space, ENAS(model_space, seed=seed)
    skips = [position for position, name in enumerate(space.names) if "/skip/" in name]
    assert len(skips) == 66
    samples = strategy.controller.sample(20, BudgetMasks(space, ()), np.random.default_rng(seed))
    taken = samples.codes[:, skips]
    assert taken.mean() == pytest.approx(0.4, abs=3 * np.sqrt(0.4 * 0.6 / taken.size))


class Watched(ENAS):
    """Checks in every step that only what learns in it changes, and says in which steps the controller did."""

    def __init__(self, space: ModelSpace, **options) -> None:
        super().__init__(space, **options)
        self.child = space
        self.learned: list[bool] = []

    def step(self, moment: Moment) -> Tensor:
        before = [p.detach().clone() for p in self.controller.parameters()]
        weights = {name: p.detach().clone() for name, p in self.child.named_parameters()}
        loss = super().step(moment)
        assert all(torch.equal(p, weights[name]) for name, p in self.child.named_parameters())  # the driver steps them
        after = list(self.controller.parameters())
        self.learned.append(not all(torch.equal(p, old) for p, old in zip(after, before, strict=True)))
        return loss


@pytest.mark.parametrize("name", TINY)
def test_controller_and_child_alternate_each_on_its_own_data(name):
    events: list[tuple[str, float]] = []  # which loss or score ran, on which part: its targets are all this number

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        events.extend(("loss", target) for target in targets.unique().tolist())
        return (outputs - targets).square().mean(1)

    def score(outputs: Tensor, targets: Tensor) -> Tensor:
        events.extend(("score", target) for target in targets.unique().tolist())
        return -(outputs - targets).square().mean(1)

    def part(target: float, num: int) -> TensorPart:
        images = torch.randn(num, 1, 8, 8, generator=torch.Generator().manual_seed(int(target)))
        return TensorPart((images,), torch.full((num, 1), target), np.arange(num), num_classes=0)

    train, search, test = 1.0, 2.0, 3.0
    data = Splits(
        train=part(train, 64),
        search=part(search, 32),
        test=part(test, 8),
        task=Task(name="planted", loss=loss, score=score),
    )
    torch.manual_seed(0)
    space = family(name, num_classes=1)
    options = {"num_samples": 3, "steps_per_controller_step": 2, "num_warmup_epochs": 1.0, "scoring_share": 0.25}
    strategy = Watched(space, **options, num_derived_samples=4)
    before = [p.detach().clone() for p in space.parameters()]
    recipe = Recipe(epochs=4, batch_size=16, learning_rate=0.01, label_smoothing=0.0)
    run_one_shot(strategy, space, data, recipe, settings={}, seed=0)
    # Epochs of 4 steps: one of weights alone, two with a step of the controller after every other, one that scores.
    assert strategy.learned == [False] * 4 + [False, True] * 4 + [False] * 4
    assert int(strategy.state()["num_rewards"]) == 3 * 4
    steps: list[int] = []  # scores after each step of the weights
    for event in events:
        if event == ("loss", train):
            steps.append(0)
        else:
            assert event == ("score", search)
            steps[-1] += 1
    assert len(steps) == 16
    assert steps[:4] == [0] * 4
    assert all(num == 0 for num in steps[4:12:2])
    assert all(1 <= num <= 3 for num in steps[5:12:2])  # paths drawn twice run once
    assert all(1 <= num <= 4 for num in steps[12:])
    assert any(not torch.equal(p, old) for p, old in zip(space.parameters(), before, strict=True))
    assert "samples of the controller on 4 validation batches" in strategy.derive(()).note


def reward(architecture: Architecture) -> float:
    """The share of operations that are the planted one."""
    operations = [option for name, option in architecture.items() if "/op" in name]
    return float(np.mean([option == PLANTED for option in operations]))


@pytest.mark.parametrize(("name", "num_operations"), [("enas_macro_8", 6), ("enas_micro_8", 5)])
def test_rewards_rise_and_the_trained_controller_is_derived_from(name, num_operations):
    space = family(name)
    options = {"controller_learning_rate": 0.01, "lstm_size": 16, "num_samples": 8, "steps_per_controller_step": 1}
    strategy, fresh = (ENAS(space, **options, num_warmup_epochs=0.0, scoring_share=0.05) for _ in range(2))
    rewards: list[list[float]] = []

    def validation_scores(path: Architecture) -> Tensor:
        rewards[-1].append(reward(path))
        return torch.full((16,), reward(path))

    def training_loss(path: Architecture) -> Tensor:  # the task is planted in the architecture: no weight matters
        return torch.zeros((), requires_grad=True)

    optimizer = torch.optim.SGD(space.parameters(), lr=0.1)
    for moment in moments(space, optimizer, num_steps=120):
        rewards.append([])
        strategy.step(dataclasses.replace(moment, training_loss=training_loss, validation_scores=validation_scores))
    learning = [float(np.mean(each)) for each in rewards[:114]]  # in the other 6, 5 %, the candidates are scored
    assert np.mean(learning[:10]) < 1 / num_operations + 0.15
    assert np.mean(learning[-10:]) > np.mean(learning[:10]) + 0.4

    candidates = space.space.decode(strategy.state()["candidates"].numpy())
    blind = space.space.decode(
        fresh.controller.sample(20, BudgetMasks(space.space, ()), np.random.default_rng(0)).codes
    )
    assert np.mean([reward(path) for path in blind]) < 1 / num_operations + 0.15
    assert np.mean([reward(path) for path in candidates]) > np.mean([reward(path) for path in blind]) + 0.4
    derived = strategy.derive(())
    assert derived.architecture in candidates
    assert reward(derived.architecture) == max(reward(path) for path in candidates)
    assert "samples of the controller on 6 validation batches" in derived.note
