import contextlib
import multiprocessing
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings

import pytest

from hwnas.errors import ConfigError
from hwnas.experiment.process_pool import ProcessPool, visible_gpus, worker_environments
from hwnas.testing.executor_contract import ExecutorContract
from hwnas.trial import EvaluatorReference, FunctionEvaluator
from tests.experiment.killed_with_workers import two_workers_wait
from tests.experiment.trials_in_workers import HERE, Evaluator, run, task_of


class TestProcessPool(ExecutorContract):
    @pytest.fixture
    def make_executor(self):
        return lambda: ProcessPool(2)


@pytest.fixture
def start():
    with contextlib.ExitStack() as stack:

        def started(function, num_workers=1, **options):
            pool = ProcessPool(num_workers, **options)
            stack.callback(pool.close)
            evaluator = FunctionEvaluator(f"{HERE}:{function}") if isinstance(function, str) else function
            pool.start(evaluator, lambda number, step, value: False)
            return pool

        yield started


def is_alive(pid):
    """A killed process whose parent has not looked yet, a zombie, is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_gone(pids):
    until = time.monotonic() + 30
    while any(map(is_alive, pids)) and time.monotonic() < until:
        time.sleep(0.01)
    return not any(map(is_alive, pids))


def test_a_thread_that_a_trial_leaves_behind_disturbs_nobody(start):
    pool = start("thread_left_behind", 2)
    ended = run(pool, task_of(0, leaves=True), task_of(1, leaves=False))
    assert [one.status for one in ended] == ["complete"] * 2


def test_a_worker_has_threads_and_a_process_group_of_its_own(start, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    pool = start("environment", 2)
    one, other, again = (ended.metrics for ended in run(pool, task_of(0), task_of(1), task_of(2)))
    assert one["pid"] == one["group"] != other["pid"]
    assert again["pid"] in (one["pid"], other["pid"])  # it is not started anew for every trial
    assert os.getpgrp() not in (one["group"], other["group"])
    assert one["threads"] == max(1, len(os.sched_getaffinity(0)) // 2)
    assert one["gpu"] == -1
    assert one["stdin"] == 0  # it does not read from the terminal


def test_each_worker_has_a_gpu_of_its_own(start, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, 7")
    pool = start("environment", 2)
    metrics = [ended.metrics for ended in run(pool, task_of(0), task_of(1))]
    assert sorted(each["gpu"] for each in metrics) == [4, 7]


def test_more_workers_than_gpus_share_them_in_turn():
    with pytest.warns(UserWarning, match="3 workers share 2 GPUs, in turn"):
        given = worker_environments(3, gpus=["4", "7"], num_cores=8, environment={"HOME": "/x"})
    assert [each["CUDA_VISIBLE_DEVICES"] for each in given] == ["4", "7", "4"]
    assert {each["OMP_NUM_THREADS"] for each in given} == {"2"}
    assert {each["HOME"] for each in given} == {"/x"}


def test_what_the_environment_says_stays(monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [given] = worker_environments(1, gpus=[], num_cores=8, environment={"OMP_NUM_THREADS": "3"})
    assert given == {"OMP_NUM_THREADS": "3"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert visible_gpus() == []
    assert ProcessPool().num_slots == len(os.sched_getaffinity(0))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8932f937,3")
    assert visible_gpus() == ["GPU-8932f937", "3"]
    assert ProcessPool().num_slots == 2


def test_output_goes_to_the_log_of_the_worker(start, tmp_path, capfd):
    pool = start("misbehave", log_folder=tmp_path / "run" / "workers")
    run(pool, task_of(0, do="print"))
    text = (tmp_path / "run" / "workers" / "worker-0.log").read_text()
    assert text.splitlines() == ["printed", "complained", "by a child"]
    run(start("misbehave"), task_of(0, do="print"))
    assert capfd.readouterr() == ("", "")


def test_the_folder_of_the_logs_is_removed_meanwhile(start, tmp_path):
    folder = tmp_path / "workers"
    pool = start("misbehave", log_folder=folder)
    shutil.rmtree(folder)
    lost, well = run(pool, task_of(0, do="exit at once"), task_of(1, do="print"))
    assert (lost.status, well.status) == ("lost", "complete")
    assert "printed" in (folder / "worker-0.log").read_text()
    shutil.rmtree(folder)
    folder.write_text("in the way")
    with pytest.raises(
        ConfigError, match=r"cannot be started: .*File exists: .*worker-0.log: move away what is in the"
    ):
        run(pool, task_of(2, do="exit at once"))


def test_too_few_open_files(start, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with pytest.raises(ConfigError, match=r"Too many open files\. Run fewer trials at a time, or allow more open"):
            start("misbehave", log_folder=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_too_much_memory_fails_the_trial_and_the_worker_goes_on(start):
    pool = start("misbehave")
    before, failed, after = run(pool, task_of(0, do=""), task_of(1, do="much memory"), task_of(2, do=""))
    assert failed.status == "failed"
    assert "MemoryError" in failed.error
    assert before.metrics["pid"] == after.metrics["pid"]


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (
            "die with a child",
            r"The worker was killed by SIGKILL \(memory may have run out\); what it wrote is in .*0.log",
        ),
        ("segfault", r"The worker was killed by SIGSEGV; what it wrote is in .*worker-0.log"),
        ("exit at once", r"The worker ended with exit code 3; what it wrote"),
    ],
)
def test_what_a_worker_died_of_is_said(start, tmp_path, what, why):
    pool = start("misbehave", log_folder=tmp_path)
    lost, well = run(pool, task_of(0, do=what), task_of(1, do=""))
    assert (lost.status, well.status) == ("lost", "complete")
    assert re.fullmatch(why if why.endswith("log") else why + ".*", lost.error)
    assert ("Segmentation fault" in (tmp_path / "worker-0.log").read_text()) == (what == "segfault")


def test_a_trial_that_hangs_with_the_interpreters_lock_is_ended(start):
    late, well = run(start("misbehave"), task_of(0, 0.3, do="hang in C"), task_of(1, 30.0, do=""))
    assert late.error == "TimeUp: the trial ran past its limit of 0.3 seconds."
    assert well.status == "complete"


def test_what_a_late_trial_has_started_ends_with_it(start, tmp_path):
    file, pool, seconds = tmp_path / "pids", start("misbehave"), 0.5
    file.touch()
    while not file.read_text():  # on a slow machine it is late before it has started anything
        [late] = run(pool, task_of(0, seconds, do="start a child", path=str(file)))
        assert "TimeUp" in late.error
        seconds *= 2
    assert all_gone(list(map(int, file.read_text().split())))


def test_waiting_for_ones_turn_does_not_count_towards_the_limit(start, tmp_path):
    """Two that take 0.1 seconds and may take 2, behind one of another pool, another experiment, that takes 3."""
    one, other, inside = start("misbehave", 2), start("misbehave"), tmp_path / "inside"
    other.submit(task_of(0, do="alone", name="the test's device", seconds=3.0, path=str(inside)))
    while not inside.exists():
        assert other.wait(0.05) == []
    tasks = [task_of(number, 2.0, do="alone", name="the test's device", seconds=0.1) for number in range(2)]
    ended = run(one, *tasks) + other.wait(60.0)
    assert [each.status for each in ended] == ["complete"] * 3
    spans = sorted((each.metrics["begin"], each.metrics["end"]) for each in ended)
    assert spans[0][1] <= spans[1][0]
    assert spans[1][1] <= spans[2][0]


def test_exclusive_blocks_do_not_nest(start):
    [ended] = run(start("misbehave"), task_of(0, do="nest"))
    assert "exclusive('other') within exclusive('one'): two trials that take two names could wait" in ended.error


def test_an_evaluation_may_report_from_several_threads(start):
    [ended] = run(start("misbehave"), task_of(0, do="threads"))
    assert ended.error == ""


def test_an_idle_worker_that_dies_is_replaced_and_nothing_is_lost(start):
    pool = start("misbehave")
    [first] = run(pool, task_of(0, do=""))
    os.kill(int(first.metrics["pid"]), signal.SIGKILL)
    os.waitid(os.P_PID, int(first.metrics["pid"]), os.WEXITED | os.WNOWAIT)  # with all its threads
    [second] = run(pool, task_of(1, do=""))
    assert second.status == "complete"
    assert second.metrics["pid"] != first.metrics["pid"]


def test_an_evaluator_that_cannot_be_made_is_told_at_the_start(start):
    with pytest.raises(ConfigError, match=r"cannot be made in a worker: OSError: the data are not there \("):
        start(Evaluator(f"{HERE}:raise_at_start"), 2)
    with pytest.raises(ConfigError, match=r"cannot be made in a worker: .*There is no module 'no_such_module'"):
        start(Evaluator("no_such_module:evaluator"))


def test_workers_that_die_as_they_start_are_not_started_for_ever(start, tmp_path):
    with pytest.raises(
        ConfigError, match=r"3 of them in a row. The worker was killed by SIGKILL .*die_at_start can be"
    ):
        start(Evaluator(f"{HERE}:die_at_start"))
    pool = start(Evaluator(f"{HERE}:die_after", path=str(tmp_path / "made")))
    with pytest.raises(ConfigError, match=r"3 of them in a row. The worker ended with exit code 5"):
        run(pool, task_of(0, do="exit at once"), task_of(1, do=""))


def test_options_that_are_objects_do_not_cross(start):
    class Odd(Evaluator):
        def reference(self):
            return EvaluatorReference(factory="a:b", options={"model": object()})

    with pytest.raises(ConfigError, match=r"makes a:b must be JSON .*not JSON serializable.* Give paths and names"):
        start(Odd("a:b"))


@pytest.mark.parametrize("number", [0, -1, 1.5, "2", True])
def test_a_pool_has_workers(number):
    with pytest.raises(ConfigError, match="`num_workers` must be a whole number of at least 1"):
        ProcessPool(number)


def test_workers_end_with_the_program_that_was_killed(tmp_path):
    """With what they started: nobody is left to end them."""
    program = multiprocessing.get_context("fork").Process(target=two_workers_wait, args=(tmp_path,))
    program.start()
    files, until = [tmp_path / "0", tmp_path / "1"], time.monotonic() + 60
    while not all(file.exists() and file.read_text() for file in files) and time.monotonic() < until:
        time.sleep(0.01)
    pids = [int(pid) for file in files for pid in file.read_text().split()]
    assert len(pids) == 4
    assert all(map(is_alive, pids))
    program.kill()
    program.join()
    assert all_gone(pids)


SCRIPT = """
import time
from hwnas.trial import FunctionEvaluator, TrialTask

