"""One writer: an operating-system lock on a file beside the database, released by the system when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from hwnas.errors import StoreError

__all__ = ["WriterLock"]


class WriterLock:
    """The right to write `path`, held until `release` or the end of the process.

    The lock is `flock` on `<path>.lock`, so that a killed process leaves nothing to clean up; the file holds
    the writer's process id for the message only.

    Raises:
        StoreError: another process (or another store of this one) is writing; the message names its pid.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".lock")
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StoreError(
                f"{path} is being written by another process (pid {pid}). Wait until it ends, or give another path."
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Give the lock back; the lock file stays, for removing it would race with the next writer."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
