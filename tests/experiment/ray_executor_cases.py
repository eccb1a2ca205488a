import contextlib
import itertools
import re
import socket
import sys
import threading
import time

import pytest

from hwnas.errors import ConfigError, DeviceError, MissingExtraError
from hwnas.experiment.ray_cluster import check_cluster
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
    ray.shutdown()  # what a test has connected to
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


def test_waiting_for_ones_turn_does_not_count_towards_the_limit(start, tmp_path):
    """A block of 0.1 seconds that may take 2, behind one of 4 seconds; after one whose holder dies."""
    executor, name, inside = start("misbehave", 2), "the test's device", tmp_path / "inside"
    [lost] = run(executor, task_of(2, do="die alone", name=name))
    executor.submit(task_of(1, do="alone", name=name, seconds=4.0, path=str(inside)))
    while not inside.exists():
        assert executor.wait(0.05) == []
    executor.submit(task_of(0, 2.0, do="alone", name=name, seconds=0.1))
    before, after = executor.wait(60.0) + executor.wait(60.0)
    assert [each.status for each in (lost, before, after)] == ["lost", "complete", "complete"]
    assert before.metrics["end"] <= after.metrics["begin"]


def test_an_evaluator_that_cannot_be_made_is_told_at_the_start(start):
    with pytest.raises(
        ConfigError, match=r"cannot be made on the cluster, on the node '.+': OSError: the data are not"
    ):
        start(Evaluator(f"{HERE}:raise_at_start"))
    with pytest.raises(ConfigError, match=r"The cluster cannot evaluate: WorkerCrashedError.*installed on every node"):
        start(Evaluator(f"{HERE}:die_at_start"))


def test_a_file_is_found_from_another_folder(start, tmp_path, monkeypatch):
    """The nodes work in the folder that they were started in."""
    (tmp_path / "mine.py").write_text("def one(architecture):\n    return 1.0\n")
    monkeypatch.chdir(tmp_path)
    [ended] = run(start(FunctionEvaluator("mine.py:one")), task_of(0, do=""))
    assert ended.metrics == {"score": 1.0}


def test_a_module_that_only_the_program_finds(start, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def one(architecture):\n    return 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"There is no module 'only_here'\..* must be installed on every node"):
        start(FunctionEvaluator("only_here:one"))


def test_resources_that_no_node_has_are_not_waited_for_without_end(start):
    needs = r"No node of the cluster has what a trial needs: CPU 1 .*, phone 1 \(the cluster has 0, 0 free\)\. "
    with (
        pytest.warns(UserWarning, match=needs + r"It is waited for 0\.5 seconds"),
        pytest.raises(
            ConfigError,
            match=needs + r"Ask for less, add nodes, or wait longer \(`start_timeout_seconds`, which is 0\.5\)",
        ),
    ):
        start("misbehave", resources={"phone": 1}, start_timeout_seconds=0.5)
    with (
        pytest.warns(UserWarning, match="GPU 2"),
        pytest.raises(ConfigError, match=r"GPU 2 \(the cluster has 0, 0 free\)"),
    ):
        start("misbehave", num_gpus=2, start_timeout_seconds=0.5)


def test_trials_that_wait_for_room_are_told_of(start, cluster):
    """Those of one experiment for each other, another experiment for them."""
    node = cluster.add_node(num_cpus=1, resources={"narrow": 1})
    options = {"num_slots": 2, "resources": {"narrow": 1}, "start_timeout_seconds": 1.0}
    executor = start("misbehave", **options)
    for number in range(2):
        executor.submit(task_of(number, do="sleep", seconds=6))
    # The second; on a machine that is busy the first as well, whose worker there has to start.
    with pytest.warns(UserWarning, match=r"(1 trial waits|2 trials wait) for room .*narrow 1 \(the cluster has 1, "):
        executor.wait(2.5)
    with pytest.warns(
        UserWarning, match=r"The first trial waits for room on the cluster, or a worker there: each needs CPU 1"
    ):
        other = start("misbehave", **options)
    ended = [*executor.wait(0.0), *other.wait(0.0)]
    while len(ended) < 2:
        ended += executor.wait(60.0)
    assert [each.status for each in ended] == ["complete"] * 2
    cluster.remove_node(node)


@pytest.mark.slow  # Ray takes its time to notice
def test_trials_wait_for_a_node_that_was_removed(start, cluster):
    node = cluster.add_node(num_cpus=1, resources={"narrow": 1})
    executor = start("misbehave", resources={"narrow": 1}, start_timeout_seconds=1.0)
    cluster.remove_node(node, allow_graceful=False)
    until = time.monotonic() + 60
    while "narrow" in ray.cluster_resources() and time.monotonic() < until:
        time.sleep(0.05)
    executor.submit(task_of(0, do=""))
    with pytest.warns(UserWarning, match=r"No node .*narrow 1 \(the cluster has 0, 0 free\).*Trials wait for one\."):
        executor.wait(2.5)
    later = cluster.add_node(num_cpus=1, resources={"narrow": 1})
    [well] = executor.wait(60.0)
    assert well.status == "complete"
    cluster.remove_node(later)


