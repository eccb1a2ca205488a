"""What becomes of one attempt; executors' contract suite goes through the rest of it."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from hwnas.errors import MetricError
from hwnas.space import Architecture
from hwnas.trial import FunctionEvaluator, TrialStopped, TrialTask
from hwnas.trial.attempt import attempt
from hwnas.trial.time_limit import TimeLimit

TASK = TrialTask(number=3, attempt=2, architecture={"a": 1}, seed=9, timeout_seconds=0.1)


def run(function, **options):
    return attempt(FunctionEvaluator(function), TASK, lambda step, value: False, **options)


def test_what_comes_back_is_of_the_task():
    ended = run(lambda architecture: 1.0)
    assert (ended.number, ended.attempt, ended.status, ended.metrics) == (3, 2, "complete", {"score": 1.0})


@pytest.mark.parametrize(
    ("step", "value", "match"),
    [
        (-1, 1.0, "needs a whole number of at least 0 as its step; got -1"),
        (0.5, 1.0, "needs a whole number of at least 0 as its step; got 0.5"),
        (True, 1.0, "as its step; got True"),
        (0, "high", "needs a finite number as its value; got 'high'"),
        (0, float("inf"), "needs a finite number as its value; got inf"),
    ],
)
def test_a_wrong_report_fails_the_trial(step, value, match):
    ended = run(lambda architecture, report: report(step, value))
    assert ended.status == "failed"
    assert match in ended.error


def test_numbers_of_all_kinds_are_reported():
    heard = []
    ended = attempt(
        FunctionEvaluator(lambda architecture, report: report(np.array(3), np.float32(0.5)) or 1.0),
        TASK,
        lambda step, value: bool(heard.append((step, value))),
    )
    assert ended.status == "complete"
    assert heard == [(3, 0.5)]


def test_a_thread_that_is_left_behind_reports_no_more():
    """Whatever it said would be taken for the next trial's."""
    heard, left = [], []
    may_report = threading.Event()

    def evaluate(architecture, report):
        def go_on():
            may_report.wait()
            with pytest.raises(TrialStopped):
                report(2, 1.0)

        left.append(threading.Thread(target=go_on))
        left[0].start()
        report(1, 1.0)
        return 1.0

    ended = attempt(FunctionEvaluator(evaluate), TASK, lambda step, value: bool(heard.append(step)))
    may_report.set()
    left[0].join()
    assert (ended.status, heard) == ("complete", [1])


def test_threads_report_one_at_a_time():
    """An answer comes without saying whose it is."""
    at_a_time, most = [], []

    def on_report(step, value):
        at_a_time.append(step)
        most.append(len(at_a_time))
        time.sleep(0.01)
        at_a_time.remove(step)
        return False

    def evaluate(architecture, report):
        threads = [threading.Thread(target=report, args=(step, 1.0)) for step in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 1.0

    assert attempt(FunctionEvaluator(evaluate), TASK, on_report).status == "complete"
    assert most == [1] * 8


def test_an_architecture_that_is_none():
    task = TrialTask(number=0, attempt=1, architecture=[1], seed=0)
    ended = attempt(FunctionEvaluator(lambda architecture: 1.0), task, lambda step, value: False)
    assert "ArchitectureError" in ended.error
    assert Architecture({"a": 1}) == Architecture.from_json(TASK.architecture)


def test_an_error_without_a_line_of_source():
    function = eval("lambda architecture: 1 / 0")
    assert run(function).error.startswith("ZeroDivisionError: division by zero (<string>, line 1, in <lambda>")


@pytest.mark.parametrize(
    ("error", "begins"),
    [
        (ValueError("the data are wrong"), "ValueError: the data are wrong ("),
        (MetricError("a metric is missing"), "MetricError: a metric is missing\n"),
    ],
)
def test_what_was_noted_with_an_error_follows_it(error, begins):
    error.add_note("in the second file:\nline 3")
    error.add_note("seen by the loader")

    def fails(architecture):
        raise error

    text = run(fails).error
    assert text.startswith(begins)
    assert text.endswith("\nin the second file:\nline 3\nseen by the loader")


def test_a_message_that_is_no_utf_8():
    # A file's name of any bytes is read with lone surrogates, which SQLite refuses.
    def fails(architecture):
        raise ValueError("no images in " + os.fsdecode(b"caf\xe9"))

    ended = run(fails)
    assert ended.status == "failed"
    assert ended.error.encode().startswith(rb"ValueError: no images in caf\udce9 (")


def test_errors_that_are_not_caught_are_raised():
    with pytest.raises(ZeroDivisionError):
        run(lambda architecture: 1 / 0, raises=(ArithmeticError,))
    with pytest.raises(KeyboardInterrupt):
        run(lambda architecture: (_ for _ in ()).throw(KeyboardInterrupt))


def test_careless_functions_run_out_of_time_too():
    def careless(architecture):
        try:
            time.sleep(60)
        except Exception:
            return 1.0

    ended = run(careless, limit=TimeLimit(0.1))
    assert ended.error == "TimeUp: the trial ran past its limit of 0.1 seconds."


@pytest.mark.parametrize("seconds", [60.0, 1e10, 1e300])
def test_no_alarm_is_left_behind(seconds):
    before = signal.getsignal(signal.SIGALRM)
    assert run(lambda architecture: 1.0, limit=TimeLimit(seconds)).status == "complete"
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_a_held_alarm_comes_afterwards_whichever_thread_is_given_the_signal():
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    done = []

    def evaluate(architecture):
        with limit.held():
            signal.raise_signal(signal.SIGALRM)
            signal.pthread_kill(threads[0].ident, signal.SIGALRM)
            time.sleep(0.01)
            done.append("whole")
        done.append("after")

    limit = TimeLimit(60.0)
    try:
        assert "TimeUp" in run(evaluate, limit=limit).error
    finally:
        stop.set()
    assert done == ["whole"]
