"""On what `bench/speed.py` measures, and by which clock."""

from __future__ import annotations

import dataclasses
import resource
import time
from collections.abc import Callable
from typing import Literal

__all__ = ["Measure", "Setting"]

Measure = Callable[[int], list[float]]
"""Called once a round, with the round's number as its seed; returns one or more readings."""


def _processor_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """On what, and by which clock; the defaults are those of the published table."""

    space: str = "mobilenet_v3"
    trained: str = "mobilenet_v3_28"
    batch_size: int = 128
    num_codes: int = 100_000
    num_pairs: int = 10
    clock_name: Literal["wall", "cpu"] = "wall"

    @classmethod
    def tiny(cls, clock_name: Literal["wall", "cpu"]) -> Setting:
        """The same measurements on the smallest members, to see that they run."""
        small = "mobilenet_v3_8"
        return cls(space=small, trained=small, batch_size=4, num_codes=100, num_pairs=1, clock_name=clock_name)

    def seconds(self, action: Callable[[], object]) -> float:
        """How long `action` takes."""
        clock = time.perf_counter if self.clock_name == "wall" else _processor_seconds
        start = clock()
        action()
        return clock() - start
