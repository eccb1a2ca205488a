import dataclasses
import itertools
import math

import numpy as np
import pytest

from hwnas.errors import ConfigError, StrategyError
from hwnas.strategy import Chain, FailureHandler, Filter, MultipleEvaluation
from tests.strategy.scripted import FAILED, Scripted, at_most, number, numbers, scored


def run(chain, outcome_of, num=1):
    """Ask and tell until there is no more; the numbers and repeats that were evaluated."""
    evaluated = []
    while asked := chain.ask(num):
        for proposal in asked:
            evaluated.append((number(proposal), proposal.repeat))
            chain.tell(proposal, outcome_of(proposal))
    return evaluated


def fails_at_first(proposal):
    return FAILED if proposal.repeat < 2 else scored(1.0)


def test_failures_are_tried_again():
    strategy = Scripted(1, 2)
    evaluated = run(Chain(strategy, FailureHandler(retry=2)), fails_at_first)
    assert evaluated == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    assert strategy.scores_told == [(1, 1.0), (2, 1.0)]


def test_after_the_last_try_it_has_failed():
    strategy = Scripted(1)
    assert run(Chain(strategy, FailureHandler(retry=1)), fails_at_first) == [(1, 0), (1, 1)]
    assert strategy.scores_told == [(1, None)]


def test_a_metric_for_failures():
    strategy = Scripted(1, 2)
    run(Chain(strategy, FailureHandler(-5.0)), lambda proposal: FAILED if number(proposal) == 1 else scored(0.5))
    assert strategy.scores_told == [(1, -5.0), (2, 0.5)]
    both = Scripted(1)
    run(Chain(both, FailureHandler(metric=-5.0, retry=1)), lambda proposal: FAILED)
    assert both.scores_told == [(1, -5.0)]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3), (3, 2, 1, 0)])
def test_the_same_wanted_twice_at_a_time(order):
    """The first two evaluations are of the first wish, the others of the second; the mean of each is told."""
    strategy = Scripted(1, 1)
    chain = Chain(strategy, MultipleEvaluation(2))
    proposals = chain.ask(4)
    for place in order:
        chain.tell(proposals[place], scored(float(place % 2)))
    assert strategy.scores_told == [(1, 0.5), (1, 0.5)]


def test_retries_beside_others_in_flight():
    strategy = Scripted(1, 2, 3)
    chain = Chain(strategy, FailureHandler(retry=1))
    first, second = chain.ask(2)
    chain.tell(second, FAILED)
    again, third = chain.ask(2)
    assert [number(first), number(again), number(third)] == [1, 2, 3]
    for proposal in (third, again, first):
        chain.tell(proposal, scored(number(proposal)))
    assert strategy.scores_told == [(3, 3.0), (2, 2.0), (1, 1.0)]


def test_what_was_given_up_has_not_failed():
    strategy = Scripted(1, stops=[1])
    chain = Chain(strategy, FailureHandler(-5.0, retry=3))
    [proposal] = chain.ask(1)
    assert chain.should_stop(proposal, 1, 0.1)
    chain.tell(proposal, FAILED)
    assert numbers(chain) == []
    assert strategy.scores_told == [(1, None)]


def test_what_an_inner_filter_refuses_has_not_failed():
    strategy = Scripted(1, 2)
    chain = Chain(strategy, FailureHandler(-5.0, retry=3), Filter(lambda sample: sample["n"] == 2))
    assert numbers(chain) == [2]
    assert strategy.scores_told == [(1, None)]


def test_a_failure_is_not_derived_for_its_metric():
    chain = Chain(Scripted(1, 2, 3), FailureHandler(100.0))
    run(chain, lambda proposal: FAILED if number(proposal) == 1 else scored(number(proposal)))
    derived = chain.derive(())
    assert derived.architecture["n"] == 3
    assert derived.note.startswith("the evaluation of what the strategy derived failed; this is the best")
    assert chain.derive([at_most(2)]).architecture["n"] == 2
    with pytest.raises(StrategyError, match="The evaluation of what the strategy derived failed, and nothing else"):
        chain.derive([at_most(1)])


def test_what_failed_once_and_succeeded_once_is_derived():
    chain = Chain(Scripted(1, 1), FailureHandler(-5.0))
    outcomes = iter([FAILED, scored(2.0)])
    run(chain, lambda proposal: next(outcomes))
    assert chain.derive(()).architecture["n"] == 1


def test_the_mean_of_several():
    strategy = Scripted(1, 2)
    evaluated = run(
        Chain(strategy, MultipleEvaluation(3)),
        lambda proposal: scored(
            proposal.repeat, loss=2.0 * proposal.repeat, objectives=(proposal.repeat, -proposal.repeat), violation=0.5
        ),
    )
    assert evaluated == list(itertools.product((1, 2), range(3)))
    [(_, outcome), (_, second)] = strategy.told
    assert outcome == dataclasses.replace(second)
    assert (outcome.score, outcome.loss, outcome.objectives, outcome.violation) == (1.0, 2.0, (1.0, -1.0), 0.5)
    assert outcome.standard_error is None