def wait(architecture):
    print("in a worker")
    time.sleep(architecture["seconds"])
    return 1.0

if __name__ == "__main__":
    import signal

    from hwnas.experiment import ProcessPool  # here, for it is more than the workers need

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it

    pool = ProcessPool(2)
    pool.start(FunctionEvaluator(wait), lambda *report: False)
    for seconds in (0, 1000):
        pool.submit(TrialTask(number=seconds, attempt=1, architecture={"seconds": seconds}, seed=0))
    try:
        print(pool.wait(None)[0].metrics, flush=True)  # upon which it is interrupted, perhaps before the next line
        pool.wait(None)
    except KeyboardInterrupt:
        pool.close()
        print("interrupted")
"""


def test_ctrl_c_ends_a_script_and_its_workers_without_tracebacks(tmp_path):
    """The terminal sends it to the whole group of processes in the foreground; workers are in others."""
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    command = [sys.executable, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout.readline() == "{'score': 1.0}\n"
        program.send_signal(signal.SIGINT)
        assert program.communicate(timeout=300) == ("interrupted\n", "")
        assert program.returncode == 0


def test_a_script_without_a_guard_starts_no_workers_for_ever():
    """What a worker does that imports the script to find its evaluator."""
    with pytest.raises(ConfigError, match=r"must not start workers of its own.*under `if __name__ == "):
        EvaluatorReference(
            factory="tests.experiment.killed_with_workers:two_workers_wait", options={"folder": ""}
        ).make()
