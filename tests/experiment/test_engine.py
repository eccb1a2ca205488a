"""The loop itself: order, failures, interruptions, with executors that end trials in any order."""

import itertools
import json
from collections import Counter

import pytest

from hwnas.cost import Budget
from hwnas.errors import RunDirectoryError, StoreError, StrategyError
from hwnas.experiment import InlineExecutor, Metric
from hwnas.experiment.engine import Engine
from hwnas.space import Architecture, Choice, Space
from hwnas.store import TrialStore
from hwnas.strategy import Chain, Deduplication, Outcome, Proposal, Random
from hwnas.trial import FunctionEvaluator
from tests.experiment.many_trials import COST, SPACE, Shuffled, evolution, score


def run(path, strategy, function=score, executor=None, *, max_trials=40, told=None, concurrency=None, **options):
    """One process's part in a study; its trials, and the kinds of its events."""
    on_tell = (lambda trial, outcome: told.append((trial, outcome))) if told is not None else (lambda t, o: None)
    with TrialStore(path) as store:
        engine = Engine(strategy, study="s", on_tell=on_tell, **options)
        engine.catch_up(store)
        try:
            engine.run(
                FunctionEvaluator(function),
                executor or InlineExecutor(),
                max_trials=max_trials,
                concurrency=concurrency,
            )
        finally:
            trials, events = store.trials("s"), list(store.events("s"))
    return trials, events


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.sqlite"


class Listed:
    """Proposes given architectures, at most `width` at a time; remembers what it is told."""

    def __init__(self, *first_options, width=100):
        self.waiting = [
            Architecture({"c0": option, **{f"c{number}": 0 for number in range(1, 6)}}) for option in first_options
        ]
        self.width, self.open, self.told = width, 0, []

    def ask(self, num=1):
        if not self.waiting or self.open >= self.width:
            return []
        self.open += 1
        return [Proposal(architecture=self.waiting.pop(0))]

    def tell(self, proposal, outcome):
        self.open -= 1
        self.told.append((proposal.architecture["c0"], outcome))

    def derive(self, budgets):
        raise AssertionError


def interrupting(moments):
    """The score; KeyboardInterrupt at these calls."""
    calls = itertools.count()

    def evaluate(architecture):
        if next(calls) in moments:
            raise KeyboardInterrupt
        return score(architecture)

    return evaluate


def test_with_one_at_a_time_an_interrupted_study_proposes_what_a_whole_one_does(path, tmp_path):
    whole, _ = run(tmp_path / "whole.sqlite", evolution(seed=5))
    function = interrupting({3, 4, 5, 17, 30})
    num_interrupts = 0
    while True:
        try:
            trials, events = run(path, evolution(seed=5), function, max_attempts=1)
            break
        except KeyboardInterrupt:
            num_interrupts += 1
    assert num_interrupts == 5
    assert trials == whole  # whose attempts are 1: the user's interrupts do not count
    assert Counter(event.kind for event in events)["interrupted"] == 5


@pytest.mark.parametrize("seed", range(4))
def test_side_by_side_and_interrupted_no_trial_is_lost_or_done_twice(path, seed):
    function = interrupting({5, 6, 30})
    told, widths = [], []
    while True:
        executor = Shuffled(4, seed, lose=0.1)
        told.clear()
        try:
            trials, _ = run(path, evolution(seed=seed), function, executor, told=told, max_attempts=50)
            break
        except KeyboardInterrupt:
            continue
        finally:
            widths.append(executor.most_under_way)
    assert widths == [4, 4, 4, 4]
    assert [trial.number for trial in trials] == list(range(40))
    assert {trial.status for trial in trials} == {"complete"}
    assert sorted(trial.number for trial, _ in told) == list(range(40))  # each once, those of the history too
    assert all(trial.metrics["score"] == score(trial.architecture) for trial in trials)
    again = []
    run(path, evolution(seed=seed), function, told=again)  # nothing is left to do, and all is told in the same order
    assert [trial.number for trial, _ in again] == [trial.number for trial, _ in told]


def test_a_slot_is_filled_as_soon_as_it_is_free(path):
    _, events = run(path, Random(SPACE), executor=Shuffled(3), max_trials=10)
    kinds = [event.kind for event in events if event.kind in ("asked", "ended")]
    assert kinds == ["asked"] * 3 + ["ended", "asked"] * 7 + ["ended"] * 3


def test_concurrency_is_at_most_what_was_wanted(path):
    executor = Shuffled(8)
    run(path, Random(SPACE), executor=executor, max_trials=10, concurrency=2)
    assert executor.most_under_way == 2