def test_two_experiments_on_two_machines_never_measure_at_once(start, cluster, tmp_path):
    """Folders of temporary files of their own stand for machines: the locks of one are not seen on the other."""
    nodes = []
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        environment = {"TMPDIR": str(tmp_path / name)}
        nodes.append(cluster.add_node(num_cpus=1, resources={name: 1}, env_vars=environment))
    left, right = (start("misbehave", 2, resources={name: 1}) for name in ("left", "right"))
    tasks = [task_of(number, do="alone", name="the phone", seconds=0.4) for number in range(2)]
    for executor in (left, right):
        for task in tasks:
            executor.submit(task)
    ended = []
    for executor in (left, right):
        num = 0
        while num < 2:
            ended += (came := executor.wait(60.0))
            num += len(came)
    spans = sorted((each.metrics["begin"], each.metrics["end"]) for each in ended)
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))
    assert all(list((tmp_path / name).glob("hwnas-*/the%20phone-*.lock")) for name in ("left", "right"))

    # An experiment that ends within its block leaves the way free.
    inside = tmp_path / "inside"
    left.submit(task_of(7, do="alone", name="the phone", seconds=1000, path=str(inside)))
    while not inside.exists():
        assert left.wait(0.05) == []
    left.close()
    [after] = run(right, task_of(8, do="alone", name="the phone", seconds=0.0))
    assert after.status == "complete"
    for node in nodes:
        cluster.remove_node(node)


def test_results_come_one_by_one(start):
    """A trial that is over is handed on while another runs on; no generation is waited for."""
    executor = start("misbehave", 2)
    executor.submit(task_of(0, do="sleep", seconds=1000))
    for number in (1, 2):
        executor.submit(task_of(number, do=""))
        [ended] = executor.wait(60.0)
        assert (ended.number, ended.status) == (number, "complete")


def test_without_its_mailbox_an_experiment_ends(start):
    executor = start("misbehave")
    executor.submit(task_of(0, do="alone", name="x", seconds=0.0))
    ray.kill(executor._mailbox)
    with pytest.raises(DeviceError, match=r"The cluster has gone, or the process there .*Run the experiment again"):
        executor.wait(30.0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_slots": 0}, "`num_slots` must be a whole number of at least 1; got 0"),
        ({"num_slots": True}, "`num_slots` must be a whole number of at least 1; got True"),
        ({"num_cpus": -1}, "`num_cpus` must be a finite number of at least 0; got -1"),
        ({"num_gpus": "1"}, "`num_gpus` must be a finite number of at least 0; got '1'"),
        (
            {"resources": {"phone": float("nan")}},
            "`resources['phone']` must be a finite number of at least 0; got nan",
        ),
        ({"start_timeout_seconds": "60"}, "`start_timeout_seconds` must be a finite number of at least 0; got '60'"),
    ],
)
def test_numbers_out_of_range(options, text):
    with pytest.raises(ConfigError, match=re.escape(text)):
        RayExecutor(**options)


def test_a_process_is_in_one_cluster(start, cluster):
    with pytest.raises(
        ConfigError, match=r"connected to the Ray cluster at .*, and cannot use the one at 127\.0\.0\.1:1"
    ):
        start("misbehave", address="127.0.0.1:1")
    with pytest.raises(ConfigError, match="cannot use the one at"):
        check_cluster("127.0.0.1:1")
    check_cluster("auto")
    [well] = run(start("misbehave", address=cluster.address), task_of(0, do=""))
    assert well.status == "complete"


ADDRESSES = [
    ("127.0.0.1:1", "ConnectionRefusedError"),
    ("no.such.host.invalid:6379", "gaierror"),
]


@pytest.mark.parametrize(("address", "why"), ADDRESSES)
def test_an_address_where_there_is_no_cluster(start, disconnected, address, why):
    message = f"cannot be reached at '{address}': .*{why}.* `ray start --head`"
    with pytest.raises(DeviceError, match=message):
        start("misbehave", address=address)
    with pytest.raises(DeviceError, match=message):
        check_cluster(address)


@pytest.mark.parametrize("says", [b"SSH-2.0-OpenSSH_9.6\r\n", b""])
def test_an_address_of_something_else(start, disconnected, says):
    """Ray itself would try for minutes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            connection.sendall(says)
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(DeviceError, match="something else than Ray answers there"):
            start("misbehave", address=f"127.0.0.1:{server.getsockname()[1]}")


@pytest.mark.parametrize("address", ["localhost:port", "nonsense", ":6379", "ray://127.0.0.1:10001"])
def test_what_is_no_address(start, disconnected, address):
    with pytest.raises(ConfigError, match=f"is 'host:port', .* or 'auto' .*; got '{address}'"):
        start("misbehave", address=address)


def test_without_an_address_there_is_a_cluster_of_its_own_for_the_whole_program(start, disconnected, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    check_cluster(None)
    seen = set()
    for number in range(2):
        executor = start("misbehave")
        assert run(executor, task_of(number, do=""))[0].status == "complete"
        seen.add(ray.get_runtime_context().gcs_address)
        executor.close()
    assert len(seen) == 1


def test_without_ray_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"needs Ray, which is not installed .* pip install 'hwnas\[ray\]'"):
        RayExecutor().start(FunctionEvaluator(f"{HERE}:misbehave"), lambda number, step, value: False)
    with pytest.raises(MissingExtraError, match="needs Ray, which is not installed"):
        check_cluster("auto")
