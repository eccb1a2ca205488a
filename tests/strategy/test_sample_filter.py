import dataclasses
import math

import numpy as np
import pytest

from hwnas.errors import BadInputError, ConfigError, StrategyError
from hwnas.profiler import CostProfiler
from hwnas.strategy import NSGA2, Chain, Filter, LatencyFilter, Random, RangeProfilerFilter, RegularizedEvolution
from hwnas.testing.strategy_contract import contract_cost, contract_outcome, contract_space
from tests.strategy.scripted import FAILED, NUMBERS, SPACE, Scripted, at_most, number, numbers, scored

LATENCY = CostProfiler("latency", SPACE, NUMBERS, is_whole=False)  # n milliseconds


def test_what_is_refused_is_told_as_failed_and_never_proposed():
    strategy = Scripted(1, 8, 2, 9, 3)
    chain = Chain(strategy, Filter(lambda sample: LATENCY.profile(sample) < 5.0))
    assert numbers(chain, 2) == [1, 2]
    assert numbers(chain, 2) == [3]
    assert strategy.scores_told == [(8, None), (9, None)]


def test_a_metric_for_what_is_refused():
    strategy = Scripted(8, 2)
    chain = Chain(strategy, Filter(lambda sample: sample["n"] < 5, -7.0))
    [proposal] = chain.ask(1)
    chain.tell(proposal, scored(1.0))
    assert strategy.scores_told == [(8, -7.0), (2, 1.0)]


def test_evolution_learns_from_the_metric():
    """Without it, children of what is accepted are as often refused as mutation takes them out; with it, not less often
    accepted, and members that were refused lose every tournament."""
    space = contract_space()

    def share_accepted(metric):
        num = [0, 0]

        def accepts(sample):
            num[0] += 1
            num[1] += sample["stage0.block0"] == "small"
            return sample["stage0.block0"] == "small"

        inner = RegularizedEvolution(space, population_size=20, sample_size=10, seed=1)
        chain = Chain(inner, Filter(accepts, metric))
        for _ in range(150):
            [proposal] = chain.ask(1)
            chain.tell(proposal, contract_outcome(proposal.architecture))
        return num[1] / num[0]

    assert share_accepted(-100.0) > 0.6  # of random ones a third
    assert share_accepted(+100.0) < 0.4  # a metric the wrong way round draws the search to what is refused


def test_a_metric_for_each_of_several_objectives():
    chain = Chain(
        NSGA2(SPACE, population_size=4, seed=0),
        Filter(lambda sample: sample["n"] < 5, metric_for_invalid=(-1.0, -99.0)),
    )
    for _ in range(20):
        [proposal] = chain.ask(1)
        chain.tell(proposal, scored(number(proposal), objectives=(number(proposal), -number(proposal))))
    assert chain.derive(()).architecture["n"] == 4


def test_a_range_filter_is_a_function_too():
    assert numbers(Chain(Scripted(1, 4, 6, 9), Filter(RangeProfilerFilter(LATENCY, 3.0, 6.0))), 4) == [4, 6]


def test_patience_counts_refusals_in_a_row():
    chain = Chain(Scripted(8, 8, 1, 8, 8, 8), Filter(lambda sample: sample["n"] < 5, patience=3))
    assert numbers(chain) == [1]
    with pytest.raises(
        StrategyError,
        match=r"refused 3 samples in a row, after 1 that it accepted; the last was {'n': 8}\. Let it accept more",
    ):
        chain.ask(1)


def test_everything_refused_ends_with_the_nearest_miss():
    chain = Chain(Random(SPACE, seed=0), LatencyFilter(LATENCY, 0.5, patience=200))
    tight = Chain(Scripted(9, 4, 6, 7), LatencyFilter(LATENCY, 3.0, patience=4))
    assert numbers(chain) == [0]
    with pytest.raises(StrategyError, match=r"4 samples .* nearest miss was 4 ms, the threshold is 3 ms"):
        tight.ask(1)


def test_a_strategy_that_ends_while_it_is_refused():
    chain = Chain(Scripted(1, 8, 9), Filter(lambda sample: sample["n"] < 5))
    assert numbers(chain, 3) == [1]
    assert numbers(chain, 3) == []


