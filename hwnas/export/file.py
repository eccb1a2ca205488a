"""Files that exist either completely or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from hwnas.errors import ExportError

__all__ = ["file_size_bytes", "write_whole"]


def write_whole(path: Path, content: bytes) -> None:
    """Write aside, fsync, rename; the folder is made when it does not exist.

    Raises:
        ExportError: the disk is full, or the folder cannot be written.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise ExportError(
            f"{path} cannot be written: {error.strerror}. Free some space, or give another path."
        ) from error


def file_size_bytes(path: str | os.PathLike[str]) -> int:
    """The size of an exported file, which is what a size budget is about.

    Raises:
        ExportError: there is no such file.
    """
    try:
        return os.stat(path).st_size
    except OSError as error:
        raise ExportError(f"{os.fspath(path)} has no size: {error.strerror}. Export the network first.") from error
