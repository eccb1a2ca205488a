"""The front as CSV, for a spreadsheet or a plotting program."""

from __future__ import annotations

import csv
import os
import pathlib
from collections.abc import Iterable

from hwnas.report.data import FrontPoint

__all__ = ["write_front_csv"]


def write_front_csv(front: Iterable[FrontPoint], path: str | os.PathLike[str]) -> pathlib.Path:
    """Write one line a network, by rising predicted latency; numbers round-trip.

    Returns:
        The path written.
    """
    target = pathlib.Path(path)
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    with aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("latency_ms", "utility"))
        for point in sorted(front, key=lambda point: point.latency_ms):
            writer.writerow((repr(float(point.latency_ms)), repr(float(point.utility))))
    aside.replace(target)
    return target
