"""The front as CSV, for a spreadsheet or a plotting program."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable

from hwnas.export import write_whole
from hwnas.report.data import FrontPoint

__all__ = ["write_front_csv"]


def write_front_csv(
    front: Iterable[FrontPoint], path: str | os.PathLike[str], *, cost_column: str = "latency_ms"
) -> pathlib.Path:
    """Write one line a network, by rising predicted cost; numbers round-trip.

    Args:
        front: the networks.
        path: the file.
        cost_column: the head of the first column; the unit is in the name.

    Returns:
        The path written.

    Raises:
        ExportError: the file cannot be written.
    """
    target = pathlib.Path(path)
    lines = [f"{cost_column},utility"]
    for point in sorted(front, key=lambda point: point.cost):
        lines.append(f"{float(point.cost)!r},{float(point.utility)!r}")
    write_whole(target, "".join(f"{line}\n" for line in lines).encode())
    return target
