"""One writer: an operating-system lock on a file beside the database, released by the system when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from hwnas.errors import StoreInUseError
from hwnas.lock_file import LockFile

__all__ = ["WriterLock", "writer_of"]

_LOOK_SECONDS = 0.2  # how long a writer waits for those who only look whether there is one


class WriterLock:
    """The right to write `path`, held until `release` or the end of the process, whatever it has forked.

    The lock is `flock` on `<path>.lock`, so that a killed process leaves nothing to clean up; the file holds
    the writer's process id for the message only.

    Raises:
        StoreInUseError: another process (or another store of this one) is writing; the message names its pid.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".lock")
        self._file = LockFile(self.path, mode=0o644)
        until = time.monotonic() + _LOOK_SECONDS
        while not _locked(self._file.descriptor, fcntl.LOCK_EX):
            if time.monotonic() < until:
                time.sleep(_LOOK_SECONDS / 20)
                continue
            pid = _pid(self._file.descriptor)
            self._file.close()
            raise StoreInUseError(
                f"{path} is being written by another process (pid {pid}). Wait until it ends, or give another path."
            )
        os.ftruncate(self._file.descriptor, 0)
        os.pwrite(self._file.descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Give the lock back; the lock file stays, for removing it would race with the next writer."""
        self._file.close()


def writer_of(path: Path) -> str | None:
    """The process id of whoever writes `path` at this moment ("unknown" where it is not told); None: nobody does.

    A writer that begins just now is not refused because of this look.
    """
    try:
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # nobody ever wrote it here, or what they left may not be read
        return None
    try:
        return None if _locked(descriptor, fcntl.LOCK_SH) else _pid(descriptor)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid(descriptor: int) -> str:
    return os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
