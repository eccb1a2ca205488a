"""Every ready family with every strategy: search on generated data, derive, freeze, export to ONNX, verify."""

from functools import cache, partial
from itertools import product

import numpy as np
import onnx
import pytest
import torch
from torch.utils.data import TensorDataset

from hwnas.data import Splits, split
from hwnas.device import measure
from hwnas.errors import StrategyError
from hwnas.experiment import STRATEGIES, search_each
from hwnas.nn.families import FAMILIES
from hwnas.profiler import FlopsProfiler, NumParamsProfiler
from hwnas.strategy.mixable import SAMPLING_STRATEGIES
from hwnas.testing.fake_runtime import FakeRuntime
from hwnas.train import Recipe

TINY = ("mobilenet_v3_8", "proxylessnas_8", "fbnet22_8", "shufflenet_v2_8", "nasbench201_8", "darts_8")
RECIPE = Recipe(epochs=1, batch_size=16, learning_rate=0.02)
SPACES = {name: FAMILIES[name].factory for name in TINY} | {
    "shufflenet_v2_8, widths": partial(
        FAMILIES["shufflenet_v2_8"].factory, channel_search=True, channel_ratios=(0.5, 1.0, 1.5)
    )
}

# As short as they go, and so that the architecture learns.
OPTIONS = {
    "certified": {"num_samples": 8, "num_held_out": 4, "num_candidates": 2, "max_rounds": 1, "num_finalists": 2},
    "darts": {},
    "darts, second order": {"unrolled": True},
    "enas": {
        "num_warmup_epochs": 0.0,
        "num_samples": 2,
        "steps_per_controller_step": 1,
        "num_derived_samples": 2,
        "scoring_share": 0.3,
    },
    "evolution": {"max_trials": 6, "population_size": 4, "sample_size": 2},
    "fbnet": {"start_epoch": 0.0, "profiler": "macs"},
    "hardcorenas": {"train_weights": True},
    "proxylessnas": {"num_warmup_epochs": 0.0},
    "proxylessnas, by reinforce": {"num_warmup_epochs": 0.0, "method": "reinforce", "num_samples": 2},
    "random": {"max_trials": 3},
    "spos": {"population_size": 3, "num_top": 2, "num_crossover": 1, "num_mutation": 1, "num_generations": 2},
}
MIXING = [key for key in OPTIONS if key.split(",")[0] not in SAMPLING_STRATEGIES and "reinforce" not in key]

# Two families for each strategy in `make test`, so that each family comes three times or more.
IN_SHORT = {
    "certified": ("mobilenet_v3_8", "shufflenet_v2_8"),
    "darts": ("darts_8", "proxylessnas_8"),
    "enas": ("darts_8", "nasbench201_8"),
    "evolution": ("fbnet22_8", "nasbench201_8"),
    "fbnet": ("fbnet22_8", "shufflenet_v2_8"),
    "hardcorenas": ("mobilenet_v3_8", "nasbench201_8"),
    "proxylessnas": ("proxylessnas_8", "mobilenet_v3_8"),
    "random": ("darts_8", "proxylessnas_8"),
    "spos": ("shufflenet_v2_8", "fbnet22_8"),
}
BUDGETS = {"no budgets": (), "macs and params": ("macs<=60%", "params<=90%")}


@cache
def data() -> Splits:
    """Noise with as many classes as the families have: 60 images to train, 20 to search and 20 to test."""
    images = np.random.default_rng(0).normal(size=(100, 1, 8, 8))
    return split(TensorDataset(torch.tensor(images).float(), torch.arange(100) % 10), seed=0)


def search(directory, family, key, budgets, **options):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    space = SPACES[family]()
    [result] = search_each(
        space,
        data(),
        budgets,
        strategy=key.split(",")[0],
        strategy_options=OPTIONS[key],
        recipe=RECIPE,
        search=RECIPE,
        fine_tune=RECIPE,
        short=RECIPE,
        rivals="none",
        directory=directory,
        **options,
    )
    return space, result


def check(directory, family, key, budgets):
    """The network keeps its budgets by what is counted on it and in its file; the file computes what it does."""
    space, result = search(directory, family, key, budgets)
    space.space.validate(result.architecture)
    assert result.onnx_difference < 1e-4
    model = onnx.load(result.directory / "network.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [row.profiler for row in result.budgets] == [budget.split("<")[0] for budget in budgets]
    assert all(row.kept and row.measured <= row.limit for row in result.budgets)
    num_params = sum(parameter.numel() for parameter in space.freeze(result.architecture).parameters())
    limits = {"macs": 0.6 * extreme(FlopsProfiler(space)), "params": 0.9 * extreme(NumParamsProfiler(space))}
    for row in result.budgets:
        assert row.limit == pytest.approx(limits[row.profiler])
        if row.profiler == "params":
            assert row.measured == num_params


def extreme(profiler) -> float:
    return profiler.cost.maximum().value


def test_every_strategy_and_every_family_occurs():
    assert set(IN_SHORT) == set(STRATEGIES) == {key.split(",")[0] for key in OPTIONS}
    assert {family for families in IN_SHORT.values() for family in families} == set(TINY)
    assert set(TINY) == {name for name in FAMILIES if name.endswith("_8")}


@pytest.mark.parametrize("budgets", BUDGETS)
@pytest.mark.parametrize(("key", "family"), [(key, family) for key in IN_SHORT for family in IN_SHORT[key]])
def test_two_families_for_each_strategy(tmp_path, key, family, budgets):
    check(tmp_path / "run", family, key, BUDGETS[budgets])
