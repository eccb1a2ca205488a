import math

import numpy as np
import pytest

from hwnas.errors import ConfigError, MetricError
from hwnas.experiment import Metric
from hwnas.experiment.metric import check_metrics, outcome_of

ACCURACY, SIZE = Metric("accuracy", limit=0.8), Metric("size", "minimise", limit=4.0)


def test_signs_limits_and_what_strategies_compare_by():
    outcome = outcome_of([ACCURACY, SIZE], {"accuracy": 0.6, "size": 5.0, "loss": 0.1, "more": math.nan})
    assert outcome.objectives == (0.6, -5.0)
    assert outcome.score == 0.6
    assert outcome.loss == 0.1
    assert outcome.violation == pytest.approx((0.8 - 0.6) / 0.8 + (5 - 4) / 4)
    kept = outcome_of([ACCURACY, SIZE], {"accuracy": 0.8, "size": 4.0})
    assert kept.violation == 0.0
    assert kept.rank > outcome.rank
    assert outcome_of([SIZE], {"size": 3.0}).score == -3.0
    assert outcome_of([SIZE], {"size": 3.0}).objectives == ()
    assert Metric("m", limit=0.0).violation(-0.5) == 0.5
    assert Metric("m", "minimise", limit=-2.0).violation(-1.0) == 0.5


def test_excess_of_what_is_kept_is_negative():
    assert [Metric("m", limit=10.0).excess(value) for value in (12.0, 10.0, 8.0)] == [-0.2, 0.0, 0.2]
    assert [Metric("m", "minimise", limit=-10.0).excess(value) for value in (-12.0, -8.0)] == [-0.2, 0.2]
    assert Metric("m").excess(-3.0) == 0.0


def test_scores_of_images_are_handed_on():
    scores = np.ones(3, dtype=np.float32)
    assert outcome_of([ACCURACY], {"accuracy": 1.0}, scores).scores is scores


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_metric_that_is_not_finite(value):
    with pytest.raises(MetricError, match=f"The metric 'accuracy' must be finite; got {value}"):
        outcome_of([ACCURACY], {"accuracy": value})


def test_a_missing_metric():
    with pytest.raises(MetricError, match=r"'size' is missing: the evaluation gave accuracy, score\. Return"):
        outcome_of([ACCURACY, SIZE], {"score": 1.0, "accuracy": 1.0})


def test_wrong_metrics():
    with pytest.raises(ConfigError, match="direction of 'a' must be maximise or minimise; got 'max'"):
        Metric("a", "max")
    for name in ("limit", "reference"):
        for value in (math.nan, "3"):
            with pytest.raises(ConfigError, match=f"`{name} of 'a'` must be a finite number, or None; got {value!r}"):
                Metric("a", **{name: value})
    with pytest.raises(ConfigError, match="The name of a metric must be a text; got 3"):
        Metric(3)
    for metrics in (["score"], "score", SIZE):
        with pytest.raises(ConfigError, match="`metrics` must be a list of Metric"):
            check_metrics(metrics)
    with pytest.raises(ConfigError, match="must name at least one metric"):
        check_metrics([])
    with pytest.raises(ConfigError, match="each metric once; 'size' is there 2 times"):
        check_metrics([SIZE, SIZE])
