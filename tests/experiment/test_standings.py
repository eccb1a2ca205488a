"""Fronts and hypervolumes against what they are by definition."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hwnas.experiment import Metric
from hwnas.experiment.metric import FAILED, outcome_of
from hwnas.experiment.standings import Standings, hypervolume
from hwnas.store import Trial

METRICS = (Metric("a"), Metric("b", "minimise", limit=8.0))
POINTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25)


def standings(points, metrics=METRICS):
    made = Standings(metrics)
    for number, values in enumerate(points):
        named = {metric.name: float(value) for metric, value in zip(metrics, values, strict=True)}
        trial = Trial(study="s", number=number, architecture={"c": number}, status="complete", metrics=named)
        made.add(trial, outcome_of(metrics, named))
    return made


@given(POINTS)
def test_the_front_is_what_no_other_trial_within_the_limits_beats(points):
    front = standings(points).front()
    feasible = [(a, -b) for a, b in points if b <= 8]
    best = {p for p in feasible if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in feasible)}
    assert [(one.metrics["a"], -one.metrics["b"]) for one in front.members] == sorted(best, reverse=True)
    first = {(a, -b): number for number, (a, b) in reversed(list(enumerate(points)))}
    assert [one.number for one in front.members] == [first[p] for p in sorted(best, reverse=True)]


@given(POINTS.filter(bool))
def test_the_hypervolume_is_the_number_of_unit_squares_below_the_front(points):
    front = standings(points).front()
    reference = (min(a for a, _ in points), max(b for _, b in points))
    assert front.reference == reference
    squares = {(x, y) for a, b in points if b <= 8 for x in range(reference[0], a) for y in range(b, reference[1])}
    assert front.hypervolume == len(squares)


def test_a_reference_may_be_given_and_points_beyond_it_do_not_count():
    metrics = (Metric("a", reference=2.0), Metric("b", "minimise", reference=5.0))
    front = standings([(3, 1), (1, 0), (9, 6)], metrics).front()
    assert front.reference == (2.0, 5.0)
    assert front.hypervolume == (3 - 2) * (5 - 1)


def test_one_metric_is_a_length_and_three_are_not_computed():
    one = standings([(3,), (7,), (5,)], (Metric("a"),))
    assert one.front().hypervolume == one.hypervolume == 4.0
    assert [found.number for found in one.front().members] == [1]
    three = standings([(1, 2, 3), (3, 2, 1)], (Metric("a"), Metric("b"), Metric("c")))
    assert three.front().hypervolume is None
    assert len(three.front().members) == 2


def test_hypervolume_of_random_points_against_sampling():
    rng = np.random.default_rng(0)
    points = [tuple(point) for point in rng.uniform(size=(30, 2))]
    samples = rng.uniform(size=(100_000, 2))
    covered = np.any([(samples <= point).all(1) for point in points], axis=0)
    assert hypervolume(points, (0.0, 0.0)) == pytest.approx(covered.mean(), abs=0.005)  # 3 standard errors


def test_the_best_is_within_the_limits_and_the_first_of_equals():
    made = standings([(9, 9), (4, 8), (4, 8)])
    assert made.best.number == 1
    beyond = standings([(9, 12), (1, 10)])
    assert beyond.best.number == 1  # exceeds the limit by less
    assert beyond.best.violation == 0.25
    assert beyond.front().members == ()


def test_what_did_not_complete_is_counted_only():
    made = standings([])
    made.add(Trial(study="s", number=0, architecture={}, status="failed"), FAILED)
    assert made.counts["failed"] == 1
    assert made.best is None
    assert made.front().hypervolume is None
