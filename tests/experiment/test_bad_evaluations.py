"""Evaluations and profilers that give, raise or do what they should not: their trials fail, and the others go on."""

import math
from decimal import Decimal

import numpy as np
import pytest
import torch

from hwnas import Choice, Experiment, Metric, Space
from hwnas.errors import ConfigError, MetricError
from hwnas.trial import Evaluated, EvaluatorReference
from tests.experiment.misdeeds import MEGABYTE, interrupting, misbehaving, score

SPACE = Space([Choice("c0", (0, 1, 2, 3))])


class Odd:
    """A profiler, and an evaluator, with an answer of their own for the third architecture."""

    def __init__(self, answer):
        self.answer = answer

    def profile(self, architecture):
        if architecture["c0"] != 2:
            return 7
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def evaluate_trial(self, architecture, context):
        return self.profile(architecture) if architecture["c0"] == 2 else Evaluated(metrics={"score": 7.0})

    def reference(self):
        return EvaluatorReference(factory=f"{__name__}:Odd", options={"answer": self.answer})


def trials(experiment, **options):
    experiment.run(**options)
    return {one.number: one for one in experiment._recorded().trials}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (math.nan, "MetricError: The profiler 'mine' must give a finite number; it gave nan."),
        (-math.inf, "must give a finite number; it gave -inf."),
        (None, "must give a finite number; it gave None."),
        ("7 ms", "must give a finite number; it gave '7 ms'."),
        (True, "must give a finite number; it gave True."),
        (
            ZeroDivisionError("no such layer"),
            "MetricError: The profiler 'mine' raised ZeroDivisionError: no such layer (",
        ),
        (SystemExit(2), "The profiler 'mine' raised SystemExit: 2 ("),
        (GeneratorExit("closed"), "The profiler 'mine' raised GeneratorExit: closed ("),
    ],
)
def test_a_profiler_without_a_number_for_one_architecture(tmp_path, answer, error):
    evaluated = []
    experiment = Experiment(
        SPACE,
        lambda architecture: evaluated.append(architecture["c0"]) or 1.0,
        "grid",
        profilers={"mine": Odd(answer), "other": Odd(5)},
        directory=tmp_path,
    )
    found = trials(experiment)
    failed = found[2]
    assert (failed.status, failed.attempts, failed.costs) == ("failed", 0, {"other": 5.0})
    assert error in failed.error
    assert evaluated == [0, 1, 3]  # what has failed was never run
    assert {one.costs["mine"] for one in found.values() if one.status == "complete"} == {7.0}
    again = Experiment(SPACE, score, "grid", profilers={"mine": Odd(1), "other": Odd(5)}, directory=tmp_path)
    with pytest.raises(Exception, match="another configuration: evaluator"):
        again.run()
    assert experiment.run().num_failed == 1  # replayed as it was


def test_a_profiler_that_fails_with_workers(tmp_path):
    experiment = Experiment(
        SPACE, score, "grid", profilers={"mine": Odd(None)}, directory=tmp_path, executor="processes"
    )
    found = trials(experiment, concurrency=2)
    assert [found[number].status for number in range(4)] == ["complete", "complete", "failed", "complete"]


@pytest.mark.parametrize("answer", [{"score": 1.0}, 1.0, None])
def test_an_evaluator_that_gives_no_evaluated(tmp_path, answer):
    found = trials(Experiment(SPACE, Odd(answer), "grid", directory=tmp_path))
    assert [found[number].status for number in range(4)] == ["complete", "complete", "failed", "complete"]
    assert "MetricError: Odd.evaluate_trial must give an Evaluated, with the metrics by name; it gave" in found[2].error


def test_an_evaluator_without_a_reference_is_none(tmp_path):
    class Half:
        def evaluate_trial(self, architecture, context):
            return Evaluated(metrics={"score": 1.0})

    with pytest.raises(ConfigError, match="or have the methods `evaluate_trial` and `reference`"):
        Experiment(SPACE, Half(), "grid", directory=tmp_path)


def test_a_reference_that_is_no_json_is_for_this_process(tmp_path):
    assert Experiment(SPACE, Odd({1, 2}), "grid", directory=tmp_path).run().num_complete == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (math.nan, "MetricError: The metric 'score' must be finite; got nan"),
        (10**400, "MetricError: The metric 'score' must be finite; got inf"),
        (torch.tensor(math.inf), "MetricError: The metric 'score' must be finite; got inf"),
        (torch.ones(2), "MetricError: The function must return a number, or a mapping"),
        (np.ma.masked, "MetricError: The metric 'score' must be a number; got masked, a MaskedConstant."),
        (Decimal("0.5"), "MetricError: The function must return a number, or a mapping"),
        ({"score": np.array(1j)}, "MetricError: The metric 'score' must be a number; got"),
        ({"score": torch.tensor(True)}, "MetricError: The metric 'score' must be a number; got"),
        ({"accuracy": 0.5}, "MetricError: The metric 'score' is missing: the evaluation gave accuracy, latency."),
        ({"score": 0.5}, ""),
        ({"score": torch.tensor(0.5, requires_grad=True)}, ""),
        ({"score": 10**30, "note": np.float16(2)}, ""),
    ],
)
def test_metrics_of_all_kinds_with_limits(tmp_path, answer, error):
    metrics = [Metric("score", limit=0.25), Metric("latency", "minimise", limit=10)]
    odd = Odd(answer)
    experiment = Experiment(
        SPACE, odd.profile, "grid", metrics=metrics, profilers={"latency": Odd(8)}, directory=tmp_path
    )
    found = trials(experiment)
    assert found[2].status == ("failed" if error else "complete")
    assert found[2].error.startswith(error)
    assert (error == "") or experiment.status().num_complete == 3