def test_a_strategy_that_ends_with_nothing_accepted():
    chain = Chain(Scripted(8, 9), Filter(lambda sample: sample["n"] < 5))
    with pytest.raises(StrategyError, match=r"refused all 2 samples that the strategy had, .* last was {'n': 9}"):
        chain.ask(1)


def test_the_threshold_itself_is_accepted():
    assert numbers(Chain(Scripted(2, 3, 4), LatencyFilter(LATENCY, 3.0)), 3) == [2, 3]


def test_a_function_that_raises():
    chain = Chain(Scripted(1), Filter(lambda sample: sample["layer1"] == "conv"))
    with pytest.raises(StrategyError, match=r"Filter raised KeyError: 'layer1'\. It got {'n': 1}"):
        chain.ask(1)


@pytest.mark.parametrize("answer", [None, 1, "yes", 0.5])
def test_a_function_that_does_not_answer(answer):
    with pytest.raises(StrategyError, match=r"must give True or False; got"):
        Chain(Scripted(1), Filter(lambda sample: answer)).ask(1)


def test_answers_of_numpy():
    assert numbers(Chain(Scripted(1, 8), Filter(lambda sample: np.float64(sample["n"]) < 5)), 2) == [1]


@pytest.mark.parametrize("answer", [math.nan, None, "3 ms", True])
def test_a_profiler_that_gives_no_number(answer):
    class Broken:
        def profile(self, architecture):
            return answer

    with pytest.raises(StrategyError, match=rf"must give a number; it gave {answer!r} for {{'n': 1}}"):
        Chain(Scripted(1), LatencyFilter(Broken(), 3.0)).ask(1)


def test_what_is_refused_is_not_derived():
    """The refused one has the best score, by its metric; failed ones do not count."""
    strategy = Scripted(8, 2, 3, 4)
    chain = Chain(strategy, Filter(lambda sample: 1 < sample["n"] < 5, metric_for_invalid=100.0))
    for proposal, outcome in zip(chain.ask(3), (scored(1.0), scored(2.0), FAILED), strict=True):
        chain.tell(proposal, outcome)
    derived = chain.derive(())
    assert derived.architecture["n"] == 3
    assert derived.note == "the filter refuses what the strategy derived; this is the best one evaluated"
    assert chain.derive([at_most(2)]).architecture["n"] == 2
    with pytest.raises(StrategyError, match="The filter refuses what the strategy derived, and nothing else that was"):
        chain.derive([at_most(1)])


def test_bad_arguments():
    with pytest.raises(ConfigError, match=r"`fn` of a Filter must be a function of an architecture; got 300000000.0"):
        Filter(300e6)
    with pytest.raises(ConfigError, match="`metric_for_invalid` must be a finite number"):
        Filter(lambda sample: True, math.nan)
    with pytest.raises(ConfigError, match="`patience` must be a whole number of at least 1; got 0"):
        Filter(lambda sample: True, patience=0)
    for wrong in (CostProfiler, "latency"):
        with pytest.raises(ConfigError, match=r"`profiler` of a LatencyFilter must be a profiler, with `profile\(arc"):
            LatencyFilter(wrong, 5.0)
    with pytest.raises(
        BadInputError, match=r"a profiler in milliseconds; this one's numbers are in 'macs'\. Use Filter"
    ):
        LatencyFilter(CostProfiler("macs", SPACE, NUMBERS, is_whole=True), 5.0)
    for threshold in (0.0, -1.0, math.inf, math.nan, "5ms", True):
        with pytest.raises(ConfigError, match="`threshold_ms` must be a finite number above 0; got"):
            LatencyFilter(LATENCY, threshold)
    with pytest.raises(ConfigError, match="`metric_for_invalid` must be a finite number"):
        LatencyFilter(LATENCY, 5.0, metric_for_invalid="bad")


def test_they_are_plain_data():
    with pytest.raises(dataclasses.FrozenInstanceError):
        LatencyFilter(LATENCY, 5.0).patience = 3
    space = contract_space()
    mine = CostProfiler("latency", space, contract_cost(space), is_whole=False)
    assert LatencyFilter(mine, 5.0) == LatencyFilter(mine, 5)
