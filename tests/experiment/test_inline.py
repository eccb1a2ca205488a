import signal
import threading

import pytest

from hwnas.errors import ConfigError
from hwnas.experiment.inline import InlineExecutor
from hwnas.testing.executor_contract import ExecutorContract
from hwnas.trial import FunctionEvaluator, TrialTask


class TestInlineExecutor(ExecutorContract):
    in_line = True

    @pytest.fixture
    def make_executor(self):
        return InlineExecutor


def task(timeout_seconds=None):
    return TrialTask(number=0, attempt=1, architecture={"a": 1}, seed=0, timeout_seconds=timeout_seconds)


def test_a_time_limit_needs_the_main_thread():
    raised = []

    def submit():
        with pytest.raises(ConfigError, match=r'needs the main thread.*executor="processes"') as caught:
            InlineExecutor().submit(task(1.0))
        raised.append(caught)
        InlineExecutor().submit(task())

    thread = threading.Thread(target=submit)
    thread.start()
    thread.join()
    assert raised


def test_another_thread_cannot_report():
    """The store is of the thread that opened it."""
    errors, heard = [], []

    def evaluate(architecture, report):
        def go():
            with pytest.raises(
                ConfigError, match=r'only the thread that evaluates can report.*executor="processes"'
            ) as e:
                report(1, 1.0)
            errors.append(e)

        thread = threading.Thread(target=go)
        thread.start()
        thread.join()
        return 1.0

    executor = InlineExecutor()
    executor.start(FunctionEvaluator(evaluate), lambda *said: bool(heard.append(said)))
    executor.submit(task())
    [ended] = executor.wait()
    assert (ended.status, len(errors), heard) == ("complete", 1, [])


def test_the_alarm_does_not_cut_the_writing_of_a_report_in_two():
    written = []

    def on_report(number, step, value):
        signal.raise_signal(signal.SIGALRM)  # the limit falls due meanwhile
        written.append(step)
        return False

    executor = InlineExecutor()
    executor.start(FunctionEvaluator(lambda architecture, report: [report(step, 1.0) for step in range(5)]), on_report)
    executor.submit(task(60.0))
    [ended] = executor.wait()
    assert "ran past its limit of 60 seconds" in ended.error
    assert written == [0]


def test_an_interrupt_goes_through():
    def interrupt(architecture):
        raise KeyboardInterrupt

    executor = InlineExecutor()
    executor.start(FunctionEvaluator(interrupt), lambda number, step, value: False)
    executor.submit(task())
    with pytest.raises(KeyboardInterrupt):
        executor.wait()