def test_all_are_in_flight_together_and_may_end_in_any_order():
    told = []
    for order in itertools.permutations(range(3)):
        strategy = Scripted(1, 2)
        chain = Chain(strategy, MultipleEvaluation(3))
        asked = chain.ask(4)
        assert [(number(proposal), proposal.repeat) for proposal in asked] == [(1, 0), (1, 1), (1, 2), (2, 0)]
        for n in order:
            assert strategy.told == []
            chain.tell(asked[n], scored((0.1, 0.2, 0.3)[n]))  # sums that depend on the order of their terms
        told += strategy.told
    assert len({outcome.score for _, outcome in told}) == 1


def test_images_have_a_standard_error():
    """Means (1, 0.5, 0, 0.5) of 0/1 scores: standard deviation sqrt(1/8), over sqrt(4)."""
    strategy = Scripted(1)
    scores = [np.array(row, dtype=np.float32) for row in ((1, 1, 0, 0), (1, 0, 0, 1))]
    run(Chain(strategy, MultipleEvaluation(2)), lambda proposal: scored(0.5, scores=scores[proposal.repeat]))
    [(_, outcome)] = strategy.told
    assert outcome.scores.tolist() == [1.0, 0.5, 0.0, 0.5]
    assert outcome.standard_error == pytest.approx(math.sqrt(1 / 8) / 2)


def test_the_mean_is_of_those_that_did_not_fail():
    strategy = Scripted(1, 2)
    run(
        Chain(strategy, MultipleEvaluation(2)),
        lambda proposal: FAILED if number(proposal) == 2 or proposal.repeat == 0 else scored(0.7),
    )
    assert strategy.scores_told == [(1, 0.7), (2, None)]


def test_each_of_several_is_tried_again():
    """Six different repeats: three evaluations with two tries each, and the other way round."""
    for middleware in (
        (FailureHandler(retry=1), MultipleEvaluation(3)),
        (MultipleEvaluation(3), FailureHandler(retry=1)),
    ):
        strategy = Scripted(1)
        evaluated = run(Chain(strategy, *middleware), lambda proposal: FAILED)
        assert sorted(evaluated) == [(1, repeat) for repeat in range(6)]
        assert strategy.scores_told == [(1, None)]


def test_means_of_different_objectives_are_refused():
    """A failure's metric has one number for each of them."""
    several = scored(1.0, objectives=(1.0, 2.0))
    strategy = Scripted(1)
    chain = Chain(strategy, FailureHandler((-5.0, -6.0)), MultipleEvaluation(2))
    run(chain, lambda proposal: several if proposal.repeat else FAILED)
    [(_, outcome)] = strategy.told
    assert (outcome.score, outcome.objectives) == (-2.0, (-2.0, -2.0))
    chain = Chain(Scripted(1), FailureHandler(-5.0), MultipleEvaluation(2))
    with pytest.raises(StrategyError, match=r"must have the same objectives; got 1 and 2 of them\. A metric told of"):
        run(chain, lambda proposal: several if proposal.repeat else FAILED)


def test_stopping_is_asked_for_the_proposal_itself():
    strategy = Scripted(1)
    chain = Chain(strategy, FailureHandler(retry=1), MultipleEvaluation(2))
    for proposal in chain.ask(2):
        assert not chain.should_stop(proposal, 1, 0.5)
    assert [proposal.repeat for proposal, _, _ in strategy.reported] == [0, 0]


def test_bad_arguments():
    with pytest.raises(ConfigError, match=r"needs `metric`, `retry` or both; got neither"):
        FailureHandler()
    with pytest.raises(ConfigError, match=r"`metric` must be a finite number, .*; got nan"):
        FailureHandler(math.nan)
    with pytest.raises(ConfigError, match="`retry` must be a whole number of at least 0; got -1"):
        FailureHandler(0.0, retry=-1)
    with pytest.raises(ConfigError, match="`repeat` must be a whole number of at least 2; got 1"):
        MultipleEvaluation(1)


def test_a_failure_ranks_behind_what_breaks_measured_limits():
    """Its metric is no way around them: -5 within the limits would be better than anything over them."""
    outcomes = {1: scored(1.0, violation=3.0), 2: FAILED, 3: scored(2.0, violation=4.0), 4: FAILED}
    strategy = Scripted(*outcomes)
    run(Chain(strategy, FailureHandler(-5.0)), lambda proposal: outcomes[number(proposal)])
    assert [outcome.violation for _, outcome in strategy.told] == [3.0, 3.0, 4.0, 4.0]
    assert sorted(strategy.told, key=lambda one: one[1].rank)[0] == (4, scored(-5.0, violation=4.0))
    strategy = Scripted(1, 2, 3)
    run(Chain(strategy, Filter(lambda sample: sample["n"] != 2, -5.0)), lambda proposal: outcomes[1])
    assert strategy.told[1] == (2, scored(-5.0, violation=3.0))
