"""NNI 3.0's times for what `bench/speed.py` measures, printed as one JSON object; run by NNI's own interpreter.

    /tmp/nni/venv/bin/python -W ignore bench/nni_peer.py [wall|cpu]

Its space is ProxylessNAS, the one nearest to `mobilenet_v3` in NNI's hub: inverted residuals at 224 x 224, with fewer
options. NNI prints too: the object is the last line of stdout.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import torch
from nni.nas.hub.pytorch import ProxylessNAS
from nni.nas.profiler.pytorch.flops import FlopsProfiler, NumParamsProfiler

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


def rate(action: Callable[[], object], clock: Callable[[], float], *, seconds: float) -> float:
    """Calls of `action` a second, over at least `seconds`."""
    start, calls = clock(), 0
    while clock() - start < seconds:
        action()
        calls += 1
    return calls / (clock() - start)


def main() -> None:
    clock = CLOCKS[sys.argv[1] if len(sys.argv) > 1 else "wall"]
    torch.set_num_threads(1)
    net = ProxylessNAS()
    start = clock()
    flops = FlopsProfiler(net, torch.randn(1, 3, 224, 224))
    NumParamsProfiler(net, torch.randn(1, 3, 224, 224))
    prepare_seconds = clock() - start
    sample: dict[str, object] = {}
    net.random(memo=sample)
    result = {
        "prepare_seconds": prepare_seconds,
        "samples_per_second": rate(net.random, clock, seconds=5.0),
        "profiles_per_second": rate(lambda: flops.profile(sample), clock, seconds=2.0),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
