"""The SQLite ground of every store: opened only after it is known to be whole and ours, written by one process.

A database file is made aside and renamed, so that it exists either completely or not at all. Before an existing file
is opened its first hundred bytes are read: a file of another program, a truncated one, or one written by a newer
hwnas is refused and left as it is. WAL mode lets readers in while the writer works.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from hwnas.errors import StoreError
from hwnas.store.lock import WriterLock

__all__ = ["Database", "Schema"]

_HEADER_BYTES = 100  # https://www.sqlite.org/fileformat2.html, section 1.3
_MAGIC = b"SQLite format 3\0"
Parameters = Sequence[str | int | float | bytes | None]


class Schema:
    """What a store's file must be.

    Args:
        application_id: SQLite's application id, a 32-bit number that tells our kinds of file apart.
        name: what the file is, for messages ("a table of measurements").
        migrations: SQL scripts; the one at index i raises the version from i to i + 1.
    """

    def __init__(self, *, application_id: int, name: str, migrations: Sequence[str]) -> None:
        self.application_id = application_id
        self.name = name
        self.migrations = tuple(migrations)

    @property
    def version(self) -> int:
        """The version of the schema that this program writes."""
        return len(self.migrations)


class Database:
    """A SQLite file in WAL mode, opened as its only writer or as a reader.

    Args:
        path: the file; made, with its folder, when it does not exist and `write` is true.
        schema: what the file must be.
        write: hold the writer's lock. Readers see what is committed, change nothing and never wait.
        synchronous: "FULL": what is committed outlives a power cut; "NORMAL": it outlives the process, and a power cut
            may cost the last commits, which are ten times as fast.

    Raises:
        StoreError: the file is truncated, damaged, of another program or of a newer hwnas (it is left untouched), it
            does not exist and `write` is false, or it cannot be made.
        StoreInUseError: another process writes it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        schema: Schema,
        *,
        write: bool = True,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
    ) -> None:
        self.path = Path(path)
        self._schema = schema
        self._synchronous = synchronous
        self._lock: WriterLock | None = None
        if write:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._lock = WriterLock(self.path)
            except OSError as error:
                raise StoreError(f"{self.path} cannot be written: {error.strerror}. Give another path.") from error
        try:
            if write and not self.path.exists():
                self._create()
            self._check_header()
            self._connection = self._connect(write=write)
        except BaseException:
            self._release()
            raise

    def execute(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return all its rows.

        Raises:
            StoreError: the disk is full, or the file was damaged since it was opened.
        """
        with _explained(self.path):
            return self._connection.execute(sql, parameters).fetchall()

    def require_current(self) -> None:
        """Refuse what a reader cannot find in a file that no writer of this version has opened yet.

        Raises:
            StoreError: the file has an older schema, which readers do not change.
        """
        if self._found_version < self._schema.version:
            raise StoreError(
                f"{self.path} was written by an older hwnas (schema {self._found_version}; this one reads "
                f"{self._schema.version}). Give the command that made it once more: it brings the file up to date."
            )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside are on disk when this returns, or none of them."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # SQLite itself rolls back on a full disk
                self._connection.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reading inside sees one state, whatever the writer does meanwhile."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            self.execute("COMMIT")

    def fact(self, name: str, kind: type = object) -> Any:
        """The JSON value kept under `name`; None where there is none. The schema must have the table `facts`.

        Raises:
            StoreError: the value was damaged where SQLite does not notice; it is not of that kind, for example.
        """
        rows = self.execute("SELECT value FROM facts WHERE name = ?", (name,))
        value = self.json(rows[0][0]) if rows else None
        if value is not None and not isinstance(value, kind):
            raise self.damaged(value, f"the fact {name!r}")
        return value

    def json(self, text: str) -> Any:
        """A value that was written as JSON.

        Raises:
            StoreError: the text was damaged where SQLite does not notice.
        """
        try:
            return json.loads(text)
        except (TypeError, ValueError) as error:
            raise self.damaged(text, "JSON") from error

    def damaged(self, found: object, wanted: str) -> StoreError:
        """The error for `found` in the place of what was written: SQLite itself sees damaged pages only."""
        return StoreError(
            f"{self.path} is damaged: it has {found!r:.80} in the place of {wanted}. It was left as it is; restore it "
            "from a copy, or give another path."
        )

    def set_fact(self, name: str, value: object) -> None:
        """Keep a JSON value under `name`, in place of what was there."""
        text = json.dumps(value, sort_keys=True)
        self.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, text))

    def close(self) -> None:
        """Close the file and let the next writer in; closing twice does nothing."""
        self._connection.close()
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _has_log(self) -> bool:
        return self.path.with_name(f"{self.path.name}-wal").exists()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _create(self) -> None:
        aside = self.path.with_name(f"{self.path.name}.new")
        aside.unlink(missing_ok=True)
        with _explained(self.path):
            connection = sqlite3.connect(aside, isolation_level=None)
            try:
                connection.execute(f"PRAGMA application_id = {self._schema.application_id}")
                _migrate(connection, self._schema)
                connection.execute("PRAGMA journal_mode = WAL")
            finally:
                connection.close()
        descriptor = os.open(aside, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        for suffix in ("-wal", "-shm"):  # a killed process left them, and its file was deleted: SQLite would play them
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)  # into the new one
        aside.replace(self.path)

    def _check_header(self) -> None:
        try:
            with self.path.open("rb") as file:
                header = file.read(_HEADER_BYTES)
            # In this order: while a log is copied into the file, or where a process was killed at that, the header may
            # count pages that are in the log only. Without a log all of them are in the file.
            has_log = self._has_log
            size_bytes = self.path.stat().st_size
        except FileNotFoundError:
            raise StoreError(f"{self.path} does not exist. Give the path of {self._schema.name}.") from None
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}.") from error
        untouched = "It was left as it is; give another path"
        if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
            raise StoreError(f"{self.path} is not a SQLite file, or is truncated. {untouched}, or delete it.")
        (page_bytes,) = struct.unpack_from(">H", header, 16)
        (num_pages,) = struct.unpack_from(">I", header, 28)
        version, application_id = struct.unpack_from(">I4xI", header, 60)
        if application_id != self._schema.application_id:
            raise StoreError(f"{self.path} is a SQLite file, but not {self._schema.name} of hwnas. {untouched}.")
        if not has_log and size_bytes < num_pages * (65536 if page_bytes == 1 else page_bytes):
            raise StoreError(f"{self.path} is truncated. {untouched}, or restore it from a copy.")
        self._check_version(version)

    def _check_version(self, version: int) -> None:
        if version > self._schema.version:
            raise StoreError(
                f"{self.path} was written by a newer hwnas (schema {version}; this one reads up to "
                f"{self._schema.version}). Upgrade hwnas, or give another path."
            )

    def _connect(self, *, write: bool) -> sqlite3.Connection:
        # SQLite reads a file in WAL mode with another beside it, which it cannot make in a folder that it may not write
        # (another user's, an archive): a file without a log, where nothing can change, is read without.
        alone = not write and not self._has_log and not os.access(self.path.parent, os.W_OK)
        mode = "rw" if write else "ro&immutable=1" if alone else "ro"
        with _explained(self.path):
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=30.0
            )
            try:
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    raise sqlite3.DatabaseError(found)
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                self._check_version(version)  # a newer schema may so far stand in the WAL only
                self._found_version = version
                if write:
                    connection.execute("PRAGMA synchronous = FULL")
                    _migrate(connection, self._schema)
                    connection.execute(f"PRAGMA synchronous = {self._synchronous}")
                    self._found_version = self._schema.version
            except BaseException:
                connection.close()
                raise
        return connection


def _migrate(connection: sqlite3.Connection, schema: Schema) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number in range(version, schema.version):
        connection.executescript(
            f"BEGIN IMMEDIATE; {schema.migrations[number]}; PRAGMA user_version = {number + 1}; COMMIT;"
        )


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, with the remedy."""
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter where names of tables are no text
        code = getattr(error, "sqlite_errorcode", 0)
        if code == sqlite3.SQLITE_FULL:
            raise StoreError(
                f"The disk is full: {path} cannot grow. Free some space and give the same command again; "
                "what was finished is kept."
            ) from error
        if code & 0xFF == sqlite3.SQLITE_IOERR:  # the rest of the code says in which call
            raise StoreError(
                f"{path} could not be read or written ({error}): the disk may be full, over a limit or failing. Make "
                "room and give the same command again; what was finished is kept."
            ) from error
        if code & 0xFF == sqlite3.SQLITE_CANTOPEN:
            raise StoreError(
                f"{path} could not be opened ({error}): where a program was killed, SQLite makes a file beside it to "
                "read what that one wrote last. If this folder may not be written, copy it to where you may."
            ) from error
        raise StoreError(
            f"{path} is damaged or cannot be used ({error}). Restore it from a copy, or give another path."
        ) from error