def test_a_strategy_that_waits_is_asked_again_when_a_trial_has_ended(path):
    strategy = Listed(0, 1, 2, 3, 0, width=2)
    trials, events = run(path, strategy, executor=Shuffled(4), max_trials=None)
    assert len(trials) == len(strategy.told) == 5
    assert Counter(event.kind for event in events)["none"] >= 3
    replayed = Listed(0, 1, 2, 3, 0, width=2)
    run(path, replayed, executor=Shuffled(4), max_trials=None)
    assert replayed.told == strategy.told


def test_a_strategy_that_has_finished_is_not_asked_again(path):
    """With patience 1 the deduplication ends at the first repetition; asked once more it might have another one."""

    def new_engine():
        space = Space([Choice("a", (0, 1, 2))])
        return Engine(Chain(Random(space), Deduplication(patience=1)), study="s")

    with TrialStore(path) as store:
        counts = []
        for engine in [new_engine()] * 20 + [new_engine()]:
            engine.catch_up(store)
            engine.run(FunctionEvaluator(lambda architecture: 1.0), InlineExecutor())
            counts.append(len(store.trials("s")))
    assert counts[0] < 3
    assert set(counts) == {counts[0]}


def test_what_breaks_a_budget_is_never_run(path):
    def only_feasible(architecture):
        assert architecture["c0"] <= 1
        return 1.0

    strategy = Listed(0, 3, 1, 2, 0)
    trials, _ = run(path, strategy, only_feasible, budgets=[Budget("cost", 1.0, "", COST)], max_trials=4)
    assert [trial.status for trial in trials] == ["complete", "refused", "complete", "refused"]
    assert trials[1].error == "Over budget: cost <= 1."
    assert [trial.costs for trial in trials] == [{"cost": 0.0}, {"cost": 3.0}, {"cost": 1.0}, {"cost": 2.0}]
    assert [outcome.failed for _, outcome in strategy.told] == [False, True, False, True]


def test_failures_are_recorded_and_told(path):
    def failing(architecture):
        return {0: lambda: 1.0, 1: lambda: float("nan"), 2: lambda: {"loss": 1.0}, 3: lambda: 1 / 0}[
            architecture["c0"]
        ]()

    strategy = Listed(0, 1, 2, 3, 0)
    trials, _ = run(path, strategy, failing, max_trials=None)
    assert [trial.status for trial in trials] == ["complete", "failed", "failed", "failed", "complete"]
    assert trials[1].error == "MetricError: The metric 'score' must be finite; got nan."
    assert trials[2].error.startswith("MetricError: The metric 'score' is missing: the evaluation gave loss. Return")
    assert trials[3].error.startswith("ZeroDivisionError: division by zero (")
    assert [outcome.failed for _, outcome in strategy.told] == [False, True, True, True, False]
    assert trials[1].metrics == {}


def test_a_lost_trial_is_tried_again_and_fails_at_the_last_attempt(path):
    trials, events = run(path, Listed(0, 1), executor=Shuffled(1, lose=1.0), max_trials=None, max_attempts=3)
    assert [trial.status for trial in trials] == ["failed", "failed"]
    assert trials[0].error == "The node was unplugged in each of 3 attempts at this trial."
    assert [(e.number, e.content["attempt"]) for e in events if e.kind == "started"] == [(0, 2), (0, 3), (1, 2), (1, 3)]


class Stopping(Listed):
    """Stops every trial at a value below that of step 2 of the first one; counts what it hears."""

    def __init__(self, *options):
        super().__init__(*options)
        self.heard = []

    def should_stop(self, proposal, step, score):
        self.heard.append((proposal.architecture["c0"], step, score))
        return step >= 2 and score < 0


def reporting(architecture, report):
    for step in range(4):
        report(step, float(architecture["c0"] - 2))
    return float(architecture["c0"])


def test_bad_trials_are_stopped_and_the_decisions_are_replayed(path):
    strategy = Stopping(3, 1, 2)
    trials, events = run(path, strategy, reporting, max_trials=None)
    assert [trial.status for trial in trials] == ["complete", "stopped", "complete"]
    assert [outcome.failed for _, outcome in strategy.told] == [False, True, False]
    assert strategy.heard == [(3, s, 1.0) for s in range(4)] + [(1, s, -1.0) for s in range(3)] + [
        (2, s, 0.0) for s in range(4)
    ]
    assert [e.content for e in events if e.kind == "reported" and e.number == 1] == [
        {"step": step, "value": -1.0, "stop": step == 2} for step in range(3)
    ]
    replayed = Stopping(3, 1, 2)
    run(path, replayed, reporting, max_trials=None)
    assert replayed.heard == strategy.heard


