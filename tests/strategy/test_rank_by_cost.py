import math

import pytest

from hwnas.errors import ConfigError, StrategyError
from hwnas.profiler import CostProfiler
from hwnas.strategy import Chain, RankByCost, RegularizedEvolution
from hwnas.testing.strategy_contract import contract_cost, contract_space
from tests.strategy.scripted import FAILED, NUMBERS, SPACE, Scripted, scored

LATENCY = CostProfiler("latency", SPACE, NUMBERS, is_whole=False)


def test_the_cheaper_of_equals_is_derived():
    strategy = Scripted(5, 3, 4, 1)
    chain = Chain(strategy, RankByCost(LATENCY))
    for proposal, outcome in zip(chain.ask(4), (scored(1.0), scored(1.0), scored(1.0), scored(0.9)), strict=True):
        chain.tell(proposal, outcome)
    assert [outcome.tie for _, outcome in strategy.told] == [-5.0, -3.0, -4.0, -1.0]
    assert chain.derive(()).architecture["n"] == 3


def test_failures_stay_failures():
    strategy = Scripted(5)
    chain = Chain(strategy, RankByCost(LATENCY))
    chain.tell(chain.ask(1)[0], FAILED)
    assert strategy.scores_told == [(5, None)]


def test_evolution_goes_for_the_cheap_where_all_score_alike():
    space = contract_space()
    cost = contract_cost(space)
    profiler = CostProfiler("latency", space, cost, is_whole=False)
    derived = []
    for middleware in ((), (RankByCost(profiler),)):
        chain = Chain(RegularizedEvolution(space, population_size=20, sample_size=5, seed=0), *middleware)
        for _ in range(200):
            chain.tell(chain.ask(1)[0], scored(1.0))
        derived.append(cost.value(chain.derive(()).architecture))
    assert derived[1] == cost.minimum().value < derived[0]


@pytest.mark.parametrize("answer", [math.nan, None, "3 ms"])
def test_a_profiler_that_gives_no_number(answer):
    class Broken:
        def profile(self, architecture):
            return answer

    chain = Chain(Scripted(5), RankByCost(Broken()))
    with pytest.raises(StrategyError, match=rf"RankByCost must give a number; it gave {answer!r} for {{'n': 5}}"):
        chain.tell(chain.ask(1)[0], scored(1.0))


def test_what_is_no_profiler_is_refused():
    for wrong in (CostProfiler, "latency", None):
        with pytest.raises(
            ConfigError, match=r"`profiler` of a RankByCost must be a profiler, with `profile\(architecture\)`; got"
        ):
            RankByCost(wrong)
