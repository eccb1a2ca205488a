"""Trials on a cluster, as tasks of Ray."""

from __future__ import annotations

import contextlib
import math
import time
import uuid
import warnings
from collections.abc import Mapping
from typing import Any

from hwnas.arguments import finite_number, whole_number
from hwnas.errors import ConfigError, DeviceError
from hwnas.experiment.executor import OnReport
from hwnas.experiment.ray_cluster import connected, first_line, has_node_for, resources_text
from hwnas.experiment.trial_clock import TrialClock, without_result
from hwnas.trial import Ended, TrialEvaluator, TrialTask
from hwnas.trial.attempt import past_limit
from hwnas.trial.evaluator import refuse_while_made
from hwnas.trial.gate import Gate
from hwnas.trial.mailbox import Attempted, Mailbox
from hwnas.trial.on_cluster import evaluate_on_cluster

__all__ = ["RayExecutor"]

_GATE = "hwnas: exclusive blocks, 1"  # the name of the cluster's; another number for another protocol
_HEAD = "node:__internal_head__"  # a resource of the node that a cluster ends with
_NO_NODE = "no node"
_LOOK_SECONDS = 1.0  # how often to look whether trials wait for room


class RayExecutor:
    """Runs every trial as a task of Ray that asks for its resources; results come as they end.

    A trial whose node or worker goes away is lost, and the engine tries it again; Ray itself tries nothing twice. One
    that runs past its time is killed with its worker. A worker process keeps its evaluator from one trial to the next.
    hwnas, and the module that an evaluation names, must be installed on every node; nothing crosses but names and JSON.

    An exclusive block is one for the whole cluster, whichever experiments its trials are of, and for each machine.

    Args:
        num_slots: trials under way at a time; those for which the cluster has no room wait there, which a warning says.
        address: of the cluster: "auto" for the one that runs on this machine, or "host:port" of one that this machine
            is in; None: the one in RAY_ADDRESS, or a new one on this machine. A program that is connected to Ray stays
            connected as it is, until it ends.
        num_cpus: of each trial.
        num_gpus: of each trial; below 1 several share one.
        resources: of each trial, beside these: `{"phone": 1}`.
        start_timeout_seconds: how long a node is waited for that has a trial's resources, were it idle, and after how
            long a warning says that trials wait for room.

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
        self.num_slots = whole_number("num_slots", num_slots, at_least=1)
        num_cpus = finite_number("num_cpus", num_cpus, at_least=0)
        num_gpus = finite_number("num_gpus", num_gpus, at_least=0)
        own = {name: finite_number(f"resources[{name!r}]", it, at_least=0) for name, it in (resources or {}).items()}
        demand = {"CPU": num_cpus, "GPU": num_gpus, **own}
        self._address = address
        self._demand = {name: needed for name, needed in demand.items() if needed}
        self._options = {"num_cpus": num_cpus, "num_gpus": num_gpus, "resources": own}
        self._start_timeout_seconds = finite_number("start_timeout_seconds", start_timeout_seconds, at_least=0)
        self._ray: Any = None  # the module, while there is a connection
        self._experiment: str  # what tells its trials from others'
        self._mailbox: Any
        self._messages: Any  # of the mailbox, to come
        self._gate: Any
        self._function: Any
        self._evaluator: tuple[str, str]
        self._clocks: dict[Any, TrialClock] = {}  # by Ray's reference of the task
        self._waiting: dict[Attempted | None, float] = {}  # since when; None: the evaluator is to be made
        self._said: set[str] = set()  # of what waits
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
        ray = self._ray = connected(self._address)
        self._experiment = uuid.uuid4().hex
        here = ray.get_runtime_context().get_node_id()
        self._mailbox = self._actor(Mailbox, here)
        self._messages = self._mailbox.take.remote()
        head = next((node["NodeID"] for node in ray.nodes() if _HEAD in node["Resources"]), here)
        self._gate = self._actor(
            Gate,
            head,
            name=_GATE,
            namespace="hwnas",
            get_if_exists=True,
            lifetime="detached",
            max_restarts=-1,
            max_task_retries=-1,
        )
        self._function = ray.remote(evaluate_on_cluster).options(max_retries=0, **self._options)
        self._check_that_it_runs()

    def submit(self, task: TrialTask) -> None:
        """Hand the task to the cluster."""
        self._clocks[self._called(task.to_json())] = TrialClock(task)
        self._waiting[task.number, task.attempt] = time.monotonic()

    def wait(self, timeout_seconds: float | None = None) -> list[Ended]:
        """Attend to the cluster until an attempt has ended.

        Raises:
            ConfigError: the evaluator cannot be made on a node.
            DeviceError: the cluster is gone.
        """
        until = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
        while self._clocks:
            limits = [left for clock in self._clocks.values() if (left := clock.seconds_left) is not None]
            ready = self._attend(list(self._clocks), min(*limits, until - time.monotonic(), math.inf))
            ended = [self._ended(task) for task in ready if task in self._clocks]
            ended += [self._past_limit(task) for task in list(self._clocks) if self._is_late(task)]
            if ended or time.monotonic() >= until:
                return ended
            self._say_what_waits()
        return []

    def close(self) -> None:
        """Cancel what is under way; the process stays connected."""
        if self._ray is None:
            return
        for task in self._clocks:
            self._cancel(task)
        self._clocks.clear()
        self._waiting.clear()
        self._said.clear()
        with contextlib.suppress(Exception):  # the cluster may be what has gone
            self._ray.kill(self._mailbox)
        self._ray = None

    def _actor(self, kind: type, node_id: str, **options: Any) -> Any:
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id, soft=False)
        return self._ray.remote(kind).options(num_cpus=0, scheduling_strategy=strategy, **options).remote()

    def _called(self, content: Mapping[str, Any] | None) -> Any:
        return self._function.remote(*self._evaluator, content, self._experiment, self._mailbox, self._gate)

    def _check_that_it_runs(self) -> None:
        if not has_node_for(self._ray, self._demand):
            warnings.warn(f"{self._no_node} It is waited for {self._start_timeout_seconds:g} seconds.", stacklevel=2)
        until = time.monotonic() + self._start_timeout_seconds
        self._waiting[None] = time.monotonic()
        made = self._called(None)
        while made not in self._attend([made], until - time.monotonic() if None in self._waiting else math.inf):
            if None in self._waiting and time.monotonic() >= until and not has_node_for(self._ray, self._demand):
                self._cancel(made)
                raise ConfigError(
                    f"{self._no_node} Ask for less, add nodes, or wait longer (`start_timeout_seconds`, which is "
                    f"{self._start_timeout_seconds:g})."
                )
            self._say_what_waits()
        try:
            self._check_made(self._ray.get(made))
        except self._ray.exceptions.RayError as error:
            raise ConfigError(
                f"The cluster cannot evaluate: {first_line(error)} hwnas must be installed on every node, in the same "
                "version."
            ) from error
        self._waiting.clear()
        self._said.clear()

    def _check_made(self, result: Mapping[str, Any]) -> None:
        if "cannot" in result:
            raise ConfigError(
                f"The evaluator cannot be made on the cluster, on the node {result['node']!r}: {result['cannot']}. "
                "What it needs must be installed on every node, and its files be there under the same paths."
            )

    def _attend(self, tasks: list[Any], seconds: float) -> list[Any]:
        """Hear what trials say, until one of the tasks has ended, or a while has passed; those that have."""
        patience = max(0.0, min(seconds, _LOOK_SECONDS))
        ready, _ = self._ray.wait([self._messages, *tasks], timeout=patience)
        if self._messages in ready:
            self._hear()
        return [task for task in ready if task in tasks]

    def _hear(self) -> None:
        try:
            messages = self._ray.get(self._messages)
        except self._ray.exceptions.RayError as error:
            raise DeviceError(
                f"The cluster has gone, or the process there that the trials talk to: {first_line(error)} Run the "
                "experiment again: it goes on where it was."
            ) from error
        self._messages = self._mailbox.take.remote()
        clocks = {(clock.task.number, clock.task.attempt): clock for clock in self._clocks.values()}
        for message in messages:
            attempted = message["attempted"]
            if message["kind"] == "began":
                self._waiting.pop(attempted, None)
                self._said.discard(_NO_NODE)
            elif (clock := clocks.get(attempted)) is None:  # it has ended since, or was cancelled
                continue
            elif message["kind"] == "waits":
                clock.turn(on=not message["waits"])
            else:
                stop = self._on_report(clock.task.number, message["step"], message["value"])
                self._mailbox.answer.remote(attempted, stop)

    def _ended(self, task: Any) -> Ended:
        try:
            result = self._ray.get(task)
        except self._ray.exceptions.RayError as error:  # Ray's own: the evaluation's are told as results
            return without_result(self._end(task), "lost", f"The worker was lost ({first_line(error).rstrip('.')})")
        self._check_made(result)
        clock = self._clocks.pop(task)
        self._waiting.pop((clock.task.number, clock.task.attempt), None)
        return Ended.from_json(result["ended"])

    def _is_late(self, task: Any) -> bool:
        left = self._clocks[task].seconds_left
        return left is not None and left <= 0

    def _past_limit(self, task: Any) -> Ended:
        self._cancel(task)
        clock = self._end(task)
        return without_result(clock, "failed", past_limit(clock.task))

    def _end(self, task: Any) -> TrialClock:
        """Forget a task that did not end by itself."""
        clock = self._clocks.pop(task)
        attempted = (clock.task.number, clock.task.attempt)
        self._waiting.pop(attempted, None)
        self._mailbox.leave.remote(attempted)
        self._gate.end.remote((self._experiment, *attempted))
        return clock

    def _cancel(self, task: Any) -> None:
        with contextlib.suppress(Exception):  # it may have ended, or the cluster have gone
            self._ray.cancel(task, force=True)

    def _say_what_waits(self) -> None:
        """Once each: trials wait for room on a cluster that has less than was asked for, or has lost nodes."""
        if not self._waiting or time.monotonic() - min(self._waiting.values()) < self._start_timeout_seconds:
            return
        if not has_node_for(self._ray, self._demand):
            reason, text = _NO_NODE, f"{self._no_node} Trials wait for one."
        else:
            num = len(self._waiting)
            who = (
                "The first trial waits" if None in self._waiting else f"{num} trial{'s wait' if num > 1 else ' waits'}"
            )
            reason, text = "no room", f"{who} for room on the cluster, or a worker there: each needs {self._resources}."
        if reason not in self._said:
            self._said.add(reason)
            warnings.warn(text, stacklevel=3)

    @property
    def _resources(self) -> str:
        return resources_text(self._ray, self._demand)

    @property
    def _no_node(self) -> str:
        return f"No node of the cluster has what a trial needs: {self._resources}."
