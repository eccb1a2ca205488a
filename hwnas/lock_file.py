"""Files for locks (flock) that are held in one process alone, whatever it forks.

A lock belongs to the open file, which every forked child shares: a child that lives on (a kept pool, the processes of
a data loader) would hold it on. So a child closes these files first of all; what is no fork closes them as it starts.
"""

from __future__ import annotations

import fcntl
import functools
import os
from pathlib import Path

__all__ = ["LockFile"]

_open_files: set[LockFile] = set()


class LockFile:
    """A file to be locked, made where there is none.

    Args:
        path: of the file.
        mode: who may open it, where it is made.

    Attributes:
        descriptor: of the open file, to lock it by.
    """

    def __init__(self, path: Path, *, mode: int) -> None:
        _watch_forks()
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
        _open_files.add(self)

    def close(self) -> None:
        """Give the lock back and close the file; nothing in a forked child, nor the second time."""
        if self in _open_files:
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)  # what Python did not fork may have it open still
            _open_files.remove(self)
            os.close(self.descriptor)


@functools.cache
def _watch_forks() -> None:
    os.register_at_fork(after_in_child=_close_all)


def _close_all() -> None:
    for file in _open_files:
        os.close(file.descriptor)  # without unlocking, which would be for all
    _open_files.clear()
