import contextlib
import re
import sys
import time

import pytest

from hwnas.errors import ConfigError, DeviceError, MissingExtraError
from hwnas.experiment.ray_executor import RayExecutor
from hwnas.testing.executor_contract import ExecutorContract
from hwnas.trial import FunctionEvaluator
from tests.experiment.conftest import connect
from tests.experiment.trials_in_workers import HERE, Evaluator, run, task_of

ray = pytest.importorskip("ray")


@pytest.mark.usefixtures("cluster")
class TestRayExecutor(ExecutorContract):
    @pytest.fixture
    def make_executor(self):
        return lambda: RayExecutor(2)


@pytest.fixture
def start(cluster):
    """`start(name of a function or evaluator, ...)` gives a started executor."""
    with contextlib.ExitStack() as stack:

        def started(function, num_slots=1, **options):
            executor = RayExecutor(num_slots, **options)
            stack.callback(executor.close)
            evaluator = FunctionEvaluator(f"{HERE}:{function}") if isinstance(function, str) else function
            executor.start(evaluator, lambda number, step, value: False)
            return executor

        yield started


@pytest.fixture
def disconnected(cluster):
    ray.shutdown()
    yield
    connect(cluster)


def test_a_node_that_is_removed_loses_its_trial(start, cluster, tmp_path):
    """Which then runs on another."""
    node = cluster.add_node(num_cpus=1, resources={"away": 1})
    executor = start("misbehave", resources={"away": 1})
    executor.submit(task_of(0, do="start a child", path=str(tmp_path / "pids")))
    until = time.monotonic() + 60
    while not (tmp_path / "pids").exists() and time.monotonic() < until:
        assert executor.wait(0.05) == []
    cluster.remove_node(node, allow_graceful=False)
    [lost] = executor.wait(60.0)
    assert lost.status == "lost"
    assert re.match(
        r"The worker was lost \((NodeDiedError|WorkerCrashedError|LocalRayletDiedError|ObjectLostError)", lost.error
    )
    other = cluster.add_node(num_cpus=1, resources={"away": 1})
    [well] = run(executor, task_of(0, do=""))
    assert well.status == "complete"
    cluster.remove_node(other)


def test_a_worker_that_is_killed_loses_its_trial(start):
    lost, well = run(start("misbehave"), task_of(0, do="segfault"), task_of(1, do=""))
    assert (lost.status, well.status) == ("lost", "complete")
    assert lost.error.startswith("The worker was lost (WorkerCrashedError: The worker died unexpectedly")


def test_a_trial_that_hangs_with_the_interpreters_lock_is_ended(start):
    late, well = run(start("misbehave"), task_of(0, 0.3, do="hang in C"), task_of(1, 30.0, do=""))
    assert late.error == "TimeUp: the trial ran past its limit of 0.3 seconds."
    assert well.status == "complete"


def test_waiting_for_ones_turn_does_not_count_towards_the_limit(start):
    """Two blocks of 0.4 seconds one after the other, each limited to 0.7; after one whose holder dies."""
    tasks = [task_of(number, 0.7, do="alone", name="the test's device") for number in range(2)]
    ended = run(start("misbehave", 2), task_of(2, do="die alone", name="the test's device"), *tasks)
    assert [each.status for each in ended] == ["complete", "complete", "lost"]
    (_, end), (begin, _) = sorted((each.metrics["begin"], each.metrics["end"]) for each in ended[:2])
    assert end <= begin


def test_an_evaluator_that_cannot_be_made_is_told_at_the_start(start):
    with pytest.raises(ConfigError, match=r"cannot be made on the cluster: OSError: the data are not there \("):
        start(Evaluator(f"{HERE}:raise_at_start"))
    with pytest.raises(ConfigError, match=r"The cluster cannot evaluate: WorkerCrashedError.*installed on every node"):
        start(Evaluator(f"{HERE}:die_at_start"))


def test_resources_that_no_node_has_are_not_waited_for_without_end(start):
    with pytest.raises(ConfigError, match=r"within 0.5 seconds: a trial needs .*'phone': 1.*the cluster has .*'CPU': "):
        start("misbehave", resources={"phone": 1}, start_timeout_seconds=0.5)


def test_without_its_mailbox_an_experiment_ends(start):
    executor = start("misbehave")
    executor.submit(task_of(0, do="alone", name="x"))
    ray.kill(executor._mailbox)
    with pytest.raises(DeviceError, match=r"has lost its trials: .*Run it again: it goes on"):
        executor.wait(30.0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_slots": 0}, "`num_slots` must be a whole number of at least 1; got 0"),
        ({"num_cpus": -1}, "Resources of a trial must be at least 0; got {'num_cpus': -1}"),
        ({"resources": {"phone": float("nan")}}, "Resources of a trial must be at least 0; got {'phone': nan}"),
    ],
)
def test_numbers_out_of_range(options, text):
    with pytest.raises(ConfigError, match=re.escape(text)):
        RayExecutor(**options)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1:1", "ConnectionRefusedError"),
        ("ray://127.0.0.1:1", "ConnectionRefusedError"),
        ("no.such.host.invalid:6379", "gaierror"),
        ("localhost:port", "an address is written 'host:port', and 'port' is no port"),
    ],
)
def test_an_address_where_there_is_no_cluster(start, disconnected, address, why):
    with pytest.raises(DeviceError, match=f"cannot be reached at '{address}': .*{why}.* `ray start --head`"):
        start("misbehave", address=address)


def test_a_cluster_of_its_own_ends_with_the_executor(start, disconnected, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    executor = start("misbehave", address=None)
    assert run(executor, task_of(0, do=""))[0].status == "complete"
    executor.close()
    assert not ray.is_initialized()


def test_without_ray_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"needs Ray, which is not installed .* pip install 'hwnas\[ray\]'"):
        RayExecutor().start(FunctionEvaluator(f"{HERE}:misbehave"), lambda number, step, value: False)
