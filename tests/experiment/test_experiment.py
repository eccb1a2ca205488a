import itertools
import json
import math
import time

import numpy as np
import onnxruntime
import pytest
import torch

from hwnas import Chain, MedianStopping, NumParamsProfiler
from hwnas.cost import Budget
from hwnas.errors import BudgetError, ConfigError, InfeasibleError, RunDirectoryError, StoreError, StrategyError
from hwnas.experiment import Experiment, InlineExecutor, Metric, read_experiment
from hwnas.store import TrialStore
from hwnas.strategy import Random, unbound
from hwnas.testing import FakeRuntime
from hwnas.train import SupernetEvaluator
from hwnas.trial import TableEvaluator
from tests.experiment.examples import tiny_data, tiny_space
from tests.experiment.many_trials import COST, SPACE, Shuffled, evolution, score

METRICS = (Metric("score"), Metric("size", "minimise"))


class Sum:
    def profile(self, architecture):
        return sum(architecture.values())


def two(architecture):
    return {"score": score(architecture), "size": float(sum(v * v for v in architecture.values()))}


def score_of_any(architecture):
    return float(len(architecture))


def counting():
    """The score, and how often it was asked for."""
    calls = []

    def evaluate(architecture):
        calls.append(architecture)
        return score(architecture)

    return evaluate, calls


def test_a_thousandfold_smaller_example(tmp_path):
    evaluate, calls = counting()
    experiment = Experiment(SPACE, evaluate, evolution, directory=tmp_path, seed=2)
    seen = []
    status = experiment.run(30, progress=seen.append)
    assert (status.num_complete, status.num_running, status.num_ended) == (30, 0, 30)
    assert len(calls) == 30
    assert seen[0].num_ended == 0
    assert [one.num_complete for one in seen] == sorted(one.num_complete for one in seen)
    assert max(one.num_running for one in seen) == 1
    best = sorted({a: score(a) for a in calls}.items(), key=lambda item: -item[1])
    top = experiment.top(5)
    assert [one.metrics["score"] for one in top] == [value for _, value in best[:5]]
    assert top[0].architecture == status.best.architecture
    assert list(top[0].architecture) == list(calls[0])  # options in the order of the space's choices
    recorded = experiment.status()
    assert (recorded.num_complete, recorded.best, recorded.hypervolume) == (30, status.best, status.hypervolume)
    assert (recorded.max_trials, recorded.seconds_left) == (30, 0.0)


def test_more_trials_go_on_where_the_last_call_ended(tmp_path):
    whole = Experiment(SPACE, score, evolution, directory=tmp_path / "whole", seed=2)
    whole.run(30)
    evaluate, calls = counting()
    experiment = Experiment(SPACE, evaluate, evolution, directory=tmp_path / "parts", seed=2)
    assert experiment.run(10).num_complete == 10
    assert experiment.run(10).num_complete == 10
    assert experiment.run(20).num_complete == 20
    again = Experiment(SPACE, evaluate, evolution(seed=2), directory=tmp_path / "parts", seed=2)
    with pytest.raises(RunDirectoryError, match='strategy is "evolution" there and "RegularizedEvolution" here'):
        again.run(30)
    assert Experiment(SPACE, evaluate, evolution, directory=tmp_path / "parts", seed=2).run(30).num_complete == 30
    assert len(calls) == 30
    found, expected = (read_experiment(tmp_path / name).trials for name in ("parts", "whole"))
    assert [t.architecture for t in found] == [t.architecture for t in expected]


def test_a_strategy_of_ones_own_goes_on_in_the_same_process(tmp_path):
    experiment = Experiment(SPACE, score, evolution(seed=2), directory=tmp_path, seed=2)
    experiment.run(10)
    experiment.run(20)
    other = Experiment(SPACE, score, evolution(seed=2), directory=tmp_path, seed=2)
    other.run(30)
    assert experiment.run(40).num_complete == 40  # what the other has done is told to this strategy too


