"""A Chain is a strategy: with each middleware, and with all at once, it keeps the contract."""

import pytest

from hwnas.profiler import CostProfiler
from hwnas.strategy import (
    Chain,
    Deduplication,
    FailureHandler,
    Filter,
    LatencyFilter,
    MedianStopping,
    MultipleEvaluation,
    Random,
    RankByCost,
    RegularizedEvolution,
    SuccessiveHalving,
    TrialLimit,
)
from hwnas.testing.strategy_contract import MakeStrategy, StrategyContract, contract_cost


def profiler_of(space):
    return CostProfiler("latency", space, contract_cost(space), is_whole=False)


def is_accepted(sample):
    """About half of the contract's space, its cheapest architecture and the whole tiny space among them."""
    return sample.get("stage0.block0") != "large" and sample.get("stage1.block0") != "large"


MIDDLEWARE = {
    "filter": lambda space: [Filter(is_accepted)],
    "filter with a metric": lambda space: [Filter(is_accepted, -10.0)],
    "latency filter": lambda space: [LatencyFilter(profiler_of(space), 20.0)],  # of 4 to 24
    "failure handler": lambda space: [FailureHandler(-10.0, retry=1)],
    "multiple evaluation": lambda space: [MultipleEvaluation(2)],
    "median stopping": lambda space: [MedianStopping()],
    "successive halving": lambda space: [SuccessiveHalving()],
    "rank by cost": lambda space: [RankByCost(profiler_of(space))],
    "trial limit": lambda space: [TrialLimit(1000)],
}
DEDUPLICATED = {
    "replay": lambda space: [Deduplication(patience=50)],
    "invalid": lambda space: [Deduplication("invalid", patience=50)],
    "everything": lambda space: [
        FailureHandler(-10.0, retry=1),
        TrialLimit(1000),
        MedianStopping(),
        Filter(is_accepted),
        Deduplication(patience=50),
        RankByCost(profiler_of(space)),
    ],
}


class TestChainOfRandom(StrategyContract):
    repeats = True

    @pytest.fixture(params=MIDDLEWARE)
    def make_strategy(self, request) -> MakeStrategy:
        return lambda space, budgets, seed: Chain(Random(space, budgets, seed=seed), *MIDDLEWARE[request.param](space))


class TestChainOfRandomThatEnds(StrategyContract):
    @pytest.fixture(params=DEDUPLICATED)
    def make_strategy(self, request) -> MakeStrategy:
        return lambda space, budgets, seed: Chain(
            Random(space, budgets, seed=seed), *DEDUPLICATED[request.param](space)
        )


def evolution(space, budgets, seed):
    return RegularizedEvolution(space, budgets, population_size=12, sample_size=4, seed=seed)


class TestChainOfEvolution(StrategyContract):
    repeats = True

    @pytest.fixture(params=MIDDLEWARE)
    def make_strategy(self, request) -> MakeStrategy:
        return lambda space, budgets, seed: Chain(evolution(space, budgets, seed), *MIDDLEWARE[request.param](space))


class TestChainOfEvolutionThatEnds(StrategyContract):
    @pytest.fixture(params=DEDUPLICATED)
    def make_strategy(self, request) -> MakeStrategy:
        return lambda space, budgets, seed: Chain(evolution(space, budgets, seed), *DEDUPLICATED[request.param](space))
