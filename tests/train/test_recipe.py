import json

import pytest
import torch
from torch import nn

from hwnas.errors import ConfigError
from hwnas.train import Recipe


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "`epochs` must be a finite number above 0; got 0"),
        ({"epochs": float("inf")}, "`epochs` must be a finite number above 0; got inf"),
        ({"batch_size": 1}, "`batch_size` must be a whole number of at least 2"),
        ({"learning_rate": -0.1}, "`learning_rate` must be a finite number above 0; got -0.1"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be a finite number above 0; got nan"),
        (
            {"min_learning_rate": 1.0},
            "`min_learning_rate` must be a finite number of at least 0 and at most 0.1, the `learning_rate`; got 1",
        ),
        (
            {"epochs": 3, "warmup_epochs": 3},
            "`warmup_epochs` must be a finite number of at least 0 and below 3, the `epochs`; got 3",
        ),
        ({"momentum": 1.0}, "`momentum` must be a finite number of at least 0 and below 1"),
        ({"weight_decay": -1.0}, "`weight_decay` must be a finite number of at least 0"),
        ({"label_smoothing": 1.0}, "`label_smoothing` must be a finite number of at least 0 and below 1"),
        ({"gradient_clip": 0.0}, "`gradient_clip` must be a finite number above 0, or None for no limit"),
        ({"macs_range": (3e6, 2e6)}, "`macs_range` must be two numbers, the lower first; got "),
        ({"macs_range": 3e6}, "`macs_range` must be two numbers, the lower first; got 3000000.0"),
        ({"macs_range": (1e6, float("inf"))}, "`macs_range` must be two numbers"),
        ({"macs_range": (1e6, 2e6), "scheme": "sandwich"}, "`macs_range` must be None unless `scheme` is single_path"),
        ({"num_cost_bins": 0}, "`num_cost_bins` must be a whole number of at least 1; got 0"),
        ({"num_random": -1}, "`num_random` must be a whole number of at least 0"),
        ({"distillation": -1.0}, "`distillation` must be a finite number of at least 0"),
        ({"scheme": "dart"}, "`scheme` must be one of largest, sandwich, single_path; got 'dart'"),
        ({"optimizer": "adam"}, "`optimizer` must be one of adamw, sgd"),
        ({"schedule": "steps"}, "`schedule` must be one of constant, cosine, linear, step"),
        ({"decay_epochs": 0.0}, "`decay_epochs` must be a finite number above 0, or None; got 0.0"),
        ({"decay_rate": 1.5}, "`decay_rate` must be a finite number above 0 and at most 1; got 1.5"),
        ({"epochs": "3"}, "`epochs` must be a finite number above 0; got '3'"),
        ({"batch_size": 8.0}, "`batch_size` must be a whole number of at least 2; got 8.0"),
        ({"channels_last": "no"}, "`channels_last` must be True or False; got 'no'"),
        ({"precision": "float16"}, "`precision` must be one of bfloat16, float32"),
    ],
)
def test_values_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        Recipe(**options)


def test_as_json():
    recipe = Recipe(macs_range=(1e6, 2e6))
    text = json.loads(json.dumps(recipe.to_json()))
    assert text == recipe.to_json()
    assert Recipe.from_json(text) == recipe
    assert Recipe.from_json({"epochs": 3}) == Recipe(epochs=3)
    with pytest.raises(ConfigError, match="A recipe has no field 'epoch'; known are epochs, batch_size, "):
        Recipe.from_json({"epoch": 3})
    with pytest.raises(ConfigError, match="must be a Recipe, or a mapping of its fields; got 3"):
        Recipe.from_json(3)


def test_a_training_of_so_many_steps():
    recipe = Recipe(batch_size=32).of_steps(10_000, num_examples=1000)
    assert round(recipe.epochs * (1000 // 32)) == 10_000
    with pytest.raises(ConfigError, match="`num_steps` must be a whole number of at least 1; got 0"):
        Recipe().of_steps(0, num_examples=1000)
    with pytest.raises(ConfigError, match="`batch_size` must be at most the 100 training images; got 128"):
        Recipe().of_steps(10, num_examples=100)


def learning_rates(**options):
    recipe = Recipe(epochs=10, learning_rate=1.0, **options)
    optimizer = recipe.make_optimizer(nn.Linear(2, 2))
    schedule = recipe.make_schedule(optimizer, num_steps=10)
    rates = []
    for step in (0, 5, 2, 9):  # in any order: the schedule remembers nothing
        schedule.step_update(step)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def test_schedules_by_their_formula():
    cosine = [0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * n / 10)))) for n in (0, 5, 2, 9)]
    assert learning_rates(schedule="cosine") == pytest.approx(cosine)
    assert learning_rates(schedule="linear") == pytest.approx([1.0, 0.5, 0.8, 0.1])
    assert learning_rates(schedule="linear", min_learning_rate=0.5) == pytest.approx([1.0, 0.75, 0.9, 0.55])
    assert learning_rates(schedule="constant") == pytest.approx([1.0] * 4)
    assert learning_rates(schedule="step") == pytest.approx([1.0, 0.01, 1.0, 0.001])  # quarters begin at 2.5, 5, 7.5
    assert learning_rates(schedule="step", warmup_epochs=4) == pytest.approx([0.0, 0.01, 0.5, 0.001])
    slow = learning_rates(schedule="step", decay_epochs=2.4, decay_rate=0.97)  # 0, 2, 0 and 3 times by then
    assert slow == pytest.approx([1.0, 0.97**2, 1.0, 0.97**3])
    assert learning_rates(schedule="constant", warmup_epochs=4) == pytest.approx([0.0, 1.0, 0.5, 1.0])


def test_decay_on_weights_alone():
    groups = Recipe(weight_decay=0.1).make_optimizer(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))).param_groups
    assert {g["weight_decay"]: sorted(p.ndim for p in g["params"]) for g in groups} == {0.0: [1, 1, 1], 0.1: [2]}
