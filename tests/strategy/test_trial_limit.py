import pytest

from hwnas.errors import ConfigError
from hwnas.strategy import Chain, Filter, Random, TrialLimit
from tests.strategy.scripted import FAILED, SPACE, Scripted, number, numbers, scored


def test_so_many_are_asked_for():
    chain = Chain(Random(SPACE), TrialLimit(5))
    assert [len(chain.ask(num)) for num in (2, 2, 2, 2)] == [2, 2, 1, 0]


def test_failed_ones_count_and_refused_ones_do_not():
    chain = Chain(Scripted(9, 1, 9, 2, 3), TrialLimit(2), Filter(lambda sample: sample["n"] < 5))
    [first] = chain.ask(1)
    chain.tell(first, FAILED)
    assert number(first) == 1
    assert numbers(chain, 2) == [2]


def test_what_was_asked_for_is_told_after_the_last():
    strategy = Scripted(1, 2)
    chain = Chain(strategy, TrialLimit(1))
    [first] = chain.ask(3)
    assert chain.ask(1) == []
    chain.tell(first, scored(1.0))
    assert strategy.scores_told == [(1, 1.0)]
    assert chain.derive(()).architecture["n"] == 1


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "10", None, True])
def test_bad_numbers(wrong):
    with pytest.raises(ConfigError, match="`num_trials` must be a whole number of at least 1; got"):
        TrialLimit(wrong)
