"""A process that measures the tiny space on a fake runtime and kills itself after a number of runs (a test starts it).

Arguments: the table, the number of runs (-1: never), a file that gets the name of every visit as it begins.
"""

import os
import signal
import sys
from pathlib import Path

from hwnas.device import measure
from hwnas.testing import FakeRuntime
from tests.device.tiny_space import tiny_space


class Killer(FakeRuntime):
    runs_left = int(sys.argv[2])

    def spend(self, latency_ms: float, *, memory_bound: bool) -> None:
        if self.runs_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.runs_left -= 1
        super().spend(latency_ms, memory_bound=memory_bound)

    def begin(self, visit: str) -> None:
        with Path(sys.argv[3]).open("a") as file:
            file.write(f"{visit}\n")
        super().begin(visit)


if __name__ == "__main__":
    runtime = Killer(drift=0.3, replay=True)
    measure(tiny_space(), runtime, out=sys.argv[1], repeats=2, calibrate=4)
