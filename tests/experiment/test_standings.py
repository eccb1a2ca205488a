"""Fronts and hypervolumes against what they are by definition."""

from hypothesis import given, settings, strategies as st

from hwnas.experiment import Metric
from hwnas.experiment.metric import outcome_of
from hwnas.experiment.standings import Standings
from hwnas.store import Trial
from hwnas.strategy.protocol import FAILED

METRICS = (Metric("a"), Metric("b", "minimise", limit=8.0))
POINTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25)


def standings(points, metrics=METRICS):
    made = Standings(metrics)
    for number, values in enumerate(points):
        add(made, number, values)
    return made


def add(made, number, values):
    named = {metric.name: float(value) for metric, value in zip(made.metrics, values, strict=True)}
    trial = Trial(study="s", number=number, architecture={"c": number}, status="complete", metrics=named)
    made.add(trial, outcome_of(made.metrics, named))


@settings(deadline=None)
@given(POINTS)
def test_the_front_is_what_no_other_trial_within_the_limits_beats(points):
    front = standings(points).front()
    feasible = [(a, -b) for a, b in points if b <= 8]
    best = {p for p in feasible if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in feasible)}
    assert [(one.metrics["a"], -one.metrics["b"]) for one in front.members] == sorted(best, reverse=True)
    first = {(a, -b): number for number, (a, b) in reversed(list(enumerate(points)))}
    assert [one.number for one in front.members] == [first[p] for p in sorted(best, reverse=True)]


@settings(deadline=None)
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


def test_one_metric_is_a_length_and_three_make_a_volume():
    one = standings([(3,), (7,), (5,)], (Metric("a"),))
    assert one.front().hypervolume == one.hypervolume == 4.0
    assert [found.number for found in one.front().members] == [1]
    metrics = (Metric("a"), Metric("b", "minimise", limit=8.0), Metric("c"))
    three = standings([(1, 2, 3), (3, 2, 1), (0, 5, 0), (9, 9, 9)], metrics).front()  # the last is beyond the limit
    assert three.reference == (0, 9, 0)
    assert three.hypervolume == 7 * (3 + 3 - 1)  # both stand 7 above the reference in b, in a and c they overlap
    assert [found.number for found in three.members] == [1, 0]


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=12))
def test_asked_after_every_trial_or_once_the_hypervolume_is_the_same(points):
    metrics = (Metric("a", reference=1.0), Metric("b", "minimise"), Metric("c"))
    asked = standings([], metrics)
    for number, values in enumerate(points):
        add(asked, number, values)
        assert asked.hypervolume == standings(points[: number + 1], metrics).hypervolume


def test_the_best_is_within_the_limits_and_the_first_of_equals():
    made = standings([(9, 9), (4, 8), (4, 8)])
    assert made.best.number == 1
    beyond = standings([(9, 12), (1, 10)])
    assert beyond.best.number == 1  # exceeds the limit by less
    assert beyond.best.violation == 0.25
    assert beyond.front().members == ()


@settings(deadline=None)
@given(
    st.permutations([(9, 9), (4, 8), (4, 8), (3, 2), (1, 2), (3, 2), (9, 9)]).flatmap(
        lambda points: st.tuples(st.just(points), st.permutations(range(len(points))))
    )
)
def test_of_equals_the_first_asked_for_counts_in_whatever_order_they_end(drawn):
    points, order = drawn
    ended = standings([])
    for number in order:
        add(ended, number, points[number])
    assert ended.best == standings(points).best
    assert ended.front() == standings(points).front()


def test_what_did_not_complete_is_counted_only():
    made = standings([])
    made.add(Trial(study="s", number=0, architecture={}, status="failed"), FAILED)
    assert made.counts["failed"] == 1
    assert made.best is None
    assert made.front().hypervolume is None
