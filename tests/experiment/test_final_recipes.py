"""The final recipes against the papers' numbers, and whom they are for."""

import dataclasses

import pytest

from hwnas.experiment.final_recipes import FINAL_RECIPES, final_options, final_recipe
from hwnas.experiment.strategies import STRATEGIES
from hwnas.nn.families import FAMILIES, family
from tests.experiment.examples import tiny_space


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("darts", (600, 96, 0.025, "cosine", 3e-4, 0.4, 0.2, 16)),
        ("enas", (310, 100, 0.05, "cosine", 2e-4, 0.0, 0.0, 0)),
        ("enas, cells", (630, 144, 0.05, "cosine", 2e-4, 0.4, 0.4, 16)),
        ("fbnet", (360, 256, 0.1, "step", 4e-5, 0.0, 0.0, 0)),
        ("hardcorenas", (50, 128, 0.00128, "cosine", 1e-5, 0.0, 0.0, 0)),
        ("pfld", (300, 256, 1e-4, "cosine", 1e-6, 0.0, 0.0, 0)),
        ("proxylessnas", (300, 256, 0.05, "cosine", 4e-5, 0.0, 0.0, 0)),
        ("spos", (240, 1024, 0.5, "linear", 4e-5, 0.0, 0.0, 0)),
    ],
)
def test_the_published_numbers(name, numbers):
    final = FINAL_RECIPES[name]
    recipe = final.recipe
    assert numbers == (
        *(recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.schedule, recipe.weight_decay),
        *(final.auxiliary_weight, final.drop_path_rate, 32 * final.cutout),
    )
    assert "https://arxiv.org/abs/" in final.source
    assert final.inherits == (name in ("hardcorenas", "pfld"))
    assert recipe.distillation == (2.0 if name == "hardcorenas" else 0.0)


def test_every_recipe_is_of_a_strategy_or_a_family():
    assert {name.split(",")[0] for name in FINAL_RECIPES} <= {*STRATEGIES, *FAMILIES}


def test_landmark_networks_are_trained_alike_whatever_found_them():
    space = family("pfld_32")
    for strategy in ("fbnet", "certified", "my_own"):
        assert final_recipe(strategy, space) == FINAL_RECIPES["pfld"]
    assert not final_recipe("fbnet", space, inherit=False).inherits
    assert final_recipe("fbnet", space, inherit=False).recipe == FINAL_RECIPES["pfld"].recipe


def test_a_network_gets_what_it_can_do():
    cells, others = family("darts_8"), family("proxylessnas_8")
    assert final_recipe("darts", cells) == FINAL_RECIPES["darts"]
    assert final_recipe("enas", cells) == FINAL_RECIPES["enas, cells"]
    assert final_recipe("enas", others) == final_recipe("enas", family("enas_macro_8")) == FINAL_RECIPES["enas"]
    micro = final_recipe("enas", family("enas_micro_8"))
    assert micro == dataclasses.replace(FINAL_RECIPES["enas, cells"], auxiliary_weight=0.0, drop_path_rate=0.0)
    assert (micro.recipe.epochs, micro.cutout) == (630, 0.5)
    without = final_recipe("darts", others)
    assert (without.auxiliary_weight, without.drop_path_rate, without.cutout) == (0, 0, 0.5)
    assert without.recipe == FINAL_RECIPES["darts"].recipe
    flat = tiny_space()
    flat.example_inputs = (flat.example_inputs[0].flatten(1),)
    assert final_recipe("darts", flat).cutout == 0


def test_a_strategy_without_a_paper_and_beginnings_that_are_not_the_papers():
    space = tiny_space()
    scratch, inherited = FINAL_RECIPES["proxylessnas"], FINAL_RECIPES["hardcorenas"]
    for strategy in ("certified", "evolution", "random", "my_own"):
        assert final_recipe(strategy, space) == scratch
        assert final_recipe(strategy, space, inherit=True) == inherited
    assert final_recipe("hardcorenas", space, inherit=False) == scratch
    assert final_recipe("hardcorenas", space) == final_recipe("spos", space, inherit=True) == inherited
    assert final_recipe("spos", space, inherit=False) == FINAL_RECIPES["spos"]


GROWN = {
    "darts": {"num_cells": 20, "channels": 36},  # the paper, appendix A
    "enas_macro": {"filters": 96, "dropout": 0.5},  # scripts/cifar10_macro_final.sh of the paper's program
    "enas_micro": {"num_cells": 15, "channels": 36, "dropout": 0.2},  # scripts/cifar10_micro_final.sh
}


@pytest.mark.parametrize("name", [name for name in FAMILIES if name.startswith(("darts", "enas", "shufflenet_v2"))])
def test_the_final_member_has_the_architectures_of_the_searched_one(name):
    options = final_options(name)
    assert options == {"affine": True} | GROWN.get(name, {})
    if name.endswith("_8"):
        small = {"channels": 6, "num_cells": 5} if "macro" not in name else {"filters": 6}
        grown = {key: value for key, value in small.items() if key in GROWN.get(name[:-2], {})}
        assert family(name, **options, **grown).space.uid == family(name).space.uid


def test_other_families_and_spaces_of_ones_own_stay_as_they_are():
    assert final_options("mobilenet_v3_8") == final_options("mine.py:factory") == {}
