"""Every strategy finds the options without which nothing can be learned: both outer layers must be "linear".

The planted task's labels are which side of a plane a point is on. One path in nine has both layers, so that a strategy
which learns nothing finds them from both seeds by chance once in 81.
"""

import dataclasses
from functools import cache

import pytest
import torch
from torch.utils.data import TensorDataset

from hwnas.data import Splits, split
from hwnas.experiment import STRATEGIES, search_each
from hwnas.experiment.one_shot import run_one_shot
from hwnas.experiment.strategies import is_one_shot
from hwnas.testing.planted_search import planted_data, planted_space
from hwnas.train import Recipe

RECIPE = Recipe(epochs=12, batch_size=16, learning_rate=0.1, weight_decay=1e-4, label_smoothing=0.0)
SHORT = dataclasses.replace(RECIPE, epochs=1)

# The papers' learning rates are for searches a hundred times as long.
OPTIONS = {
    "certified": {"num_samples": 40, "num_held_out": 8, "num_candidates": 8, "max_rounds": 2, "num_finalists": 2},
    "darts": {"architecture_learning_rate": 0.05},
    "darts, second order": {"architecture_learning_rate": 0.05, "unrolled": True},
    "enas": {
        "controller_learning_rate": 0.01,
        "lstm_size": 16,
        "num_samples": 5,
        "steps_per_controller_step": 1,
        "num_warmup_epochs": 0.0,
        "scoring_share": 0.1,
    },
    "evolution": {"max_trials": 60, "population_size": 10, "sample_size": 3},
    "fbnet": {"nas_lr": 0.05, "start_epoch": 1.0, "init_temperature": 1.0},
    "hardcorenas": {"step_size": 0.05, "train_weights": True, "num_warmup_epochs": 3.0},
    "proxylessnas": {"architecture_learning_rate": 0.05, "num_warmup_epochs": 5.0},
    "proxylessnas, by reinforce": {
        "architecture_learning_rate": 0.05,
        "num_warmup_epochs": 5.0,
        "method": "reinforce",
        "num_samples": 4,
    },
    "random": {"max_trials": 40},
    "spos": {"population_size": 10, "num_top": 4, "num_crossover": 4, "num_mutation": 4, "num_generations": 4},
}


@cache
def data() -> Splits:
    """240 points to train on, 80 to search on and 80 to test on."""
    return split(TensorDataset(*planted_data(400, 1)), seed=0)


def test_every_strategy_occurs():
    """Those that take steps, and the main job's; the others have the strategies' contract and tests of their own."""
    found = {key.split(",")[0] for key in OPTIONS}
    assert {name for name in STRATEGIES if is_one_shot(name)} < found
    assert found <= set(STRATEGIES)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("key", OPTIONS)
def test_the_planted_optimum_is_found(tmp_path, key, seed):
    torch.set_num_threads(1)
    name, options = key.split(",")[0], OPTIONS[key]
    space = planted_space(with_depth=True)
    if is_one_shot(name):
        strategy = STRATEGIES[name](space, (), seed=seed, **options)
        run_one_shot(strategy, space, data(), RECIPE, settings={}, seed=seed)
        architecture = strategy.derive(()).architecture
    else:
        [result] = search_each(
            space,
            data(),
            strategy=name,
            strategy_options=options,
            recipe=RECIPE,
            fine_tune=SHORT,
            short=SHORT,
            rivals="none",
            seed=seed,
            directory=tmp_path / "run",
        )
        architecture = result.architecture
    first, last = space.space.names[0], space.space.names[-1]
    assert (architecture[first], architecture[last]) == ("linear", "linear")
