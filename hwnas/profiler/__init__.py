"""What an architecture costs, as a number with a unit.

cost_profiler   Profiler (the protocol), CostProfiler (a profiler that is a table)
counts          FlopsProfiler, NumParamsProfiler, SizeProfiler
peak_memory     PeakMemoryProfiler (liveness: which activations live when)
latency         LatencyProfiler
"""

from hwnas.profiler.cost_profiler import CostProfiler, Profiler
from hwnas.profiler.counts import FlopsProfiler, NumParamsProfiler, SizeProfiler
from hwnas.profiler.latency import LatencyProfiler
from hwnas.profiler.peak_memory import PeakMemoryProfiler

__all__ = [
    "CostProfiler",
    "FlopsProfiler",
    "LatencyProfiler",
    "NumParamsProfiler",
    "PeakMemoryProfiler",
    "Profiler",
    "SizeProfiler",
]