@pytest.mark.parametrize("scores", ["many", [[0.5]], [], [0.5, None, "x"]])
def test_scores_are_one_number_for_each_image(scores):
    with pytest.raises(MetricError, match=r"`scores` must be .*for each image; got"):
        Evaluated(metrics={"score": 1.0}, scores=scores)


def test_scores_may_be_a_list_or_a_tensor():
    for scores in ([1, 0], torch.tensor([1.0, 0.0])):
        taken = Evaluated(metrics={"score": 0.5}, scores=scores).scores
        assert (taken.dtype, taken.tolist()) == (np.float32, [1.0, 0.0])


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_what_evaluations_do_to_their_process(tmp_path, monkeypatch, executor):
    monkeypatch.chdir(tmp_path)
    experiment = Experiment(SPACE, misbehaving, "grid", directory="runs", executor=executor)
    found = trials(experiment)  # the folder is where it was, though the working directory is another
    assert [found[number].status for number in range(4)] == ["complete", "failed", "complete", "failed"]
    assert found[1].error.startswith("SystemExit: 3 (")
    assert found[2].metrics == {"score": 1.0}  # not what the forked process came back with
    assert found[3].error.startswith("ValueError: xxx")
    assert len(found[3].error) < 2100
    assert experiment.status().best.number == 0
    if executor == "processes":
        printed = (tmp_path / "runs" / "workers" / "worker-0.log").read_text()
        assert MEGABYTE in printed
        assert "A process forked by an evaluation came back from it and was ended." in printed


def test_an_interrupted_profiler_ends_the_run(tmp_path):
    experiment = Experiment(SPACE, score, "grid", profilers={"mine": Odd(KeyboardInterrupt())}, directory=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        experiment.run()


def test_an_interruption_that_an_evaluation_raises(tmp_path):
    """In line it cannot be told from Ctrl-C and ends the run; a worker has no Ctrl-C."""
    experiment = Experiment(SPACE, interrupting, "grid", directory=tmp_path / "inline")
    with pytest.raises(KeyboardInterrupt):
        experiment.run()
    assert experiment.status().num_running == 1
    found = trials(Experiment(SPACE, interrupting, "grid", directory=tmp_path / "workers", executor="processes"))
    assert [found[number].status for number in range(4)] == ["complete", "complete", "failed", "complete"]
    assert found[2].error.startswith("KeyboardInterrupt")


def test_a_file_in_the_place_of_the_workers_output(tmp_path):
    (tmp_path / "run").mkdir()
    experiment = Experiment(SPACE, score, "grid", directory=tmp_path / "run")
    experiment.run(1)
    (tmp_path / "run" / "workers").write_text("in the way")
    text = r"A worker cannot be started: .*File exists: '.*workers'\. .*worker-0.log: move away what is in the place"
    with pytest.raises(ConfigError, match=text):
        Experiment(SPACE, score, "grid", directory=tmp_path / "run", executor="processes").run(2)


def test_a_strategy_that_has_finished_before_there_are_enough_trials(tmp_path):
    experiment = Experiment(SPACE, score, "grid", directory=tmp_path)
    seen = []
    status = experiment.run(80, progress=seen.append)
    for one in (status, experiment.status()):
        assert (one.has_finished, one.num_ended, one.max_trials, one.seconds_left) == (True, 4, 80, 0.0)
        assert str(one).startswith("4 of 4 trials over, the strategy has finished, best score 3")
    assert not any(one.has_finished for one in seen)
    assert str(seen[1]).startswith("1 of 80 trials over, ")
    assert Experiment(SPACE, score, "grid", directory=tmp_path).run(90).has_finished


def test_fewer_trials_asked_for_than_are_over(tmp_path):
    experiment = Experiment(SPACE, score, "random", directory=tmp_path)
    assert str(experiment.run(3)).startswith("3 of 3 trials over, ")
    assert str(experiment.run(2)).startswith("3 of 3 trials over, ")


def test_a_strategy_that_waits_has_not_finished(tmp_path):
    """Between its neighbours and their outcomes a local search has nothing to propose."""
    experiment = Experiment(SPACE, interrupting, "local_search", directory=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        experiment.run(80)
    assert not experiment.status().has_finished
