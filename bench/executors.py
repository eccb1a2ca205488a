"""How busy executors keep their slots, and what a trial costs beside its evaluation: one Markdown table.

    python bench/executors.py [--executors inline processes ray] [--slots N] [--trials N] [--seconds S]

Every row is one experiment with random search, its store and the start of its workers included; nothing is subtracted.

busy    the seconds that slots spent in evaluations, of all that there were: with trials that compute for `--seconds`
        each (by the clock of their process: a core that is taken by others makes them longer, and not less busy)
cost    milliseconds a trial, with 1000 evaluations that do nothing; for several slots, of the whole experiment
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Sequence

from hwnas.space import Architecture, Choice, Space
from hwnas.trial import FunctionEvaluator

SPACE = Space([Choice(f"c{number}", range(4)) for number in range(20)])


def compute(architecture: Architecture) -> float:
    """Keeps a core busy for as many seconds of its time as BENCH_SECONDS says."""
    until = time.process_time() + float(os.environ["BENCH_SECONDS"])
    value = 0.0
    while time.process_time() < until:
        value = math.sin(value + 1.0)
    return value


def nothing(architecture: Architecture) -> float:
    """No evaluation at all."""
    return 1.0


def run(executor: str, num_slots: int, function: str, num_trials: int) -> tuple[float, float]:
    """Seconds of the experiment, and of its evaluations together."""
    from hwnas.experiment import Experiment, read_experiment  # here, for workers need less

    with tempfile.TemporaryDirectory() as folder:
        evaluator = FunctionEvaluator(f"{__file__}:{function}")
        experiment = Experiment(SPACE, evaluator, "random", directory=folder, executor=executor)
        begin = time.monotonic()
        experiment.run(num_trials, concurrency=num_slots)
        seconds = time.monotonic() - begin
        trials = read_experiment(folder).trials
    failed = [trial.error for trial in trials if trial.status != "complete"]
    if failed:
        sys.exit(f"{len(failed)} trials failed, the first with: {failed[0]}")
    return seconds, sum(trial.seconds for trial in trials)


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench/executors.py", description=__doc__.splitlines()[0])
    parser.add_argument("--executors", nargs="+", default=["inline", "processes", "ray"], help="default: all three")
    parser.add_argument("--slots", type=int, default=2, help="trials at a time, except in line; default: 2")
    parser.add_argument("--trials", type=int, default=60, help="how many for `busy`; default: 60")
    parser.add_argument("--seconds", type=float, default=1.0, help="each of them computes; default: 1")
    arguments = parser.parse_args(given)
    os.environ["BENCH_SECONDS"] = str(arguments.seconds)
    load = os.getloadavg()[0]
    print("| executor | slots | busy | cost of a trial [ms] |\n|---|---|---|---|")
    for executor in arguments.executors:
        num_slots = 1 if executor == "inline" else arguments.slots
        seconds, evaluating = run(executor, num_slots, "compute", arguments.trials)
        num_nothing = max(10, min(1000, 20 * arguments.trials))
        cost_ms = 1000 * run(executor, num_slots, "nothing", num_nothing)[0] / num_nothing
        print(f"| {executor} | {num_slots} | {evaluating / (num_slots * seconds):.1%} | {cost_ms:.2f} |", flush=True)
    print(f"\n{os.cpu_count()} cores; load at the beginning: {load:.1f}")


if __name__ == "__main__":
    main()
