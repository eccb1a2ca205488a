import pytest

from hwnas.errors import ConfigError
from hwnas.strategy import Chain, FailureHandler, MedianStopping, MultipleEvaluation, SuccessiveHalving
from tests.strategy.scripted import FAILED, Scripted, scored


def evaluate(chain, proposal, curve):
    """Report a curve, by step, as an engine does; the step at which it was given up, None where it was not."""
    for step, score in curve.items():
        if chain.should_stop(proposal, step, score):
            chain.tell(proposal, FAILED)
            return step
    chain.tell(proposal, scored(curve[max(curve)]))
    return None


def steps_of(chain, curves):
    """One evaluation after the other."""
    return [evaluate(chain, chain.ask(1)[0], curve) for curve in curves]


class TestMedianStopping:
    def test_below_the_median_of_running_averages(self):
        """By hand, as in section 3.2.2: averages up to step 2 of the completed are 1.5, 3 and 5.5, up to step 3 they
        are 2, 4 and 7."""
        completed = [{1: 1.0, 2: 2.0, 3: 3.0}, {1: 2.0, 2: 4.0, 3: 6.0}, {1: 4.0, 2: 7.0, 3: 10.0}]
        chain = Chain(Scripted(*range(10)), MedianStopping(grace_steps=2, min_trials=3))
        assert steps_of(chain, completed) == [None] * 3
        assert steps_of(chain, [{1: 0.0, 2: 2.9}]) == [2]
        assert steps_of(chain, [{1: 0.0, 2: 3.0, 3: 3.9}]) == [3]
        assert steps_of(chain, [{1: 3.5, 2: 0.0, 3: 0.0}]) == [3]  # the best so far counts, 3.5 >= 3, < 4
        assert steps_of(chain, [{1: 0.0, 2: 3.0, 3: 4.0}]) == [None]  # the median itself is not below it

    def test_the_same_one_twice_in_flight_has_one_whole_curve(self):
        chain = Chain(Scripted(1, 1, 2), MedianStopping(min_trials=1))
        first, second = chain.ask(2)
        curve = {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4}
        for step in (1, 2):
            assert not chain.should_stop(first, step, curve[step])
            assert not chain.should_stop(second, step, curve[step])
        assert evaluate(chain, first, {3: 0.3, 4: 0.4}) is None
        assert evaluate(chain, second, {3: 0.3, 4: 0.4}) is None
        assert steps_of(chain, [{1: 0.2, 2: 0.21, 3: 0.22}]) == [None]  # averages are 0.1, 0.15, 0.2

    def test_not_before_there_are_enough(self):
        chain = Chain(Scripted(*range(10)), MedianStopping(min_trials=2))
        assert steps_of(chain, [{1: 0.9}, {1: 0.1}, {1: 0.1}]) == [None, None, 1]

    def test_failed_ones_are_not_completed(self):
        chain = Chain(Scripted(*range(10)), MedianStopping(min_trials=1))
        [first] = chain.ask(1)
        assert not chain.should_stop(first, 1, 0.9)
        chain.tell(first, FAILED)
        assert steps_of(chain, [{1: 0.5}, {1: 0.4}, {1: 0.45}]) == [None, 1, 1]

    def test_without_reports_nothing_is_stopped(self):
        chain = Chain(Scripted(1, 2), MedianStopping(min_trials=1))
        [first] = chain.ask(1)
        chain.tell(first, scored(1.0))
        assert steps_of(chain, [{1: 0.0}]) == [None]

    def test_steps_before_any_of_the_completed(self):
        chain = Chain(Scripted(1, 2), MedianStopping(grace_steps=0, min_trials=1))
        assert steps_of(chain, [{10: 1.0}, {0: 0.0, 10: 0.0}]) == [None, 10]

    def test_several_in_flight(self):
        chain = Chain(Scripted(1, 2, 3), MedianStopping(min_trials=1))
        first, second, third = chain.ask(3)
        assert not chain.should_stop(second, 1, 0.1)  # nothing is completed
        assert evaluate(chain, first, {1: 0.5, 2: 0.5}) is None
        assert not chain.should_stop(third, 1, 0.6)
        assert chain.should_stop(second, 2, 0.2)
        assert not chain.should_stop(third, 2, 0.1)


