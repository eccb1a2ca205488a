"""What was tried in one run: trials, the order of everything that happened to them, and facts, in one SQLite file.

Every event is on disk before it is acted on: a proposal before it is evaluated, an outcome before the strategy is told
of it. A killed run is restored by asking and telling a new strategy in the order of the events. Facts are whatever else
must not be done twice: a measured candidate, a finished phase.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, Literal, get_args

from hwnas.errors import StoreError
from hwnas.store.database import Database
from hwnas.store.trial_schema import TRIAL_SCHEMA

__all__ = ["Event", "EventKind", "Trial", "TrialStatus", "TrialStore"]

TrialStatus = Literal["running", "complete", "failed", "stopped", "refused"]
"""Asked for and not yet ended; with metrics; with an error; given up early; over budget, and so never begun."""

EventKind = Literal["began", "asked", "none", "started", "reported", "interrupted", "ended"]
"""A process began to work on the study; the strategy proposed a trial, whose first attempt this is; it proposed none;
a further attempt; an intermediate value; an attempt was given up with its process, in good order; a trial ended."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One evaluation that a strategy asked for, and what came of it.

    Attributes:
        study: the search within the run (one for each set of budgets, and one for each rival).
        number: its place in the order in which the study asked.
        architecture: as JSON.
        fidelity: how it was to be scored.
        batch_index: on which batch, for the quick fidelity.
        repeat: how often it was asked for before.
        status: see `TrialStatus`.
        attempts: how often it was begun.
        costs: what profilers say of it, by name.
        metrics: what the evaluation gave, by name; empty unless it is complete.
        score: what the strategy was told, larger is better; NaN unless it is complete.
        loss: the task's mean loss; NaN where there is none.
        scores: of every image: packed bits where all are 0 or 1, else 4 bytes each; None where there are none.
        num_images: how many scores there are.
        error: why it failed.
        seconds: how long its last attempt took; of no account for equality.
    """

    study: str
    number: int
    architecture: Any
    fidelity: str = "full"
    batch_index: int = 0
    repeat: int = 0
    status: TrialStatus = "running"
    attempts: int = 1
    costs: Mapping[str, float] = dataclasses.field(default_factory=dict)
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    score: float = math.nan
    loss: float = math.nan
    scores: bytes | None = None
    num_images: int = 0
    error: str = ""
    seconds: float = dataclasses.field(default=0.0, compare=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        sequence: its place among all events of the file, from 1.
        number: of the trial; -1 for what concerns none ("began", "none").
        kind: see `EventKind`.
        content: of "reported" `{"step", "value", "stop"}`, of "started" `{"attempt"}`, of "ended" `{"status"}`, of
            "began" whatever the process was to do, and its id.
        time: when, in seconds since 1970.
    """

    sequence: int
    number: int
    kind: EventKind
    content: Mapping[str, Any]
    time: float


# What this program writes: the fields of a trial, as Python has them, and what is in an event, by its kind.
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("architecture", "costs", "metrics"), dict),
    **dict.fromkeys(("fidelity", "error"), str),
    **dict.fromkeys(("batch_index", "repeat", "attempts", "num_images"), int),
    **dict.fromkeys(("score", "loss", "seconds"), float),
    "scores": (bytes, NoneType),
}
_CONTENTS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    **{kind: {} for kind in get_args(EventKind)},
    "started": {"attempt": int},
    "reported": {"step": int, "value": (int, float), "stop": bool},
    "ended": {"status": str},
}
_COLUMNS = tuple(field.name for field in dataclasses.fields(Trial))
_ASK = f"INSERT INTO trials ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_TRIALS = f"""
    SELECT {", ".join(_COLUMNS)}, num_asked, num_ended
    FROM trials LEFT JOIN (
        SELECT number, sum(kind = 'asked') AS num_asked, sum(kind = 'ended') AS num_ended
        FROM events WHERE study = ?1 GROUP BY number
    ) USING (number)
    WHERE study = ?1 ORDER BY number
