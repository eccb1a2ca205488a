"""What was tried in one run: trials in the order in which they were asked for, and facts, in one SQLite file.

A trial is on disk before the strategy is told of it, so that a killed run is restored by telling a new strategy the
same history again. Facts are whatever else must not be done twice: a measured candidate, a finished phase.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from hwnas.errors import StoreError
from hwnas.store.database import Database, Schema

__all__ = ["Trial", "TrialStore"]

_SCHEMA = Schema(
    application_id=0x68777472,  # "hwtr"
    name="a run's trials",
    migrations=[
        """
        CREATE TABLE trials (
            study TEXT NOT NULL,
            number INTEGER NOT NULL,
            architecture TEXT NOT NULL,
            fidelity TEXT NOT NULL,
            batch_index INTEGER NOT NULL,
            score REAL NOT NULL,
            loss REAL NOT NULL,
            correct BLOB,
            num_images INTEGER NOT NULL,
            finished TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
            PRIMARY KEY (study, number)
        );
        CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)
        """,
        "ALTER TABLE trials RENAME COLUMN correct TO scores",  # a task's scores need not be right or wrong
    ],
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One evaluated architecture.

    Attributes:
        study: the search within the run (one for each set of budgets, and one for each rival).
        number: its place in the order in which the study asked.
        architecture: as JSON.
        fidelity: how it was scored.
        batch_index: on which batch, for the quick fidelity.
        score: what the strategy maximises.
        loss: the task's mean loss.
        scores: of every image: packed bits where all are 0 or 1, else 4 bytes each; None where there are none.
        num_images: how many scores there are.
    """

    study: str
    number: int
    architecture: Any
    fidelity: str
    batch_index: int
    score: float
    loss: float
    scores: bytes | None = None
    num_images: int = 0


class TrialStore(Database):
    """The trials and facts of one run.

    Args:
        path: the SQLite file; made when it does not exist and `write` is true.
        write: be the file's one writer; readers never disturb it.

    Raises:
        StoreError: as `Database` does.
    """

    def __init__(self, path: str | os.PathLike[str], *, write: bool = True) -> None:
        super().__init__(path, _SCHEMA, write=write)

    def add(self, trial: Trial) -> None:
        """Write a finished trial; it is on disk when this returns.

        Raises:
            StoreError: that number of the study is already there, or the disk is full.
        """
        taken = "SELECT 1 FROM trials WHERE study = ? AND number = ?"
        if self.execute(taken, (trial.study, trial.number)):
            raise StoreError(f"{self.path} already has trial {trial.number} of {trial.study!r}; none is ever replaced.")
        fields = dataclasses.asdict(trial) | {"architecture": json.dumps(trial.architecture, sort_keys=True)}
        names = ", ".join(fields)
        marks = ", ".join("?" for _ in fields)
        self.execute(f"INSERT INTO trials ({names}) VALUES ({marks})", tuple(fields.values()))

    def trials(self, study: str) -> list[Trial]:
        """The finished trials of a study, in the order in which they were asked for."""
        names = [field.name for field in dataclasses.fields(Trial)]
        rows = self.execute(f"SELECT {', '.join(names)} FROM trials WHERE study = ? ORDER BY number", (study,))
        records = [dict(zip(names, row, strict=True)) for row in rows]
        return [Trial(**(record | {"architecture": json.loads(record["architecture"])})) for record in records]
