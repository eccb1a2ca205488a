"""What was measured on one device, visit by visit, in one SQLite file.

A visit is one item (a block or a whole network) measured once, beside the reference model. Every finished visit is
committed at once, so that a killed session loses at most the visit it was in. The file also keeps the reference model
itself: whoever verifies a network later measures it beside the very same model.
"""

from __future__ import annotations

import dataclasses
import json
import os
import zlib
from typing import Literal

from hwnas.errors import StoreError
from hwnas.measurement import Fingerprint
from hwnas.store.database import Database, Schema

__all__ = ["ItemKind", "MeasurementStore", "Visit"]

ItemKind = Literal["block", "network"]

_SCHEMA = Schema(
    application_id=0x68776D73,  # "hwms"
    name="a table of measurements",
    migrations=[
        """
        CREATE TABLE visits (
            key TEXT NOT NULL,
            round INTEGER NOT NULL,
            kind TEXT NOT NULL,
            samples_ms TEXT NOT NULL,
            references_ms TEXT NOT NULL,
            steady TEXT NOT NULL,
            finished TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
            PRIMARY KEY (key, round)
        );
        CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
        CREATE TABLE models (name TEXT PRIMARY KEY, onnx BLOB NOT NULL)
        """
    ],
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Visit:
    """One item measured once: samples as the clock gave them, each with the reference's around it.

    Attributes:
        key: the item's key, unique in its store.
        round: the number of the visit's round, from 0; the retest is -1.
        kind: a block, or a whole network for calibration.
        samples_ms: the median run of every slice.
        references_ms: the reference's time beside every slice, interpolated to it.
        steady: for every sample, whether the reference stood still (within 3 %) around it.
    """

    key: str
    round: int
    kind: ItemKind
    samples_ms: tuple[float, ...]
    references_ms: tuple[float, ...]
    steady: tuple[bool, ...]


class MeasurementStore(Database):
    """The measurements of one device and one procedure, in a file of their own.

    Args:
        path: the SQLite file; made when it does not exist and `write` is true.
        write: be the file's one writer; readers never disturb it.

    Raises:
        StoreError: as `Database` does.
    """

    def __init__(self, path: str | os.PathLike[str], *, write: bool = True) -> None:
        super().__init__(path, _SCHEMA, write=write)

    def bind(self, fingerprint: Fingerprint) -> None:
        """Tie the store to `fingerprint`, the first time; refuse another one ever after.

        Raises:
            FingerprintError: the store was filled elsewhere or otherwise; names the differing field.
        """
        known = self.fingerprint
        if known is None:
            self.set_fact("fingerprint", fingerprint.to_json())
        else:
            known.require_same(fingerprint, what=f"The table {self.path}")

    @property
    def fingerprint(self) -> Fingerprint | None:
        """Where this was measured; None before `bind`.

        Raises:
            StoreError: what is kept is damaged.
        """
        fields = self.fact("fingerprint")
        try:
            return None if fields is None else Fingerprint(**fields)
        except TypeError as error:
            raise self.damaged(fields, "a fingerprint") from error

    def add(self, visit: Visit) -> None:
        """Write a finished visit; it is on disk when this returns.

        Raises:
            StoreError: the visit is already there: a defect of the caller, never overwritten.
        """
        if self.execute("SELECT 1 FROM visits WHERE key = ? AND round = ?", (visit.key, visit.round)):
            raise StoreError(
                f"{self.path} already has round {visit.round} of {visit.key}; a finished measurement is never replaced."
            )
        numbers = [json.dumps(values) for values in (visit.samples_ms, visit.references_ms, visit.steady)]
        self.execute(
            "INSERT INTO visits (key, round, kind, samples_ms, references_ms, steady) VALUES (?, ?, ?, ?, ?, ?)",
            (visit.key, visit.round, visit.kind, *numbers),
        )

    def visits(self) -> list[Visit]:
        """All finished visits, ordered by key and round (not by time: a resumed session reads the same).

        Raises:
            StoreError: one of them is damaged.
        """
        rows = self.execute(
            "SELECT key, round, kind, samples_ms, references_ms, steady FROM visits ORDER BY key, round"
        )
        return [
            Visit(
                key=key,
                round=number,
                kind=kind,
                samples_ms=tuple(self.json(samples)),
                references_ms=tuple(self.json(references)),
                steady=tuple(self.json(steady)),
            )
            for key, number, kind, samples, references, steady in rows
        ]

    def model(self, name: str) -> bytes | None:
        """The ONNX file kept under `name`; None where there is none.

        Raises:
            StoreError: it is damaged.
        """
        rows = self.execute("SELECT onnx FROM models WHERE name = ?", (name,))
        try:
            return zlib.decompress(rows[0][0]) if rows else None
        except zlib.error as error:
            raise self.damaged(rows[0][0], "a compressed model") from error

    def set_model(self, name: str, onnx: bytes) -> None:
        """Keep an ONNX file (compressed) under `name`, in place of what was there."""
        blob = zlib.compress(onnx, 6)
        self.execute("INSERT OR REPLACE INTO models (name, onnx) VALUES (?, ?)", (name, blob))
