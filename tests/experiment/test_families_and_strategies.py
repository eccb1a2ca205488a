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
from hwnas.experiment.strategies import is_one_shot
from hwnas.nn.families import FAMILIES
from hwnas.profiler import FlopsProfiler, NumParamsProfiler
from hwnas.strategy.mixable import SAMPLING_STRATEGIES
from hwnas.testing.fake_runtime import FakeRuntime
from hwnas.train import Recipe

TINY = (
    "mobilenet_v3_8",
    "proxylessnas_8",
    "fbnet22_8",
    "shufflenet_v2_8",
    "nasbench201_8",
    "darts_8",
    "enas_macro_8",
    "enas_micro_8",
)
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
MIXING = ["darts", "darts, second order", "fbnet", "hardcorenas", "proxylessnas"]

# What `make test` has of it: for each strategy a family with and without budgets, and another with budgets.
IN_SHORT = {
    "certified": ("mobilenet_v3_8", "shufflenet_v2_8"),
    "darts": ("darts_8", "proxylessnas_8"),
    "enas": ("enas_macro_8", "enas_micro_8"),
    "evolution": ("fbnet22_8", "nasbench201_8"),
    "fbnet": ("fbnet22_8", "shufflenet_v2_8"),
    "hardcorenas": ("mobilenet_v3_8", "nasbench201_8"),
    "proxylessnas": ("proxylessnas_8", "mobilenet_v3_8"),
    "random": ("darts_8", "proxylessnas_8"),
    "spos": ("shufflenet_v2_8", "fbnet22_8"),
}
BUDGETS = {"no budgets": (), "macs and params": ("macs<=60%", "params<=90%")}
NOT_MIXABLE = {"shufflenet_v2_8, widths": r"stage1\.block1\.width", "enas_micro_8": "normal/input_3_0"}  # and where
REFUSED = [(key, family) for key in MIXING for family in NOT_MIXABLE]
SHORT = [
    (key, family, budgets)
    for key, (first, second) in IN_SHORT.items()
    for family, budgets in ((first, "no budgets"), (first, "macs and params"), (second, "macs and params"))
]


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
    assert set(IN_SHORT) == {key.split(",")[0] for key in OPTIONS}
    assert {name for name in STRATEGIES if is_one_shot(name)} < set(IN_SHORT) <= set(STRATEGIES)
    assert {family for families in IN_SHORT.values() for family in families} == set(TINY)
    assert set(TINY) == {name for name in FAMILIES if name.endswith("_8")}


@pytest.mark.parametrize(("key", "family", "budgets"), SHORT)
def test_two_families_for_each_strategy(tmp_path, key, family, budgets):
    check(tmp_path / "run", family, key, BUDGETS[budgets])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "family", "budgets"),
    [case for case in product(OPTIONS, SPACES, BUDGETS) if case not in SHORT and case[:2] not in REFUSED],
)
def test_all_others(tmp_path, key, family, budgets):
    check(tmp_path / "run", family, key, BUDGETS[budgets])


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A family's table on the fake device, measured once for all strategies."""
    directory = tmp_path_factory.mktemp("tables")

    @cache
    def table(family):
        path = directory / f"{family}.sqlite"
        measure(SPACES[family](), device(), out=path, repeats=2, calibrate=3)
        return path

    return table


def device() -> FakeRuntime:
    return FakeRuntime(noise=0.02, drift=0.1, replay=True)


@pytest.mark.slow
@pytest.mark.parametrize("family", SPACES)
@pytest.mark.parametrize("key", OPTIONS)
def test_latency_on_a_device(tmp_path, tables, key, family):
    if (key, family) in REFUSED:
        pytest.skip("they do not go together, see below")
    if (key, family) == ("hardcorenas", "enas_macro_8"):
        pytest.skip("a sum of any subset is measured as one block, so that skips multiply; see the next test")
    _, result = search(
        tmp_path / "run", family, key, ("latency<=85%",), device=device(), table=tables(family), repeats=2, calibrate=3
    )
    [row] = result.budgets
    assert (row.profiler, row.unit, row.kept) == ("latency", "ms", True)
    assert 0.0 < row.measured <= row.limit
    assert result.onnx_difference < 1e-4


@pytest.mark.slow
def test_hardcorenas_refuses_the_latency_of_skips(tmp_path, tables):
    family = "enas_macro_8"
    with pytest.raises(StrategyError, match=r"'layer_3/skip/0' and 'layer_3/skip/1' multiply"):
        search(
            tmp_path / "run",
            family,
            "hardcorenas",
            ("latency<=85%",),
            device=device(),
            table=tables(family),
            repeats=2,
            calibrate=3,
        )


@pytest.mark.parametrize(("key", "family"), REFUSED)
def test_widths_and_loose_ends_cannot_be_mixed(tmp_path, key, family):
    """Said before anything is trained, with the first choice that cannot and the strategies that can search it."""
    name, choice = key.split(",")[0], NOT_MIXABLE[family]
    words = rf"^{name} mixes .* those of '{choice}' cannot be mixed: .* {', '.join(SAMPLING_STRATEGIES)}\.$"
    with pytest.raises(StrategyError, match=words):
        search(tmp_path / "run", family, key, ("macs<=60%",))
    assert not any((tmp_path / "run" / phase).exists() for phase in ("supernet", "search"))


def test_those_named_are_all_that_can():
    assert set(MIXING) <= set(OPTIONS)
    assert list(SAMPLING_STRATEGIES) == sorted(set(STRATEGIES) - {key.split(",")[0] for key in MIXING})