def test_an_interrupt_stops_the_experiment_and_the_same_object_goes_on(tmp_path):
    whole = Experiment(SPACE, score, evolution, directory=tmp_path / "whole")
    whole.run(20)
    calls = itertools.count()

    def evaluate(architecture):
        if next(calls) == 12:
            raise KeyboardInterrupt
        return score(architecture)

    experiment = Experiment(SPACE, evaluate, evolution(), directory=tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        experiment.run(20)
    assert experiment.status().num_running == 1
    experiment.run(20)
    found, expected = (read_experiment(tmp_path / name).trials for name in ("parts", "whole"))
    assert found == expected


class Interrupted(Random):
    """Interrupted while it thinks, once."""

    moment = 5

    def ask(self, num=1):
        self.moment -= 1
        if self.moment == 0:
            raise KeyboardInterrupt
        return super().ask(num)


def test_a_strategy_that_was_interrupted_at_work_is_made_anew_or_refused(tmp_path):
    for name, strategy in (("object", Interrupted(SPACE)), ("class", lambda s, b, seed: Interrupted(s, b, seed=seed))):
        experiment = Experiment(SPACE, score, strategy, directory=tmp_path / name)
        with pytest.raises(KeyboardInterrupt):
            experiment.run(10)
        if name == "object":
            with pytest.raises(ConfigError, match=r"that strategy cannot go on\. Make a new Exp"):
                experiment.run(10)
        else:
            Interrupted.moment = 100
            assert experiment.run(10).num_complete == 10


def test_two_metrics_and_their_front(tmp_path):
    experiment = Experiment(SPACE, two, "nsga2", metrics=METRICS, directory=tmp_path)
    status = experiment.run(60)
    values = [two(trial.architecture) for trial in read_experiment(tmp_path).trials]
    points = {(v["score"], -v["size"]) for v in values}
    best = {p for p in points if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in points)}
    front = experiment.front()
    assert {(m.metrics["score"], -m.metrics["size"]) for m in front.members} == best
    assert front.metrics == ("score", "size")
    assert status.hypervolume == front.hypervolume > 0


def test_a_profiler_is_stored_and_may_be_a_metric(tmp_path):
    metrics = (Metric("score"), Metric("latency", "minimise", limit=8))
    experiment = Experiment(SPACE, score, "random", metrics=metrics, profilers={"latency": Sum()}, directory=tmp_path)
    experiment.run(30)
    top = experiment.top(30)
    assert all(one.costs == {"latency": sum(one.architecture.values())} for one in top)
    keeps = [one.costs["latency"] <= 8 for one in top]
    assert keeps == sorted(keeps, reverse=True)
    assert 0 < sum(keeps) < 30
    assert all(one.violation == max(0, one.costs["latency"] / 8 - 1) for one in top)
    assert all(one.metrics["latency"] == one.costs["latency"] for one in top)


def test_budgets_on_a_space_are_kept(tmp_path):
    budget = Budget("cost", 5.0, "", COST)
    for strategy in ("random", "evolution", "nsga2", "local_search", "grid"):
        experiment = Experiment(SPACE, score, strategy, budgets=[budget], directory=tmp_path / strategy)
        status = experiment.run(40)
        assert (status.num_complete, status.num_refused) == (40, 0)
        assert all(one.costs["cost"] <= 5.0 for one in experiment.top(40))
    with pytest.raises(InfeasibleError):
        Experiment(SPACE, score, budgets=[Budget("cost", -1.0, "", COST)], directory=tmp_path / "none").run(1)


def test_a_trial_past_its_time(tmp_path):
    def evaluate(architecture):
        if architecture["c0"] == 3:
            time.sleep(100)
        return score(architecture)

    experiment = Experiment(SPACE, evaluate, "random", directory=tmp_path, timeout_seconds=0.2)
    status = experiment.run(8)
    failed = [trial for trial in read_experiment(tmp_path).trials if trial.status == "failed"]
    assert status.num_failed == len(failed) > 0
    assert {trial.error for trial in failed} == {"TimeUp: the trial ran past its limit of 0.2 seconds."}
    assert all(trial.architecture["c0"] == 3 for trial in failed)


