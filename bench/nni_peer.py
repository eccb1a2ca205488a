"""NNI 3.0's times for what `bench/speed.py` measures, printed as one JSON object; run by NNI's own interpreter."""

from __future__ import annotations

import json
import time

import torch
from nni.nas.hub.pytorch import ProxylessNAS
from nni.nas.profiler.pytorch.flops import FlopsProfiler, NumParamsProfiler


def rate(action, seconds: float) -> float:
    """Calls of `action` a second, over at least `seconds`."""
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        action()
        calls += 1
    return calls / (time.perf_counter() - start)


def main() -> None:
    net = ProxylessNAS()
    start = time.perf_counter()
    flops = FlopsProfiler(net, torch.randn(1, 3, 224, 224))
    NumParamsProfiler(net, torch.randn(1, 3, 224, 224))
    prepare_seconds = time.perf_counter() - start
    sample: dict[str, object] = {}
    net.random(memo=sample)
    result = {
        "prepare_seconds": prepare_seconds,
        "samples_per_second": rate(net.random, 5.0),
        "profiles_per_second": rate(lambda: flops.profile(sample), 2.0),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
