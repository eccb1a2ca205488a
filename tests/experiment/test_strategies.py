import pytest

from hwnas.errors import ConfigError
from hwnas.experiment.strategies import make_strategy, split_options
from hwnas.strategy import Certified, Random
from tests.strategy.planted import planted_space

SPACE = planted_space(1)


def test_by_name_and_by_factory():
    assert isinstance(make_strategy("certified", SPACE, [], priors={}, seed=0, options={"num_samples": 9}), Certified)

    def mine(space, budgets, *, seed, depth=1):
        return Random(space, budgets, seed=seed + depth)

    assert isinstance(make_strategy(mine, SPACE, [], priors={}, seed=0, options={"depth": 2, "max_trials": 3}), Random)
    assert split_options(mine, {"max_trials": 3}) == ({}, 3)
    assert split_options("certified", {}) == ({}, None)
    assert split_options("random", {}) == ({}, 200)


def test_unknown_names_are_listed():
    with pytest.raises(ConfigError, match="Unknown strategy 'darts2'; known are certified, evolution, random"):
        split_options("darts2", {})
    with pytest.raises(ConfigError, match=r"has no option .sample_sise.; known are .*sample_size"):
        split_options("evolution", {"sample_sise": 3})
    with pytest.raises(ConfigError, match="`max_trials` must be a whole number of at least 1; got 0"):
        split_options("random", {"max_trials": 0})
    with pytest.raises(ConfigError, match="cannot be made"):
        make_strategy(lambda space: None, SPACE, [], priors={}, seed=0, options={})