class TestSuccessiveHalving:
    def test_only_the_best_of_a_rung_go_on(self):
        """Of two that have come to a rung the better one; from the fourth on the better half."""
        chain = Chain(Scripted(*range(10)), SuccessiveHalving(min_step=1, reduction_factor=2))
        finals = [{1: 0.5}, {1: 0.4}, {1: 0.6}, {1: 0.5}, {1: 0.55}]
        assert steps_of(chain, finals) == [None, 1, None, None, None]  # of 5 the best two: 0.6 and 0.55
        assert steps_of(chain, [{1: 0.54}]) == [None]  # of 6 the best three
        assert steps_of(chain, [{1: 0.53}]) == [1]  # of 7 too

    def test_rungs_are_powers(self):
        """At steps 2, 6, 18; what is worst between them goes on."""
        chain = Chain(Scripted(*range(10)), SuccessiveHalving(min_step=2, reduction_factor=3))
        good = dict.fromkeys(range(1, 20), 0.5)
        assert steps_of(chain, [good] * 3) == [None] * 3
        bad_from = lambda start: {step: 0.5 if step < start else 0.1 for step in range(1, 20)}  # noqa: E731
        assert steps_of(chain, [bad_from(1), bad_from(3), bad_from(7), bad_from(19)]) == [2, 6, 18, None]

    def test_the_next_report_counts_where_there_is_none_at_a_rung(self):
        """Rungs at 1, 4 and 16; reports at 5, 10 and 20."""
        chain = Chain(Scripted(*range(10)), SuccessiveHalving(min_step=1, reduction_factor=4))
        good = {5: 0.5, 10: 0.5, 20: 0.5}
        assert steps_of(chain, [good] * 4) == [None] * 4
        assert steps_of(chain, [{5: 0.1}, {5: 0.5, 10: 0.1, 20: 0.1}]) == [5, 20]

    def test_below_the_first_rung(self):
        chain = Chain(Scripted(*range(10)), SuccessiveHalving(min_step=4, reduction_factor=2))
        assert steps_of(chain, [{4: 0.5}] * 2) == [None] * 2
        assert steps_of(chain, [{1: 0.0, 3: 0.0, 4: 0.0}]) == [4]


@pytest.mark.parametrize("rule", [MedianStopping(min_trials=1), SuccessiveHalving(reduction_factor=2)])
class TestBoth:
    def test_what_is_tried_again_is_judged_once_at_a_step(self, rule):
        """A first try that failed after step 1 is not counted a second time."""
        chain = Chain(Scripted(1, 2), FailureHandler(retry=1), rule)
        assert steps_of(chain, [{1: 0.5, 2: 0.5}]) == [None]
        [first] = chain.ask(1)
        assert not chain.should_stop(first, 1, 0.6)
        chain.tell(first, FAILED)
        [again] = chain.ask(1)
        assert not chain.should_stop(again, 1, 0.1)  # step 1 was judged
        assert not chain.should_stop(again, 2, 0.7)

    def test_of_several_evaluations_the_first_to_come_to_a_step_is_judged(self, rule):
        """And when it is given up, all of them are."""
        strategy = Scripted(1, 2)
        chain = Chain(strategy, MultipleEvaluation(2), rule)
        for proposal in chain.ask(2):
            evaluate(chain, proposal, {1: 0.5, 2: 0.5})
        first, second = chain.ask(2)
        assert chain.should_stop(first, 1, 0.1)
        assert chain.should_stop(second, 1, 0.9)
        chain.tell(first, FAILED)
        chain.tell(second, FAILED)
        assert strategy.scores_told == [(1, 0.5), (2, None)]

    def test_around_several_evaluations_each_is_judged(self, rule):
        chain = Chain(Scripted(1, 2), rule, MultipleEvaluation(2))
        steps = steps_of(chain, [{1: 0.5}, {1: 0.6}, {1: 0.1}, {1: 0.7}])
        assert steps[2:] == [1, None]

    def test_what_the_strategy_stops_is_stopped(self, rule):
        strategy = Scripted(1, stops=[1])
        chain = Chain(strategy, rule)
        [proposal] = chain.ask(1)
        assert chain.should_stop(proposal, 1, 0.5)
        assert strategy.reported == [(proposal, 1, 0.5)]


def test_bad_arguments():
    with pytest.raises(ConfigError, match="`grace_steps` must be a whole number of at least 0; got -1"):
        MedianStopping(grace_steps=-1)
    with pytest.raises(ConfigError, match="`min_trials` must be a whole number of at least 1; got 0"):
        MedianStopping(min_trials=0)
    with pytest.raises(ConfigError, match="`min_step` must be a whole number of at least 1; got 0"):
        SuccessiveHalving(min_step=0)
    with pytest.raises(ConfigError, match="`reduction_factor` must be a whole number of at least 2; got 1"):
        SuccessiveHalving(reduction_factor=1)