"""
_EVENTS = """
    SELECT sequence, number, kind, content, time, (SELECT count(*) FROM trials WHERE study = ?1)
    FROM events WHERE study = ?1 AND sequence > ?2 ORDER BY sequence
"""
_END = """
    UPDATE trials SET status = ?, metrics = ?, score = ?, loss = ?, scores = ?, num_images = ?, error = ?, seconds = ?
    WHERE study = ? AND number = ? AND status = 'running' RETURNING number
"""
_SECONDS = """
    SELECT total(max(0.0, time - before))
    FROM (SELECT kind, time, lag(time) OVER (ORDER BY sequence) AS before FROM events
        WHERE study = ?1 AND sequence >= (
            SELECT min(sequence) FROM events WHERE study = ?1 AND kind = 'began' AND sequence >= ?2))
    WHERE kind != 'began'
"""
_APPEND = "INSERT INTO events (study, number, kind, content, time) VALUES (?, ?, ?, ?, ?) RETURNING sequence"


class TrialStore(Database):
    """The trials, events and facts of one run.

    Every method that writes is one transaction, on disk when it returns: whatever becomes of the process, its events
    are kept. It returns the sequence number of its (last) event.

    Args:
        path: the SQLite file; made when it does not exist and `write` is true.
        write: be the file's one writer; readers never disturb it.

    Raises:
        StoreError: as `Database` does.
    """

    def __init__(self, path: str | os.PathLike[str], *, write: bool = True) -> None:
        super().__init__(path, TRIAL_SCHEMA, write=write, synchronous="NORMAL")

    def begin(self, study: str, content: Mapping[str, Any]) -> int:
        """A process begins to work on the study; `content` says what it is to do."""
        return self._append(study, -1, "began", content)

    def ask(self, trial: Trial) -> int:
        """A new trial: "running", or "refused" or "failed" before it was begun, and so ended already.

        Raises:
            StoreError: that number of the study is already there.
        """
        if self.execute("SELECT 1 FROM trials WHERE study = ? AND number = ?", (trial.study, trial.number)):
            raise StoreError(f"{self.path} already has trial {trial.number} of {trial.study!r}; none is ever replaced.")
        with self.transaction():
            self.execute(_ASK, [_stored(name, getattr(trial, name)) for name in _COLUMNS])
            sequence = self._append(trial.study, trial.number, "asked", {})
            if trial.status != "running":
                sequence = self._append(trial.study, trial.number, "ended", {"status": trial.status})
        return sequence

    def none(self, study: str) -> int:
        """The strategy was asked and had no proposal, for it waits for outcomes."""
        return self._append(study, -1, "none", {})

    def start(self, study: str, number: int, attempt: int) -> int:
        """A further attempt at a running trial begins."""
        with self.transaction():
            self.execute("UPDATE trials SET attempts = ? WHERE study = ? AND number = ?", (attempt, study, number))
            return self._append(study, number, "started", {"attempt": attempt})

    def report(self, study: str, number: int, *, step: int, value: float, stop: bool) -> int:
        """An intermediate value of a running trial, and whether the trial is to stop."""
        return self._append(study, number, "reported", {"step": step, "value": value, "stop": stop})

    def interrupt(self, study: str, number: int) -> int:
        """The attempt under way at a trial ends with its process, by the user's will: it does not count."""
        with self.transaction():
            self.execute(
                "UPDATE trials SET attempts = attempts - 1 WHERE study = ? AND number = ? AND status = 'running'",
                (study, number),
            )
            return self._append(study, number, "interrupted", {})

    def end(self, trial: Trial) -> int:
        """A running trial has ended, as `trial` says; of it only what came of the evaluation is written.

        Raises:
            StoreError: it is not running: what has ended is never replaced.
        """
        names = ("status", "metrics", "score", "loss", "scores", "num_images", "error", "seconds", "study", "number")
        with self.transaction():
            if not self.execute(_END, [_stored(name, getattr(trial, name)) for name in names]):
                raise StoreError(
                    f"Trial {trial.number} of {trial.study!r} in {self.path} is not running; none is ever replaced."
                )
            return self._append(trial.study, trial.number, "ended", {"status": trial.status})

    def trials(self, study: str) -> list[Trial]:
        """The trials of a study, in the order in which they were asked for.

        Raises:
            StoreError: one of them, or what the events say of it, was damaged where SQLite does not notice.
        """
        self.require_current()
        rows = self.execute(_TRIALS, (study,))
        return [self._trial(row, place, f"trial {place} of {study!r}") for place, row in enumerate(rows)]

    def events(self, study: str, *, after: int = 0) -> Iterator[Event]:
        """The events of a study in their order, those whose sequence number is above `after`.

        Raises:
            StoreError: one of them was damaged where SQLite does not notice.
        """
        self.require_current()
        for sequence, number, kind, text, when, num_trials in self.execute(_EVENTS, (study, after)):
            content, wanted = self.json(text), _CONTENTS.get(kind)
            if (
                wanted is None
                or number not in (range(-1, 0) if kind in ("began", "none") else range(num_trials))
                or not isinstance(content, dict)
                or not all(isinstance(content.get(name), of) for name, of in wanted.items())
                or not isinstance(when, float)
                or not math.isfinite(when)
            ):
                raise self.damaged((number, kind, text, when), f"event {sequence} of {study!r}")
            yield Event(sequence=sequence, number=number, kind=kind, content=content, time=when)

    def studies(self) -> list[str]:
        """The names of all studies, in the order in which they began."""
        self.require_current()
        names = [name for (name,) in self.execute("SELECT study FROM events GROUP BY study ORDER BY min(sequence)")]
        for name in names:
            if not isinstance(name, str):
                raise self.damaged(name, "the name of a study")
        return names

    def seconds(self, study: str, *, since: int = 0) -> float:
        """How long processes have worked on a study, each from its beginning to its last event.

        A clock that was set back takes nothing away.

        Args:
            study: which.
            since: only processes that began with the event of this sequence number, or after it.
        """
        self.require_current()
        [(seconds,)] = self.execute(_SECONDS, (study, since))
        return float(seconds)

    def _append(self, study: str, number: int, kind: EventKind, content: Mapping[str, Any]) -> int:
        sequence: int
        [(sequence,)] = self.execute(_APPEND, (study, number, kind, json.dumps(content), time.time()))
        return sequence

    def _trial(self, row: tuple[Any, ...], number: int, which: str) -> Trial:
        *fields, num_asked, num_ended = row
        record = dict(zip(_COLUMNS, fields, strict=True))
        for name in ("score", "loss"):
            record[name] = math.nan if record[name] is None else record[name]
        for name in ("architecture", "costs"):
            record[name] = self.json(record[name])
        # Of the schema before the third, whose trials all were complete, with these two numbers.
        written = record["metrics"]
        record["metrics"] = {n: record[n] for n in ("score", "loss")} if written is None else self.json(written)
        for name, kind in _KINDS.items():
            if not isinstance(record[name], kind):
                raise self.damaged(record[name], f"the {name} of {which}")
        trial = Trial(**record)
        happened = (trial.number, trial.status, num_asked, num_ended)
        expected = (number, trial.status, 1, trial.status != "running")
        if happened != expected or trial.status not in get_args(TrialStatus):
            raise self.damaged(happened, f"the number, the status and the events of {which}")
        if not all(isinstance(value, (int, float)) for value in (*trial.costs.values(), *trial.metrics.values())):
            raise self.damaged((trial.costs, trial.metrics), f"the numbers of {which}")
        if trial.scores is not None and len(trial.scores) not in (4 * trial.num_images, -(-trial.num_images // 8)):
            raise self.damaged(trial.scores, f"the scores of {trial.num_images} images in {which}")
        return trial


def _stored(name: str, value: Any) -> Any:
    """A field as its column has it: JSON for mappings, NULL for NaN."""
    if name in ("architecture", "costs", "metrics"):
        return json.dumps(value)
    return None if isinstance(value, float) and math.isnan(value) else value