def test_the_time_of_the_experiment(tmp_path):
    def slow(architecture):
        time.sleep(0.05)
        return score(architecture)

    experiment = Experiment(SPACE, slow, "random", directory=tmp_path)
    status = experiment.run(max_duration_seconds=0.4)
    assert 0 < status.num_complete < 40
    assert status.num_running == 0
    assert status.max_trials is None
    recorded = experiment.status()
    assert recorded.seconds_elapsed == pytest.approx(status.seconds_elapsed, abs=0.3)
    assert experiment.run(status.num_complete).seconds_left == 0.0


class SlowToStart(InlineExecutor):
    """In line, after as long as workers take to start."""

    def start(self, evaluator, on_report):
        super().start(evaluator, on_report)
        time.sleep(0.2)
        self.ready = time.monotonic()


def test_the_time_in_which_workers_start_says_nothing_of_the_pace(tmp_path):
    executor, seen = SlowToStart(), []
    experiment = Experiment(SPACE, score, "random", directory=tmp_path, executor=executor)
    experiment.run(3, max_duration_seconds=100, progress=lambda status: seen.append((status, time.monotonic())))
    assert len(seen) == 6
    for status, now in seen:
        assert status.seconds_elapsed <= now - executor.ready
        assert status.seconds_left <= 100 - 0.2  # of which trials can still be begun
        if 0 < status.num_ended < 3:
            assert status.seconds_left <= (3 - status.num_ended) * (now - executor.ready) / status.num_ended
    with TrialStore(tmp_path / "run.sqlite", write=False) as store:
        assert [event.kind for event in store.events("trials")][:2] == ["began", "asked"]
    assert experiment.status().seconds_elapsed <= time.monotonic() - executor.ready


def test_early_stopping_in_an_experiment(tmp_path):
    def evaluate(architecture, report):
        for step in range(1, 4):
            report(step, score(architecture) * step / 3)
        return score(architecture)

    strategy = unbound.Chain(unbound.Random(), MedianStopping())
    status = Experiment(SPACE, evaluate, strategy, directory=tmp_path).run(40)
    assert status.num_stopped > 5
    assert status.num_complete + status.num_stopped == 40
    assert Experiment(SPACE, evaluate, strategy, directory=tmp_path).run(41).num_ended == 41  # replayed


def test_an_executor_of_ones_own(tmp_path):
    executor = Shuffled(4)
    experiment = Experiment(SPACE, score, "random", executor=executor, directory=tmp_path)
    assert experiment.run(20, concurrency=3).num_complete == 20
    assert executor.most_under_way == 3
    experiment.run(40)
    assert executor.most_under_way == 4
    with pytest.raises(ConfigError, match="`concurrency` must be at most the executor's number of slots, 4; got 5"):
        experiment.run(40, concurrency=5)