def test_a_further_attempt_is_judged_once_at_every_step(path):
    def until(step_of_interrupt):
        def evaluate(architecture, report):
            for step in range(4):
                report(step, 1.0)
                if step == step_of_interrupt:
                    raise KeyboardInterrupt
            return 1.0

        return evaluate

    with pytest.raises(KeyboardInterrupt):
        run(path, Stopping(0), until(1), max_trials=None)
    strategy = Stopping(0)
    _, events = run(path, strategy, until(None), max_trials=None)
    assert strategy.heard == [(0, step, 1.0) for step in range(4)]
    assert [event.content["step"] for event in events if event.kind == "reported"] == [0, 1, 2, 3]


def test_reports_of_a_metric_to_be_minimised_are_signed(path):
    strategy = Stopping(3)
    run(path, strategy, reporting, max_trials=None, metrics=[Metric("score", "minimise")])
    assert strategy.heard[:2] == [(3, 0, -1.0), (3, 1, -1.0)]


@pytest.mark.parametrize(
    ("strategy", "what"),
    [
        (Listed(0, 2, 1, 3, width=1), "Trial 1"),
        (Listed(0, 1, width=2), "What follows trial 0"),
        (Listed(0), "Trial 1"),
    ],
)
def test_another_history_is_refused(path, strategy, what):
    run(path, Listed(0, 1, 2, width=1), executor=Shuffled(2), max_trials=None)
    with pytest.raises(RunDirectoryError, match=f"^{what} of 's' in .* is not the one this search asks for"):
        run(path, strategy, executor=Shuffled(2), max_trials=None)


def test_another_decision_to_stop_is_refused(path):
    run(path, Stopping(1), reporting, max_trials=None)
    with pytest.raises(RunDirectoryError, match="Whether to stop trial 0 of 's'"):
        run(path, Listed(1), reporting, max_trials=None)


def test_a_strategy_that_proposes_more_than_asked_for(path):
    class Eager(Listed):
        def ask(self, num=1):
            return super().ask() + super().ask()

    with pytest.raises(StrategyError, match="at most as many proposals as asked for; Eager was asked for 1"):
        run(path, Eager(0, 1))


def test_the_same_architecture_has_the_same_seed_whatever_comes_before(path, tmp_path):
    def seeds(path, order, **options):
        found = {}
        run(path, Listed(*order), lambda a, seed: found.setdefault(a["c0"], seed) and 1.0, max_trials=None, **options)
        return found

    first = seeds(path, (0, 1, 2))
    assert seeds(tmp_path / "2", (2, 0, 1)) == first
    assert len(set(first.values())) == 3
    assert seeds(tmp_path / "3", (0, 1, 2), seed=1) != first


def test_a_full_disk_ends_the_run_and_loses_nothing(path):
    class Full:
        """Fills the store's disk at the fifth trial, in SQLite's own way."""

        def __init__(self):
            self.store = None

        def __call__(self, trial, outcome):
            if trial.number == 4:
                (pages,) = self.store.execute("PRAGMA page_count")[0]
                self.store.execute(f"PRAGMA max_page_count = {pages}")

    full = Full()
    long = Metric("score")
    with TrialStore(path) as full.store:
        engine = Engine(evolution(), study="s", on_tell=full, metrics=[long])
        engine.catch_up(full.store)
        with pytest.raises(StoreError, match="disk is full"):
            engine.run(FunctionEvaluator(score), InlineExecutor(), max_trials=400)
        before = full.store.trials("s")
    assert len(before) > 5
    trials, _ = run(path, evolution(), max_trials=400)
    complete = [trial for trial in before if trial.status == "complete"]
    assert trials[: len(complete)] == complete
    assert {trial.status for trial in trials} == {"complete"}
    assert len(trials) == 400


def test_outcomes_are_told_with_all_objectives(path):
    told = []
    metrics = [Metric("score"), Metric("size", "minimise", limit=2.0), Metric("cost", "minimise")]
    run(
        path,
        Listed(1, 3),
        lambda a: {"score": 5, "size": 2 * a["c0"]},
        metrics=metrics,
        budgets=[Budget("cost", 9.0, "", COST)],
        told=told,
    )
    assert [outcome for _, outcome in told] == [
        Outcome(score=5.0, loss=told[0][1].loss, objectives=(5.0, -2.0, -1.0), violation=0.0),
        Outcome(score=5.0, loss=told[1][1].loss, objectives=(5.0, -6.0, -3.0), violation=2.0),
    ]
    assert json.dumps([trial.costs for trial, _ in told]) == '[{"cost": 1.0}, {"cost": 3.0}]'
