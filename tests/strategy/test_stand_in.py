import math

import numpy as np
import pytest

from hwnas.errors import ConfigError, StrategyError
from hwnas.strategy import Outcome
from hwnas.strategy.stand_in import best_evaluated, check_one_for_each, check_stand_in, stand_in
from tests.strategy.scripted import architecture, at_most, scored


def test_what_is_told():
    assert stand_in(None, violation=2.0).failed
    assert stand_in(-1, violation=2.0) == Outcome(score=-1.0, violation=2.0)
    assert stand_in([-2.0], violation=0.0).objectives == ()
    assert stand_in((-1, -5), violation=0.0) == Outcome(score=-1.0, objectives=(-1.0, -5.0))


def test_one_number_for_each_metric():
    for good, num in ((None, 2), (-1.0, 1), ((-1.0, -5.0), 2)):
        check_one_for_each("metric", good, num)
    for bad, num in ((-1.0, 2), ((-1.0, -5.0), 1)):
        with pytest.raises(ConfigError, match=rf"`metric` must have one number for each of the {num} metrics, or be"):
            check_one_for_each("metric", bad, num)


def test_what_may_be_given():
    for good in (None, 0, -1.5, np.float32(2), (0.0, -1.0), [3]):
        check_stand_in("metric", good)
    for bad in (math.nan, -math.inf, "0", True, (), (1.0, math.nan), (1.0, None), {"score": 1.0}):
        with pytest.raises(
            ConfigError, match=r"`metric` must be a finite number, .* or None to tell of a failure; got"
        ):
            check_stand_in("metric", bad)


def test_the_best_evaluated():
    outcomes = {architecture(n): scored(score) for n, score in ((1, 0.1), (5, 0.5), (9, 0.9))}
    derived = best_evaluated(outcomes, [at_most(6)], why="it is not wanted")
    assert derived.architecture["n"] == 5
    assert derived.note == "it is not wanted; this is the best one evaluated"
    with pytest.raises(StrategyError, match="It is not wanted, and nothing else that was evaluated keeps the budgets"):
        best_evaluated(outcomes, [at_most(0)], why="it is not wanted")
