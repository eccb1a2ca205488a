"""An experiment as its folder has it: how far it is, what it found. Reading disturbs nobody, also while it runs."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from hwnas.arguments import whole_number
from hwnas.errors import ConfigError, RunDirectoryError
from hwnas.experiment.metric import SCORE, Metric, check_metrics, outcome_of_trial, recorded_outcome
from hwnas.experiment.phases import PHASE, phase_seconds
from hwnas.experiment.run_directory import CONFIGURATION, NETWORKS, STORE_NAME
from hwnas.experiment.standings import Found, Standings, TrialFront, found, thoroughness
from hwnas.experiment.status import Session, Status, status_of
from hwnas.space import Architecture
from hwnas.store import Event, Trial, TrialStore, writer_of

__all__ = ["RecordedExperiment", "RecordedRun", "read_experiment", "read_run"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RecordedExperiment:
    """What a folder held when it was read.

    Attributes:
        study: which search of the run it is.
        others: the run's other ones, in the order in which they began.
        metrics: what was wanted; the first is the score.
        trials: in the order in which they were asked for.
        standings: of those that have ended.
        status: how far it was.
    """

    study: str
    others: tuple[str, ...]
    metrics: tuple[Metric, ...]
    trials: tuple[Trial, ...]
    standings: Standings
    status: Status

    @property
    def failures(self) -> list[Trial]:
        """The trials that have failed, the latest first."""
        return [trial for trial in reversed(self.trials) if trial.status == "failed"]

    def top(self, k: int) -> list[Found]:
        """The `k` best architectures, the best first; of one that was evaluated several times its best trial.

        Those that were scored more thoroughly come before all others, for their scores are not compared.

        Raises:
            ConfigError: `k` is no whole number of at least 1.
        """
        k = whole_number("k", k, at_least=1)
        best: dict[Architecture, tuple[tuple[float, ...], Found]] = {}
        for trial in self.trials:
            if trial.status == "complete":
                outcome = outcome_of_trial(trial, self.metrics)
                rank = (thoroughness(trial), *outcome.rank)
                one = found(trial, outcome.violation, self.metrics)
                if one.architecture not in best or rank > best[one.architecture][0]:
                    best[one.architecture] = (rank, one)
        ranked = sorted(best.values(), key=lambda entry: entry[0], reverse=True)  # stable: of equals the earlier
        return [one for _, one in ranked[:k]]

    def front(self) -> TrialFront:
        """The trials that no other one equals or beats in every metric."""
        return self.standings.front()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RecordedRun:
    """What the folder of a run held when it was read: of an experiment, or of a search with everything around it.

    Attributes:
        directory: the folder.
        writer: the process id of whoever is working on it ("unknown" where it is not told); None: nobody is.
        phase: what a search is at, or was when its process ended; empty: nothing.
        phase_seconds: how long a search's finished phases took, by name.
        networks: the folders of a finished search's results, relative to the run's.
        studies: its searches of many trials, in the order in which they began.
    """

    directory: Path
    writer: str | None
    phase: str
    phase_seconds: Mapping[str, float]
    networks: tuple[str, ...]
    studies: tuple[RecordedExperiment, ...]


def read_run(directory: str | Path) -> RecordedRun:
    """Read everything that a run's folder says of its progress.

    Raises:
        RunDirectoryError: the folder holds no run, or an empty one.
        StoreError: the run's database is damaged, or of another version.
    """
    writer = writer_of(Path(directory) / STORE_NAME)
    with _opened(directory) as store:
        if store.fact(CONFIGURATION) is None:
            raise RunDirectoryError(
                f"The run in {directory} is empty: nothing was begun in it. Give the command that made it once more."
            )
        return RecordedRun(
            directory=Path(directory),
            writer=writer,
            phase=store.fact(PHASE, str) or "",
            phase_seconds=phase_seconds(store),
            networks=tuple(store.fact(NETWORKS, list) or ()),
            studies=tuple(_recorded(store, study, writer=writer) for study in store.studies()),
        )


def read_experiment(directory: str | Path, study: str | None = None) -> RecordedExperiment:
    """Read an experiment, or one search of the main job, from its folder.

    Args:
        directory: the run's folder.
        study: which search of the run; the first if not given.

    Raises:
        RunDirectoryError: the folder holds no run, or no such search.
        StoreError: the run's database is damaged, or of another version.
    """
    writer = writer_of(Path(directory) / STORE_NAME)
    with _opened(directory) as store:
        known = store.studies()
        if study is None and known:
            study = known[0]
        if study is None or study not in known:
            which = "no search of many trials" if study is None else f"no search {study!r}"
            has = f"its searches are {', '.join(map(repr, known))}" if known else "none was begun"
            raise RunDirectoryError(f"The run in {directory} has {which}: {has}.")
        return _recorded(store, study, writer=writer)


@contextlib.contextmanager
def _opened(directory: str | Path) -> Iterator[TrialStore]:
    """A run's store for reading, in one state of it."""
    path = Path(directory) / STORE_NAME
    if Path(directory).is_file():
        raise RunDirectoryError(f"{directory} is a file. Give the folder of a run.")
    if not path.exists():
        raise RunDirectoryError(f"{directory} holds no run ({STORE_NAME} is missing). Give the folder of one.")
    with TrialStore(path, write=False) as store, store.snapshot():
        yield store


