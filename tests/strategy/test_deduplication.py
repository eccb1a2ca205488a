import pytest

from hwnas.errors import ConfigError
from hwnas.strategy import SPOS, Chain, Deduplication, MultipleEvaluation, Random
from hwnas.testing.strategy_contract import contract_outcome, contract_space
from tests.strategy.scripted import FAILED, SPACE, Scripted, number, numbers, scored


def test_replay_tells_the_outcome_again():
    strategy = Scripted(1, 1, 2, 1)
    chain = Chain(strategy, Deduplication())
    [first] = chain.ask(1)
    chain.tell(first, scored(0.5))
    assert numbers(chain, 2) == [2]
    assert strategy.scores_told == [(1, 0.5), (1, 0.5), (1, 0.5)]


def test_invalid_tells_a_failure():
    strategy = Scripted(1, 1, 2)
    chain = Chain(strategy, Deduplication("invalid"))
    [first] = chain.ask(1)
    chain.tell(first, scored(0.5))
    assert numbers(chain) == [2]
    assert strategy.scores_told == [(1, 0.5), (1, None)]


def test_a_failure_is_replayed_too():
    strategy = Scripted(1, 1)
    chain = Chain(strategy, Deduplication())
    [first] = chain.ask(1)
    chain.tell(first, FAILED)
    assert numbers(chain) == []
    assert strategy.scores_told == [(1, None), (1, None)]


def test_what_is_in_flight_comes_no_second_time():
    """Its outcome is told as often as it was proposed, when it is there."""
    strategy = Scripted(1, 1, 2, 1, 3)
    chain = Chain(strategy, Deduplication("replay"))
    asked = chain.ask(5)
    assert [number(proposal) for proposal in asked] == [1, 2, 3]
    assert strategy.told == []
    chain.tell(asked[1], scored(0.2))
    chain.tell(asked[0], scored(0.1))
    assert strategy.scores_told == [(2, 0.2), (1, 0.1), (1, 0.1), (1, 0.1)]
    invalid = Scripted(1, 1, 2)
    assert numbers(Chain(invalid, Deduplication("invalid")), 2) == [1, 2]
    assert invalid.scores_told == [(1, None)]


def test_an_exhausted_space_ends_the_search():
    chain = Chain(Random(SPACE, seed=0), Deduplication())
    seen = []
    while asked := chain.ask(3):
        for proposal in asked:
            seen.append(number(proposal))
            chain.tell(proposal, scored(1.0))
    assert sorted(seen) == list(range(10))


def test_waiting_for_what_is_in_flight_is_not_the_end():
    """`ask` gives none with an evaluation in flight; what is new comes after it."""
    chain = Chain(Scripted(1, 1, 1, 1, 2), Deduplication(patience=2))
    [first] = chain.ask(2)
    assert numbers(chain) == [2]
    chain.tell(first, scored(1.0))
    assert numbers(chain) == []


def test_other_repeats_and_fidelities_are_no_duplicates():
    assert numbers(Chain(Scripted(1, 2), Deduplication(), MultipleEvaluation(2)), 4) == [1, 1, 2, 2]
    space = contract_space()
    chain = Chain(SPOS(space, population_size=10, num_top=3, num_crossover=4, num_mutation=4, seed=0), Deduplication())
    for _ in range(30):
        [proposal] = chain.ask(1)
        chain.tell(proposal, contract_outcome(proposal.architecture))


def test_bad_arguments():
    with pytest.raises(ConfigError, match="`action` of Deduplication must be 'invalid' or 'replay'; got 'skip'"):
        Deduplication("skip")
    with pytest.raises(ConfigError, match="`patience` must be a whole number of at least 1; got 0"):
        Deduplication(patience=0)
