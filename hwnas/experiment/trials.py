"""The main job's strategies that ask: the engine without what an experiment has around it, and how its trials run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from hwnas.arguments import finite_number, whole_number
from hwnas.errors import StrategyError
from hwnas.experiment.engine import Engine
from hwnas.experiment.executor import Executor
from hwnas.experiment.executors import make_executor
from hwnas.experiment.inline import InlineExecutor
from hwnas.experiment.metric import SCORE
from hwnas.experiment.ray_cluster import check_cluster
from hwnas.experiment.standings import Standings
from hwnas.experiment.status import Status, live_status
from hwnas.store import Trial, TrialStore
from hwnas.strategy import Outcome, Strategy
from hwnas.trial import TrialEvaluator

__all__ = ["TrialOptions", "run_trials"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialOptions:
    """How the trials of a search run; a search goes on under other ones as well.

    Attributes:
        executor: `inline` for one after the other in this process, `processes` for some on this machine, or `ray`.
        address: of the Ray cluster, as of `RayExecutor`.
        concurrency: trials at a time; None: one.
        timeout_seconds: after which a trial has failed; None: it may take any time.
        max_attempts: how often a trial is begun whose process or worker dies, before it has failed.
        max_duration_seconds: after which no trial of a search is begun, all times that it ran together.

    Raises:
        ConfigError: an unknown executor, one that cannot do what is asked, or a number out of range.
    """

    executor: str = "inline"
    address: str | None = None
    concurrency: int | None = None
    timeout_seconds: float | None = None
    max_attempts: int = 3
    max_duration_seconds: float | None = None

    def __post_init__(self) -> None:
        make_executor(self.executor, self.concurrency, address=self.address)  # raises what there is to raise
        for name in ("timeout_seconds", "max_duration_seconds"):
            value = getattr(self, name)
            if value is not None:
                finite_number(name, value, above=0, otherwise="or None")
        whole_number("max_attempts", self.max_attempts, at_least=1)

    @property
    def has_workers(self) -> bool:
        """Whether trials run in other processes than this."""
        return self.executor != "inline"

    def check_reachable(self) -> None:
        """Say what is wrong with the cluster before anything is trained whose trials would need it.

        Raises:
            MissingExtraError: Ray is not installed.
            ConfigError: an address that cannot be.
            DeviceError: there is no cluster.
        """
        if self.executor == "ray":
            check_cluster(self.address)

    def make_executor(self, log_folder: Path | None) -> Executor:
        """A new executor; in line an evaluation that raises ends the search, see `run_trials`."""
        if not self.has_workers:
            return InlineExecutor(raises=(BaseException,))
        return make_executor(self.executor, self.concurrency, log_folder=log_folder, address=self.address)


def run_trials(
    strategy: Strategy,
    evaluator: TrialEvaluator,
    store: TrialStore,
    *,
    study: str,
    max_trials: int | None = None,
    options: TrialOptions | None = None,
    log_folder: Path | None = None,
    progress: Callable[[Status], None] = lambda status: None,
) -> int:
    """Ask, evaluate, write, tell, until the strategy has finished, `max_trials` are done or the time is up.

    Trials that the store already has are told again without being evaluated. In line an evaluation that raises ends the
    search with its error: with one supernet's weights and data none is expected, and the next would not do better. In
    a worker it fails its trial, as does running out of memory or of time there, and the search goes on.

    Args:
        strategy: a new one; it is told the study's history first.
        evaluator: scores one architecture; trials in workers need its `reference`.
        store: where trials are kept.
        study: the name of this search within the store.
        max_trials: how many trials the study has at most; None runs until the strategy has finished.
        options: how trials run; in line if not given.
        log_folder: where workers write what they print; None: nowhere.
        progress: told the status after every trial that is begun or ends.

    Returns:
        How many trials the study now has.

    Raises:
        ConfigError: trials are to run in workers, which cannot make the evaluator.
        RunDirectoryError: the history is not one that this strategy would have made.
        StrategyError: every trial has failed.
    """
    options = options or TrialOptions()
    standings = Standings(SCORE)
    last_error = ""

    def on_tell(trial: Trial, outcome: Outcome) -> None:
        nonlocal last_error
        last_error = trial.error or last_error
        standings.add(trial, outcome)

    engine = Engine(
        strategy,
        study=study,
        timeout_seconds=options.timeout_seconds,
        max_attempts=options.max_attempts,
        on_tell=on_tell,
    )
    engine.catch_up(store)
    seconds_before = store.seconds(study)
    limit = options.max_duration_seconds
    left = None if limit is None else max(0.0, limit - seconds_before)
    num_asked = standings.counts.total() + engine.num_running
    if left != 0.0 and (engine.num_running or max_trials is None or num_asked < max_trials):
        status = live_status(
            standings,
            engine,
            max_trials=max_trials,
            max_duration_seconds=left,
            seconds_before=seconds_before,
        )
        engine.run(
            evaluator,
            options.make_executor(log_folder),
            max_trials=max_trials,
            max_duration_seconds=left,
            on_change=lambda: progress(status()),
        )
    if standings.counts.total() and not standings.counts["complete"]:
        raise StrategyError(
            f"Of the {standings.counts.total()} trials of {study!r} none has given a score; the last said: "
            f"{last_error} Mend what is wrong and give another folder: what has failed is not tried again."
        )
    return standings.counts.total()
