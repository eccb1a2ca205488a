"""One trial at a time at a device, among all processes of this user on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from hwnas.errors import ConfigError
from hwnas.lock_file import LockFile

__all__ = ["Exclusive", "exclusive_here", "not_nested"]

Exclusive = Callable[[str], AbstractContextManager[None]]
"""`with exclusive(name):` waits until nobody else is in a block of that name."""


@contextlib.contextmanager
def exclusive_here(name: str) -> Iterator[None]:
    """Wait until no other process of this user on this machine is in a block of that name.

    Two experiments so do not disturb each other's measurements either. It is an flock, which the system takes back
    from a process that dies, on a file in the folder of temporary files.

    Raises:
        ConfigError: no name, or the folder for the files is another user's.
    """
    if not isinstance(name, str) or not name:
        raise ConfigError(f"exclusive(name) needs the name of what is to be alone, such as a device; got {name!r}.")
    readable, digest = urllib.parse.quote(name, safe=""), hashlib.sha256(name.encode()).hexdigest()
    path = _folder() / f"{readable[:80]}-{digest[:8]}.lock"
    file = LockFile(path, mode=0o600)
    try:
        fcntl.flock(file.descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            file.close()
    finally:
        file.close()  # where the time limit of a trial has cut the first one short


def not_nested(exclusive: Exclusive) -> Exclusive:
    """The same for the blocks of one trial, which may not be within each other: two trials could wait for ever."""
    held: list[str] = []

    @contextlib.contextmanager
    def checked(name: str) -> Iterator[None]:
        if held:
            raise ConfigError(
                f"exclusive({name!r}) within exclusive({held[0]!r}): two trials that take two names could wait for "
                "each other for ever. Leave the first block before, or give both one name."
            )
        held.append(name)
        try:
            with exclusive(name):
                yield
        finally:
            held.clear()

    return checked


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"hwnas-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise ConfigError(
            f"{folder} must be a folder of your own; it is another user's or none. Set TMPDIR to another."
        )
    return folder
