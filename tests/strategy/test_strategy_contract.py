"""Every multi-trial strategy keeps the contract; populations are small, so that 60 trials show generations."""

import pytest

from hwnas.strategy import (
    NSGA2,
    SPOS,
    TPE,
    Certified,
    GridSearch,
    LocalSearch,
    OptunaStrategy,
    PolicyBasedRL,
    PredictorGuided,
    Random,
    RegularizedEvolution,
)
from hwnas.testing.strategy_contract import MakeStrategy, StrategyContract


class TestRandom(StrategyContract):
    repeats = True

    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        return lambda space, budgets, seed: Random(space, budgets, seed=seed)


class TestRegularizedEvolution(StrategyContract):
    repeats = True

    @pytest.fixture(params=[False, True], ids=["mutation", "crossover"])
    def make_strategy(self, request) -> MakeStrategy:
        return lambda space, budgets, seed: RegularizedEvolution(
            space, budgets, population_size=12, sample_size=4, crossover=request.param, seed=seed
        )


class TestSPOS(StrategyContract):
    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        return lambda space, budgets, seed: SPOS(
            space, budgets, population_size=10, num_top=3, num_crossover=4, num_mutation=4, seed=seed
        )


class TestCertified(StrategyContract):
    @pytest.fixture(params=["full", "batch"])
    def make_strategy(self, request) -> MakeStrategy:
        return lambda space, budgets, seed: Certified(
            space,
            budgets,
            explore=request.param,
            num_samples=20,
            num_held_out=8,
            num_candidates=3,
            max_rounds=3,
            seed=seed,
        )


class TestNSGA2(StrategyContract):
    repeats = True

    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        return lambda space, budgets, seed: NSGA2(space, budgets, population_size=10, seed=seed)


class TestLocalSearch(StrategyContract):
    @pytest.fixture(params=[False, True], ids=["best", "first"])
    def make_strategy(self, request) -> MakeStrategy:
        return lambda space, budgets, seed: LocalSearch(space, budgets, first_improvement=request.param, seed=seed)


class TestGridSearch(StrategyContract):
    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        return lambda space, budgets, seed: GridSearch(space, budgets, seed=seed)


class TestOptunaStrategy(StrategyContract):
    repeats = True

    @pytest.fixture(params=["nsgaii", "nsgaiii", "random"])
    def make_strategy(self, request) -> MakeStrategy:
        options = {} if request.param == "random" else {"population_size": 10}
        return lambda space, budgets, seed: OptunaStrategy(
            space, budgets, sampler=request.param, sampler_options=options, seed=seed
        )


class TestTPE(StrategyContract):
    repeats = True

    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        return lambda space, budgets, seed: TPE(space, budgets, seed=seed)


class TestPolicyBasedRL(StrategyContract):
    repeats = True

    @pytest.fixture
    def make_strategy(self) -> MakeStrategy:
        return lambda space, budgets, seed: PolicyBasedRL(space, budgets, seed=seed)


class TestPredictorGuided(StrategyContract):
    @pytest.fixture(params=["solver", "evolution"])
    def make_strategy(self, request) -> MakeStrategy:
        return lambda space, budgets, seed: PredictorGuided(
            space, budgets, num_initial=10, refit_every=4, candidates=request.param, seed=seed
        )
