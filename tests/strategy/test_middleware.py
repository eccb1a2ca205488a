import pytest

from hwnas.errors import ConfigError
from hwnas.strategy import Chain, Deduplication, Filter, Random, StopsTrials, TrialLimit, unbound
from hwnas.strategy.middleware import check_middleware, is_stopped
from tests.strategy.scripted import SPACE, Scripted, number, numbers, scored


def test_the_outermost_is_first():
    """A filter inside a limit costs nothing of it; outside of it, it does."""
    odd = Filter(lambda sample: sample["n"] % 2 == 1)
    inside = Chain(Scripted(0, 2, 4, 1, 3, 5), TrialLimit(2), odd)
    outside = Chain(Scripted(0, 2, 4, 1, 3, 5), odd, TrialLimit(4))
    assert numbers(inside, 6) == [1, 3]
    assert numbers(outside, 6) == [1]


def test_a_chain_of_chains():
    chain = Chain(Chain(Scripted(1, 1, 2, 3), Deduplication()), Filter(lambda sample: sample["n"] != 2))
    assert numbers(chain, 4) == [1, 3]
    assert numbers(Chain(Scripted(4, 5)), 2) == [4, 5]


def test_one_description_serves_many_searches():
    description = Deduplication()
    for _ in range(2):
        assert numbers(Chain(Scripted(1, 1, 2), description), 3) == [1, 2]


def test_stopping_goes_through():
    strategy = Scripted(1, 2, stops=[2])
    chain = Chain(strategy, TrialLimit(5), Deduplication(), Filter(lambda sample: True))
    assert isinstance(chain, StopsTrials)
    first, second = chain.ask(2)
    assert not chain.should_stop(first, 1, 0.5)
    assert chain.should_stop(second, 1, 0.5)
    assert [number(proposal) for proposal, _, _ in strategy.reported] == [1, 2]


def test_a_strategy_that_stops_nothing():
    strategy = Random(SPACE)
    assert not is_stopped(strategy, strategy.ask(1)[0], 1, 0.0)


def test_deriving_goes_through():
    chain = Chain(Scripted(3, 7), TrialLimit(5), Deduplication())
    for proposal in chain.ask(2):
        chain.tell(proposal, scored(-number(proposal)))
    assert chain.derive(()).architecture["n"] == 3


def test_what_is_no_strategy_is_refused():
    for wrong in (Random, unbound.Random(), "random", None):
        with pytest.raises(
            ConfigError, match=r"begins with a strategy that asks for evaluations, .* in hwnas\.strategy\.unbound"
        ):
            Chain(wrong, Deduplication())


def test_what_is_no_middleware_is_refused():
    for wrong in (Deduplication, lambda sample: True, Random(SPACE)):
        with pytest.raises(ConfigError, match=r"takes middleware, as in Chain\(strategy, Deduplication\(\)\); got"):
            Chain(Random(SPACE), wrong)
        with pytest.raises(ConfigError, match="takes middleware"):
            check_middleware([Deduplication(), wrong])
