"""Trials on a cluster, as tasks of Ray; the only file that imports it."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from hwnas.errors import ConfigError, DeviceError, MissingExtraError
from hwnas.experiment.executor import OnReport
from hwnas.experiment.trial_clock import TrialClock, without_result
from hwnas.trial import Ended, TrialEvaluator, TrialTask
from hwnas.trial.attempt import past_limit
from hwnas.trial.evaluator import refuse_while_made
from hwnas.trial.mailbox import Mailbox
from hwnas.trial.on_cluster import evaluate_on_cluster
from hwnas.trial.worker import ended_from

__all__ = ["RayExecutor"]

_CONNECT_SECONDS = 5.0


class RayExecutor:
    """Runs every trial as a task of Ray that asks for its resources; results come as they end.

    A trial whose node or worker goes away is lost, and the engine tries it again; Ray itself tries nothing twice. One
    that runs past its time is killed with its worker. A worker process keeps its evaluator from one trial to the next.
    hwnas, and the module that an evaluation names, must be installed on every node; nothing crosses but names and JSON.

    An exclusive block is one for the whole experiment, wherever its trials run, and for each machine.

    Args:
        num_slots: trials under way at a time; those for which the cluster has no room wait there.
        address: of the cluster: "auto" for the one that runs on this machine, "host:port", or "ray://host:port"; None:
            the one in RAY_ADDRESS, or a new one on this machine, which ends with the experiment. A program that has
            called `ray.init` itself stays connected as it is.
        num_cpus: of each trial.
        num_gpus: of each trial; below 1 several share one.
        resources: of each trial, beside these: `{"phone": 1}`.
        start_timeout_seconds: how long the first trial's resources are waited for.

    Raises:
        ConfigError: a number out of range.
    """

    def __init__(
        self,
        num_slots: int = 1,
        *,
        address: str | None = None,
        num_cpus: float = 1.0,
        num_gpus: float = 0.0,
        resources: Mapping[str, float] | None = None,
        start_timeout_seconds: float = 60.0,
    ) -> None:
        if not isinstance(num_slots, int) or num_slots < 1:
            raise ConfigError(f"`num_slots` must be a whole number of at least 1; got {num_slots!r}.")
        demand = {"num_cpus": num_cpus, "num_gpus": num_gpus, **(resources or {})}
        if wrong := {name: value for name, value in demand.items() if not value >= 0}:
            raise ConfigError(f"Resources of a trial must be at least 0; got {wrong}.")
        self.num_slots = num_slots
        self._address = address
        self._demand = {"num_cpus": num_cpus, "num_gpus": num_gpus, "resources": dict(resources or {})}
        self._start_timeout_seconds = start_timeout_seconds
        self._ray: Any = None  # the module, while there is a connection
        self._is_ours = False
        self._mailbox: Any
        self._messages: Any  # of the mailbox, to come
        self._function: Any
        self._evaluator: tuple[str, str]
        self._clocks: dict[Any, TrialClock] = {}  # by Ray's reference of the task
        self._on_report: OnReport

    def start(self, evaluator: TrialEvaluator, on_report: OnReport) -> None:
        """Connect, and make the evaluator once on the cluster.

        Raises:
            MissingExtraError: Ray is not installed.
            DeviceError: there is no cluster at the address.
            ConfigError: the evaluator cannot cross or cannot be made there, or no node has a trial's resources.
        """
        refuse_while_made()
        self.close()
        reference = evaluator.reference()
        self._evaluator = (reference.factory, reference.options_json())
        self._on_report = on_report
        ray = self._ray = _imported()
        if not ray.is_initialized():
            _connect(ray, self._address)
            self._is_ours = True
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._mailbox = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
        self._messages = self._mailbox.take.remote()
        self._function = ray.remote(evaluate_on_cluster).options(max_retries=0, **self._demand)
        self._check_that_it_runs()

    def submit(self, task: TrialTask) -> None:
        """Hand the task to the cluster."""
        content = {name: getattr(task, name) for name in TrialTask.__dataclass_fields__}
        self._clocks[self._function.remote(*self._evaluator, content, self._mailbox)] = TrialClock(task)

    def wait(self, timeout_seconds: float | None = None) -> list[Ended]:
        """Attend to the cluster until an attempt has ended.

        Raises:
            ConfigError: the evaluator cannot be made on a node.
            DeviceError: the cluster is gone.
        """
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while self._clocks:
            limits = [left for clock in self._clocks.values() if (left := clock.seconds_left) is not None]
            if until is not None:
                limits.append(until - time.monotonic())
            patience = max(0.0, min(limits)) if limits else None
            ready, _ = self._ray.wait([self._messages, *self._clocks], timeout=patience)
            if self._messages in ready:
                self._hear()
            ended = [self._ended(task) for task in ready if task in self._clocks]
            ended += [self._past_limit(task) for task in list(self._clocks) if self._is_late(task)]
            if ended or (until is not None and time.monotonic() >= until):
                return ended
        return []

    def close(self) -> None:
        """Cancel what is under way; a cluster that was started or connected to is left."""
        if self._ray is None:
            return
        for task in self._clocks:
            self._cancel(task)
        self._clocks.clear()
        with contextlib.suppress(Exception):  # the cluster may be what has gone
            self._ray.kill(self._mailbox)
        if self._is_ours:
            self._ray.shutdown()
        self._ray, self._is_ours = None, False

    def _check_that_it_runs(self) -> None:
        made = self._function.remote(*self._evaluator, None, self._mailbox)
        ready, _ = self._ray.wait([made], timeout=self._start_timeout_seconds)
        if not ready:
            has = {name: n for name, n in self._ray.cluster_resources().items() if ":" not in name}
            self._cancel(made)
            raise ConfigError(
                f"No node of the cluster had a trial's resources within {self._start_timeout_seconds:g} seconds: a "
                f"trial needs {self._demand}, the cluster has {has}. Ask for less, add nodes, or wait longer "
                "(`start_timeout_seconds`)."
            )
        try:
            self._check_made(self._ray.get(made))
        except self._ray.exceptions.RayError as error:
            raise ConfigError(
                f"The cluster cannot evaluate: {_first_line(error)} hwnas must be installed on every node, in the same "
                "version."
            ) from error

    def _check_made(self, result: Mapping[str, Any]) -> None:
        if "cannot" in result:
            raise ConfigError(
                f"The evaluator cannot be made on the cluster: {result['cannot']}. What it needs must be installed on "
                "every node, and its files be there under the same paths."
            )

    def _hear(self) -> None:
        try:
            messages = self._ray.get(self._messages)
        except self._ray.exceptions.RayError as error:
            raise DeviceError(
                f"The experiment has lost its trials: {_first_line(error)} Run it again: it goes on where it was."
            ) from error
        self._messages = self._mailbox.take.remote()
        clocks = {(clock.task.number, clock.task.attempt): clock for clock in self._clocks.values()}
        for message in messages:
            attempted = tuple(message["attempted"])
            clock = clocks.get(attempted)
            if clock is None:  # it has ended since, or was cancelled
                continue
            if message["kind"] == "waits":
                clock.turn(on=not message["waits"])
            else:
                stop = self._on_report(clock.task.number, message["step"], message["value"])
                self._mailbox.answer.remote(attempted, stop)

    def _ended(self, task: Any) -> Ended:
        clock = self._clocks.pop(task)
        try:
            result = self._ray.get(task)
        except self._ray.exceptions.RayError as error:  # Ray's own: the evaluation's are told as results
            self._mailbox.leave.remote((clock.task.number, clock.task.attempt))
            return without_result(clock, "lost", f"The worker was lost ({_first_line(error).rstrip('.')})")
        self._check_made(result)
        return ended_from(result["ended"])

    def _is_late(self, task: Any) -> bool:
        left = self._clocks[task].seconds_left
        return left is not None and left <= 0

    def _past_limit(self, task: Any) -> Ended:
        clock = self._clocks.pop(task)
        self._cancel(task)
        self._mailbox.leave.remote((clock.task.number, clock.task.attempt))
        return without_result(clock, "failed", past_limit(clock.task))

    def _cancel(self, task: Any) -> None:
        with contextlib.suppress(Exception):  # it may have ended, or the cluster have gone
            self._ray.cancel(task, force=True)


def _imported() -> Any:
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise MissingExtraError(
            f"The executor 'ray' needs Ray, which is not installed ({error}). Install it: pip install 'hwnas[ray]'; or "
            "use the executor 'processes'."
        ) from error
    return ray


def _connect(ray: Any, address: str | None) -> None:
    """Connect to a cluster, or start one on this machine.

    Raises:
        DeviceError: there is none.
    """
    wanted = address or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False, "configure_logging": False}
    try:
        if wanted is None or wanted == "local":
            ray.init(address="local", include_dashboard=False, **options)
        else:
            _check_that_someone_listens(wanted)
            ray.init(address=wanted, **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise DeviceError(
            f"Ray cannot be reached at {wanted!r}: {_first_line(error)} Start a cluster there with `ray start --head`, "
            "give the address that it prints, or give none for one on this machine."
        ) from error


def _check_that_someone_listens(address: str) -> None:
    """Ray itself tries for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        if not port.isdigit():
            raise ValueError(f"an address is written 'host:port', and {port!r} is no port.")
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if text.endswith(".") else text + "."