def test_a_model_space_with_budgets_as_text_and_its_files(tmp_path):
    space = tiny_space()
    params = NumParamsProfiler(space)
    evaluator = SupernetEvaluator(space, tiny_data(), num_bn_batches=1)
    experiment = Experiment(
        space,
        evaluator,
        "random",
        budgets=["macs<=60%", params.at_most(0.9 * params.max())],
        directory=tmp_path,
    )
    status = experiment.run(6)
    assert status.num_complete == 6
    top = experiment.top(2)
    assert set(top[0].costs) == {"macs", "params"}
    path = experiment.export(2)
    entries = json.loads(path.read_text())
    assert [entry["place"] for entry in entries] == [1, 2]
    assert entries[0]["architecture"] == top[0].architecture.to_json()
    session = onnxruntime.InferenceSession(path.parent / entries[0]["onnx"])
    images = np.random.default_rng(0).normal(size=(1, 1, 8, 8)).astype(np.float32)
    network = space.freeze(top[0].architecture).eval()
    expected = network(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(session.run(None, {"input_0": images})[0], expected, atol=1e-4)


def test_a_latency_needs_a_device(tmp_path):
    experiment = Experiment(tiny_space(), score, budgets=["latency<=60%"], directory=tmp_path)
    with pytest.raises(BudgetError, match="on latency needs a device: give `device`"):
        experiment.run(5)


@pytest.mark.slow
def test_latency_is_measured_on_the_device_and_kept(tmp_path):
    experiment = Experiment(
        tiny_space(),
        lambda architecture: float(len(architecture)),
        "evolution",
        budgets=["latency<=60%"],
        device=FakeRuntime(noise=0.0),
        directory=tmp_path,
    )
    assert experiment.run(5).num_complete == 5
    assert (tmp_path / "table.sqlite").exists()


def test_certified_searches_an_experiment_with_a_supernet(tmp_path):
    space = tiny_space()
    evaluator = SupernetEvaluator(
        space, tiny_data(), num_bn_batches=1, teacher=space.space.sample(np.random.default_rng(0))
    )
    options = {"num_samples": 8, "num_held_out": 4, "num_candidates": 2, "max_rounds": 1, "num_finalists": 0}
    experiment = Experiment(space, evaluator, unbound.Certified(**options), budgets=["macs<=80%"], directory=tmp_path)
    assert experiment.run().num_complete > 8


def test_without_a_folder_a_temporary_one_is_named():
    with pytest.warns(UserWarning, match="The experiment is kept in .*hwnas-.*Give `directory` to keep it"):
        experiment = Experiment(SPACE, score, "random")
    assert experiment.run(2).num_complete == 2
    assert experiment.export(1).is_relative_to(experiment.directory)
    assert json.loads(experiment.export(1).read_text())[0]["onnx"] is None


def test_before_the_first_run_there_is_nothing_to_read(tmp_path):
    experiment = Experiment(SPACE, score, "random", directory=tmp_path)
    for read in (experiment.status, experiment.top, experiment.front, experiment.export):
        with pytest.raises(RunDirectoryError, match=r"holds no run \(run\.sqlite is missing\)"):
            read()


def test_reading_a_run_in_progress_and_its_second_writer(tmp_path):
    seen = []

    def evaluate(architecture):
        recorded = read_experiment(tmp_path)
        seen.append((recorded.status.num_complete, recorded.status.num_running, recorded.status.max_trials))
        other = Experiment(SPACE, evaluate, "random", directory=tmp_path)
        with pytest.raises(RunDirectoryError, match="is in use"):
            other.run(5)
        return score(architecture)

    Experiment(SPACE, evaluate, "random", directory=tmp_path).run(5)
    assert seen == [(done, 1, 5) for done in range(5)]
    with pytest.raises(RunDirectoryError, match=r"has no search 'other': its searches are 'trials'"):
        read_experiment(tmp_path, "other")


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"metrics": [Metric("score", "minimise")]}, "metrics"),
        ({"budgets": [Budget("cost", 9.0, "", COST)]}, "budgets"),
        ({"strategy": "evolution"}, 'strategy is "random" there and "evolution" here'),
        ({"evaluator": two}, "evaluator.function"),
        ({"profilers": {"cost": Sum()}}, "profilers"),
        ({"space": tiny_space().space}, "space"),
    ],
)
def test_another_experiments_folder_is_refused(tmp_path, options, key):
    arguments = {"space": SPACE, "evaluator": score, "strategy": "random", "directory": tmp_path}
    Experiment(**arguments).run(2)
    with pytest.raises(RunDirectoryError, match=f"another configuration: .*{key}"):
        Experiment(**(arguments | options)).run(2)


def test_what_could_not_begin_is_put_right_in_the_same_folder(tmp_path):
    def begin(evaluate):
        experiment = Experiment(SPACE, evaluate, "random", directory=tmp_path, executor="processes")
        return experiment.run(2, concurrency=1)

    with pytest.raises(ConfigError, match="cannot be found again in another process"):
        begin(lambda architecture: 1.0)
    assert begin(score).num_complete == 2


def test_a_latency_that_nothing_keeps_is_put_right_in_the_same_folder(tmp_path):
    device = FakeRuntime()
    for limit in ("latency<=1ns", "latency<=90%"):
        experiment = Experiment(
            tiny_space(), score_of_any, "random", budgets=[limit], device=device, directory=tmp_path
        )
        if limit == "latency<=1ns":
            with pytest.raises(InfeasibleError, match="No architecture of the space keeps latency"):
                experiment.run(2)
    assert experiment.run(2).num_complete == 2


