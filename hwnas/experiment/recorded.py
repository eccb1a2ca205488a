"""An experiment as its folder has it: how far it is, what it found. Reading disturbs nobody, also while it runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from hwnas.errors import RunDirectoryError
from hwnas.experiment.metric import SCORE, Metric, outcome_of_trial
from hwnas.experiment.run_directory import STORE_NAME
from hwnas.experiment.standings import Found, Standings, TrialFront, found
from hwnas.experiment.status import Session, Status, status_of
from hwnas.space import Architecture
from hwnas.store import Trial, TrialStore

__all__ = ["RecordedExperiment", "read_experiment"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RecordedExperiment:
    """What a folder held when it was read.

    Attributes:
        study: which search of the run it is.
        metrics: what was wanted; the first is the score.
        trials: in the order in which they were asked for.
        standings: of those that have ended.
        status: how far it was.
    """

    study: str
    metrics: tuple[Metric, ...]
    trials: tuple[Trial, ...]
    standings: Standings
    status: Status

    def top(self, k: int) -> list[Found]:
        """The `k` best architectures, the best first; of one that was evaluated several times its best trial."""
        best: dict[Architecture, tuple[tuple[float, ...], Found]] = {}
        for trial in self.trials:
            if trial.status == "complete":
                outcome = outcome_of_trial(trial, self.metrics)
                one = found(trial, outcome.violation)
                if one.architecture not in best or outcome.rank > best[one.architecture][0]:
                    best[one.architecture] = (outcome.rank, one)
        ranked = sorted(best.values(), key=lambda entry: entry[0], reverse=True)  # stable: of equals the earlier
        return [one for _, one in ranked[:k]]

    def front(self) -> TrialFront:
        """The trials that no other one beats in every metric."""
        return self.standings.front()


def read_experiment(directory: str | Path, study: str | None = None) -> RecordedExperiment:
    """Read an experiment, or one search of the main job, from its folder.

    Args:
        directory: the run's folder.
        study: which search of the run; the first if not given.

    Raises:
        RunDirectoryError: the folder holds no run, or no such search.
        StoreError: the run's database is damaged, or of another version.
    """
    path = Path(directory) / STORE_NAME
    if not path.exists():
        raise RunDirectoryError(f"{directory} holds no run ({STORE_NAME} is missing). Give the folder of one.")
    with TrialStore(path, write=False) as store, store.snapshot():
        known = store.studies()
        if study is None and known:
            study = known[0]
        if study not in known:
            has = f"its searches are {', '.join(map(repr, known))}" if known else "none was begun"
            raise RunDirectoryError(f"The run in {directory} has no search {study!r}: {has}.")
        configuration: dict[str, Any] = store.fact("configuration") or {}
        metrics = tuple(Metric(**fields) for fields in configuration.get("metrics", ())) or SCORE
        trials = store.trials(study)
        events = [event for event in store.events(study) if event.kind in ("began", "ended")]
        seconds = store.seconds(study)
    standings = Standings(metrics)
    for trial in trials:
        if trial.status != "running":
            standings.add(trial, outcome_of_trial(trial, metrics))
    last = max((place for place, event in enumerate(events) if event.kind == "began"), default=None)
    session = (
        Session()
        if last is None
        else Session(
            **events[last].content, num_ended=len(events) - last - 1, seconds=events[-1].time - events[last].time
        )
    )
    num_running = sum(trial.status == "running" for trial in trials)
    status = status_of(standings, session, num_running=num_running, seconds_elapsed=seconds)
    return RecordedExperiment(study=study, metrics=metrics, trials=tuple(trials), standings=standings, status=status)
