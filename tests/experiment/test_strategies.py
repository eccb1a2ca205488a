import pytest

from hwnas.errors import BudgetError, ConfigError
from hwnas.experiment.budgets import Profilers
from hwnas.experiment.strategies import is_one_shot, make_strategy, needs_latency, search_recipe, split_options
from hwnas.strategy import DARTS, Certified, Chain, Random, unbound
from tests.experiment.examples import tiny_space

SPACE = tiny_space()
PROFILERS = Profilers(SPACE, lambda: pytest.fail("nothing is to be measured"))


def test_by_name_and_by_factory():
    assert isinstance(
        make_strategy("certified", SPACE, [], profilers=PROFILERS, seed=0, options={"num_samples": 9}), Certified
    )

    def mine(space, budgets, *, seed, depth=1):
        return Random(space, budgets, seed=seed + depth)

    assert isinstance(
        make_strategy(mine, SPACE, [], profilers=PROFILERS, seed=0, options={"depth": 2, "max_trials": 3}), Random
    )
    assert split_options(mine, {"max_trials": 3}) == ({}, 3)
    assert split_options("certified", {}) == ({}, None)


def proposed_by(given, **options):
    made = make_strategy(given, SPACE, [], profilers=PROFILERS, seed=0, options={"num_samples": 9}, **options)
    return made.ask(1)[0].fidelity


def test_a_search_explores_on_batches_where_there_are_any():
    assert proposed_by("certified") == "batch"
    assert proposed_by(Certified) == "batch"
    assert proposed_by(unbound.Certified(num_held_out=5)) == "batch"
    assert proposed_by(unbound.Certified(explore="full")) == "full"
    assert proposed_by("certified", batches=False) == "full"
    assert split_options("random", {}) == ({}, 200)


def test_unknown_names_are_listed():
    with pytest.raises(
        ConfigError, match="Unknown strategy 'darts2'; known are certified, darts, enas, evolution, fbnet"
    ):
        split_options("darts2", {})
    with pytest.raises(ConfigError, match=r"has no option .sample_sise.; known are .*sample_size"):
        split_options("evolution", {"sample_sise": 3})
    with pytest.raises(ConfigError, match="`max_trials` must be a whole number of at least 1; got 0"):
        split_options("random", {"max_trials": 0})
    with pytest.raises(ConfigError, match="cannot be made"):
        make_strategy(lambda space: None, SPACE, [], profilers=PROFILERS, seed=0, options={})


def test_one_shot_strategies_get_the_supernet():
    made = make_strategy("darts", SPACE, [], profilers=PROFILERS, seed=0, options={"unrolled": True})
    assert isinstance(made, DARTS)
    assert is_one_shot("darts")
    assert not is_one_shot("certified")
    assert search_recipe("darts") is DARTS.recipe
    assert search_recipe("random") is None
    with pytest.raises(ConfigError, match="has no option 'max_trials'"):
        split_options("darts", {"max_trials": 3})


def test_profilers_by_name():
    assert needs_latency({"profiler": "latency"})
    assert needs_latency({"penalty": {"profiler": "latency", "baseline": 1.0}})
    assert needs_latency({"filter": {"filter": {"profiler": "latency"}}})
    assert not needs_latency({"profiler": "macs", "unrolled": True})
    with pytest.raises(BudgetError, match="Nothing is called 'watts'; known are latency"):
        make_strategy("fbnet", SPACE, [], profilers=PROFILERS, seed=0, options={"profiler": "watts"})


def test_strategies_whose_space_comes_later():
    chain = unbound.Chain(unbound.Random(), unbound.Deduplication())
    limited = unbound.RegularizedEvolution(cycles=7, sample_size=3)
    darts = unbound.DARTS(unrolled=True)
    assert [is_one_shot(one) for one in (chain, limited, darts)] == [False, False, True]
    assert search_recipe(darts) is DARTS.recipe
    assert search_recipe(chain) is None
    assert split_options(chain, {}) == ({}, 200)
    assert split_options(chain, {"max_trials": 9}) == ({}, 9)
    assert split_options(limited, {}) == ({}, None)  # it ends by itself
    with pytest.raises(ConfigError, match=r"strategy Chain\(Random\(\), .*\) has no option 'sample_size'"):
        split_options(chain, {"sample_size": 3})
    made = [
        make_strategy(one, SPACE, [], profilers=PROFILERS, seed=0, options={})
        for one in (chain, darts, unbound.Certified(num_samples=9))
    ]
    assert [type(one) for one in made] == [Chain, DARTS, Certified]


def test_the_number_of_trials_is_a_whole_one():
    for wrong in (True, 0, "5", 2.0):
        with pytest.raises(ConfigError, match="`max_trials` must be a whole number of at least 1; got"):
            split_options("evolution", {"max_trials": wrong})
    with pytest.raises(ConfigError, match="`max_trials` must be a whole number of at most 9223372036854775807; got 9"):
        split_options("evolution", {"max_trials": 2**63})