@pytest.mark.parametrize("other", [Budget("cost", 9.00001, "", COST), Budget("cost", 9.0, "", COST * 0.5)])
def test_budgets_that_read_alike_are_told_apart(tmp_path, other):
    budget = Budget("cost", 9.0, "", COST)
    assert str(other) == str(budget)
    Experiment(SPACE, score, "random", budgets=[budget], directory=tmp_path).run(2)
    with pytest.raises(RunDirectoryError, match="another configuration: budgets"):
        Experiment(SPACE, score, "random", budgets=[other], directory=tmp_path).run(2)


def test_a_damaged_folder_is_refused_and_left(tmp_path):
    Experiment(SPACE, score, "random", directory=tmp_path).run(20)
    file = tmp_path / "run.sqlite"
    content = file.read_bytes()[:-5000]
    file.write_bytes(content)
    experiment = Experiment(SPACE, score, "random", directory=tmp_path)
    for use in (lambda: experiment.run(21), experiment.status):
        with pytest.raises(StoreError, match="truncated"):
            use()
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE facts SET value = '{' WHERE name = 'configuration'",
        "UPDATE events SET content = '{' WHERE kind = 'began'",
        "UPDATE trials SET architecture = '{' WHERE number = 1",
    ],
)
def test_what_is_damaged_where_sqlite_does_not_notice(tmp_path, sql):
    experiment = Experiment(SPACE, score, "random", directory=tmp_path)
    experiment.run(3)
    with TrialStore(tmp_path / "run.sqlite") as store:
        store.execute(sql)
    experiment = Experiment(SPACE, score, "random", directory=tmp_path)
    for use in (lambda: experiment.run(4), experiment.status, experiment.top):
        with pytest.raises(StoreError, match=r"run.sqlite is damaged: it has '{' in the place of JSON. It was left"):
            use()


def test_the_store_before_experiments_is_read_as_one(tmp_path):
    """A run of the main job: its study is there too, under the score."""
    with TrialStore(tmp_path / "run.sqlite") as store:
        store.set_fact("configuration", {"budgets": []})
    with pytest.raises(RunDirectoryError, match=r"has no search of many trials: none was begun"):
        read_experiment(tmp_path)


def test_an_object_is_an_executor_in_line_too(tmp_path):
    experiment = Experiment(SPACE, score, Chain(Random(SPACE)), executor=InlineExecutor(), directory=tmp_path)
    assert experiment.run(3).num_complete == 3


def test_no_trial_of_a_killed_process_is_begun_when_the_time_is_up(tmp_path):
    kills = True

    def function(architecture):
        if kills:
            raise KeyboardInterrupt
        return score(architecture)

    with pytest.raises(KeyboardInterrupt):
        Experiment(SPACE, function, "random", directory=tmp_path).run(3)
    status = Experiment(SPACE, function, "random", directory=tmp_path).run(3, max_duration_seconds=1e-9)
    assert (status.num_running, status.num_ended) == (1, 0)
    kills = False
    assert Experiment(SPACE, function, "random", directory=tmp_path).run(3).num_complete == 3


def test_a_strategy_that_has_finished_has_so_after_a_further_call(tmp_path):
    experiment = Experiment(SPACE, score, "grid", directory=tmp_path)
    num = experiment.run().num_ended
    assert experiment.run(num).has_finished
    assert experiment.status().has_finished


def test_an_exported_metric_that_was_nan_is_left_out_when_it_is_read(tmp_path):
    experiment = Experiment(SPACE, lambda sample: {"score": 1.0, "aside": math.nan}, "grid", directory=tmp_path / "run")
    experiment.run(3)
    table = TableEvaluator(experiment.export(3))
    assert Experiment(SPACE, table, "grid", directory=tmp_path / "again").run(3).num_complete == 3


def test_more_patience_goes_on_in_the_same_folder(tmp_path):
    def run(patience):
        strategy = unbound.Chain(unbound.GridSearch(), unbound.Filter(is_third, patience=patience))
        return Experiment(SPACE, score, strategy, directory=tmp_path).run()

    with pytest.raises(StrategyError, match=r"has refused 2 samples in a row.* or raise `patience`"):
        run(2)
    assert run(100_000).num_complete == 1


def is_third(sample):
    return sample == list(SPACE.enumerate())[2]