def _recorded(store: TrialStore, study: str, *, writer: str | None) -> RecordedExperiment:
    metrics = _metrics(store)
    trials = store.trials(study)
    standings = Standings(metrics)
    for trial in trials:
        if trial.status != "running":
            standings.add(trial, recorded_outcome(store, trial, metrics))
    num_running = sum(trial.status == "running" for trial in trials)
    session = Session()
    events = list(store.events(study))
    seconds = store.seconds(study)
    happened = [event.kind for event in events if event.kind != "began"]
    has_finished = not num_running and happened[-1:] == ["none"]
    last = max((place for place, event in enumerate(events) if event.kind == "began"), default=None)
    if last is not None:
        pid, plan = _plan(store, events[last])
        # A process that begins just now has not begun with this study; histories of before do not say who had.
        at_work = num_running and writer is not None and pid in (None, writer)
        since_last = max(0.0, time.time() - events[-1].time) if at_work else 0.0
        seconds += since_last
        session = dataclasses.replace(
            plan,
            num_ended=sum(event.kind == "ended" for event in events[last:]),
            seconds=store.seconds(study, since=events[last].sequence) + since_last,
        )
    status = status_of(standings, session, num_running=num_running, has_finished=has_finished, seconds_elapsed=seconds)
    return RecordedExperiment(
        study=study,
        others=tuple(name for name in store.studies() if name != study),
        metrics=metrics,
        trials=tuple(trials),
        standings=standings,
        status=status,
    )


def _metrics(store: TrialStore) -> tuple[Metric, ...]:
    """What the run was to find; an experiment's configuration says it, the other ones want the score."""
    configuration = store.fact(CONFIGURATION, dict)
    if configuration is None or (configuration and "evaluator" not in configuration):
        return SCORE
    try:
        return check_metrics([Metric(**fields) for fields in configuration["metrics"]])
    except (ConfigError, KeyError, TypeError) as error:
        raise store.damaged(configuration, "the configuration") from error


def _plan(store: TrialStore, began: Event) -> tuple[str | None, Session]:
    """Which process began, where that is on record, and what it was to do."""
    plan = dict(began.content)
    pid = plan.pop("pid", None)
    if not all(value is None or isinstance(value, (int, float)) for value in began.content.values()):
        raise store.damaged(began.content, "what a process was to do")
    try:
        return None if pid is None else str(pid), Session(**plan)
    except TypeError as error:
        raise store.damaged(began.content, "what a process was to do") from error
