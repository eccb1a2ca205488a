"""What every executor must do, as tests: subclass in a test file and give one fixture.

class TestMyExecutor(ExecutorContract):
    @pytest.fixture
    def make_executor(self):
        return lambda: MyExecutor(2)
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from hwnas.errors import ConfigError
from hwnas.experiment.executor import Executor, OnReport
from hwnas.space import Architecture
from hwnas.testing.trial_functions import ScoringEvaluator
from hwnas.trial import Ended, FunctionEvaluator, TrialEvaluator, TrialTask

__all__ = ["ExecutorContract"]

Start = Callable[..., Executor]
_PATIENCE_SECONDS = 120.0


def _tasks(*architectures: object, **fields: object) -> list[TrialTask]:
    return [
        TrialTask(number=number, attempt=1, architecture=architecture, seed=100 + number, **fields)  # type: ignore[arg-type]
        for number, architecture in enumerate(architectures)
    ]


def _run(executor: Executor, tasks: list[TrialTask]) -> list[Ended]:
    """As the engine does: submit while there are slots, wait; what came, by number. No task may come twice."""
    waiting, under_way, ended = list(tasks), 0, []
    until = time.monotonic() + _PATIENCE_SECONDS
    while waiting or under_way:
        while waiting and under_way < executor.num_slots:
            executor.submit(waiting.pop(0))
            under_way += 1
        came = executor.wait(1.0)
        under_way -= len(came)
        ended += came
        assert time.monotonic() < until, f"{under_way} attempts never came back"
    assert sorted((one.number, one.attempt) for one in ended) == sorted((task.number, task.attempt) for task in tasks)
    return sorted(ended, key=lambda one: one.number)


def _do(**architecture: object) -> dict[str, object]:
    return architecture


class ExecutorContract:
    """Tests of the guarantees in the docstring of `Executor`; needs the fixture `make_executor`.

    Attributes:
        in_line: whether trials run in the caller's process, which then does not outlive their deaths.
    """

    in_line = False

    @pytest.fixture
    def start(self, make_executor: Callable[[], Executor]) -> Iterator[Start]:
        """`start(evaluator or name of a function of trial_functions, on_report)` gives a started executor."""
        started: list[Executor] = []

        def made(evaluator: TrialEvaluator | str, on_report: OnReport = lambda number, step, value: False) -> Executor:
            if isinstance(evaluator, str):
                evaluator = FunctionEvaluator(f"hwnas.testing.trial_functions:{evaluator}")
            started.append(make_executor())
            started[-1].start(evaluator, on_report)
            return started[-1]

        yield made
        for executor in started:
            executor.close()

    def test_every_task_comes_back_once_with_its_metrics(self, start: Start) -> None:
        """Architecture, seed, fidelity and batch arrive as they were sent; tuples are tuples again."""
        executor = start("show")
        num = 3 * executor.num_slots
        full = _tasks(*(_do(a=number, b=[3, 4]) for number in range(num)))
        for number, ended in enumerate(_run(executor, full)):
            assert (ended.status, ended.error, ended.attempt) == ("complete", "", 1)
            assert ended.metrics == {"score": number + 7, "seed": 100 + number, "full": 1, "batch_index": 0}
            assert ended.scores is None
            assert ended.seconds >= 0
        [ended] = _run(executor, _tasks(_do(a=1, b=[]), fidelity="batch", batch_index=9))
        assert ended.metrics == {"score": 1, "seed": 100, "full": 0, "batch_index": 9}

    def test_scores_of_images_cross(self, start: Start) -> None:
        """As they are."""
        [ended] = _run(start(ScoringEvaluator()), _tasks(_do(a=1)))
        assert ended.metrics == {"score": 0.75}
        assert ended.scores is not None
        np.testing.assert_array_equal(ended.scores, np.array([1, 1, 0, 1], dtype=np.float32))

    def test_whatever_goes_wrong_fails_that_trial_alone(self, start: Start) -> None:
        """With the error's type, message and line."""
        wrong = {
            "raise": r"ValueError: seven is wrong (",
            "exit": "SystemExit: enough",
            "no exception": "GeneratorExit: the loop is closed",
            "memory": "MemoryError: no memory left",
            "text": "MetricError: The metric 'score' must be a number; got 'high', a str.",
            "nothing": "it returned None",
            "report nan": "needs a finite number as its value; got nan",
        }
        executor = start("do")
        ended = _run(executor, _tasks(*(_do(do=what) for what in wrong), _do(do="well")))
        assert [one.status for one in ended] == ["failed"] * len(wrong) + ["complete"]
        for one, text in zip(ended, wrong.values(), strict=False):
            assert text in one.error
            assert one.metrics == {}
        assert "trial_functions.py" in ended[0].error
        assert 'raise ValueError("seven is wrong")' in ended[0].error

    def test_reports_come_in_order_on_the_callers_thread(self, start: Start) -> None:
        """Each trial's own order; within `wait`."""
        heard: list[tuple[int, int, float, int]] = []

        def on_report(number: int, step: int, value: float) -> bool:
            heard.append((number, step, value, threading.get_ident()))
            return False

        ended = _run(start("report", on_report), _tasks(_do(steps=4), _do(steps=2)))
        assert [(one.status, one.metrics) for one in ended] == [("complete", {"score": 4}), ("complete", {"score": 2})]
        here = threading.get_ident()
        assert [each for each in heard if each[0] == 0] == [(0, step, 10.0 * step, here) for step in range(4)]
        assert [each for each in heard if each[0] == 1] == [(1, step, 10.0 * step, here) for step in range(2)]

    def test_a_trial_that_is_to_stop_stops(self, start: Start) -> None:
        """At the report that says so, even where the function goes on after every Exception; the others do not."""
        heard: list[tuple[int, int]] = []

        def on_report(number: int, step: int, value: float) -> bool:
            heard.append((number, step))
            return number == 1 and step >= 2

        ended = _run(start("report", on_report), _tasks(_do(steps=5), _do(steps=200), _do(steps=3)))
        assert [one.status for one in ended] == ["complete", "stopped", "complete"]
        assert ended[1].metrics == {}
        assert 2 <= max(step for number, step in heard if number == 1) < 199

    def test_a_trial_past_its_time_fails(self, start: Start) -> None:
        """Long before it would have ended, and the next one runs."""
        executor = start("do")
        begin = time.monotonic()
        tasks = _tasks(_do(do="wait", seconds=1000.0), _do(do="well"), timeout_seconds=0.5)
        late, well = _run(executor, tasks)
        assert (late.status, well.status) == ("failed", "complete")
        assert late.error == "TimeUp: the trial ran past its limit of 0.5 seconds."
        assert 0.5 <= late.seconds <= time.monotonic() - begin < _PATIENCE_SECONDS

    def test_a_dead_worker_is_reported_and_replaced(self, start: Start) -> None:
        """The attempt is lost, exactly once; the slot is there again."""
        if self.in_line:
            pytest.skip("in line the trial's process is this one")
        executor = start("do")
        lives = _do(do="well")
        ended = _run(executor, _tasks(lives, _do(do="die"), lives, lives, _do(do="die"), lives))
        assert [one.status for one in ended] == ["complete", "lost", "complete", "complete", "lost", "complete"]
        assert ended[1].error

    def test_exclusive_blocks_never_overlap(self, start: Start) -> None:
        """Though trials run side by side."""
        tasks = _tasks(*[_do(do="wait alone", seconds=0.05)] * 6)
        ended = _run(start("do"), tasks)
        spans = sorted((one.metrics["begin"], one.metrics["end"]) for one in ended)
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))

    def test_slots_work_side_by_side(self, start: Start) -> None:
        """As many trials as there are slots have begun before the first of them ends."""
        executor = start("do")
        _run(executor, _tasks(*[_do(do="well")] * executor.num_slots))  # workers are up
        ended = _run(executor, _tasks(*[_do(do="wait", seconds=1.5)] * executor.num_slots))
        assert max(one.metrics["begin"] for one in ended) < min(one.metrics["end"] for one in ended)

    def test_waiting_ends_when_the_time_is_up(self, start: Start) -> None:
        """With nothing, and at once where nothing is under way."""
        executor = start("do")
        assert executor.wait() == []
        assert executor.wait(5.0) == []
        if not self.in_line:
            [task] = _tasks(_do(do="wait", seconds=1000.0))
            executor.submit(task)
            assert executor.wait(0.2) == []

    def test_closing_does_not_wait_for_trials(self, start: Start) -> None:
        """Twice is as good as once."""
        executor = start("do")
        [task] = _tasks(_do(do="wait", seconds=1000.0))
        executor.submit(task)
        if not self.in_line:
            executor.wait(0.2)
        executor.close()
        executor.close()

    def test_it_starts_again_after_closing(self, start: Start) -> None:
        """With nothing left of before."""
        executor = start("do")
        [task] = _tasks(_do(do="wait", seconds=1000.0))
        executor.submit(task)
        executor.close()
        executor.start(FunctionEvaluator("hwnas.testing.trial_functions:show"), lambda number, step, value: False)
        [ended] = _run(executor, _tasks(_do(a=1, b=[2])))
        assert ended.metrics["score"] == 3

    def test_what_cannot_cross_is_refused_at_the_start(self, make_executor: Callable[[], Executor]) -> None:
        """A lambda runs in line only, and the error says so; in line it runs."""

        def number(architecture: Architecture) -> float:
            return 1.0

        executor = make_executor()
        try:
            for evaluator in (FunctionEvaluator(lambda architecture: 1.0), FunctionEvaluator(number)):
                if self.in_line:
                    executor.start(evaluator, lambda number, step, value: False)
                    assert _run(executor, _tasks(_do(a=1)))[0].metrics == {"score": 1.0}
                else:
                    with pytest.raises(ConfigError, match=r"in line only.*'module:function'"):
                        executor.start(evaluator, lambda number, step, value: False)
        finally:
            executor.close()
