"""How fast hwnas is: one Markdown table, with the targets, and NNI 3.0 beside it where it does the same.

    python bench/speed.py [--nni-python PATH] [--only ROW ...] [--all] [--rounds N] [--clock wall|cpu] [--json]

Every round measures every row once (or a few times, on other random inputs) and then NNI in a fresh process, so that
what the machine does meanwhile meets all of them; the table has medians over the rounds. One thread throughout. The
measurements themselves are in `bench/rows.py`.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"  # read when torch and numpy are imported

import argparse
import dataclasses
import datetime
import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from rows import ROWS, Row
from setting import Setting

from hwnas.device.machine import processor_name

_PEER = Path(__file__).with_name("nni_peer.py")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """All readings of a row, ours and the peer's, in the row's unit."""

    row: Row
    ours: Sequence[float]
    peer: Sequence[float]

    @property
    def median(self) -> float:
        return float(np.median(self.ours))

    @property
    def quartiles(self) -> tuple[float, float]:
        low, high = np.quantile(self.ours, [0.25, 0.75])
        return float(low), float(high)

    @property
    def times_faster(self) -> float | None:
        """Than the peer: above 1 where ours is better."""
        if not self.peer:
            return None
        ratio = self.median / float(np.median(self.peer))
        return ratio if self.row.more_is_better else 1 / ratio

    @property
    def kept(self) -> bool | None:
        """Whether the median keeps the target; None where there is none."""
        if self.row.target is None:
            return None
        return self.median >= self.row.target if self.row.more_is_better else self.median <= self.row.target

    def to_json(self) -> dict[str, object]:
        return {
            "row": self.row.name, "unit": self.row.unit, "median": self.median, "quartiles": self.quartiles,
            "num_readings": len(self.ours), "readings": list(self.ours), "target": self.row.target, "kept": self.kept,
            "peer": list(self.peer), "times_faster": self.times_faster,
        }  # fmt: skip

    def to_markdown(self) -> str:
        unit, low_high = self.row.unit, " to ".join(map(_figure, self.quartiles))
        limit = "at least" if self.row.more_is_better else "at most"
        cells = [
            f"{self.row.what} (`{self.row.name}`)",
            f"{_figure(self.median)}{unit} ({low_high}; {len(self.ours)})",
            "–" if self.row.target is None else f"{limit} {_figure(self.row.target)}{unit}",
            {None: "–", True: "yes", False: "**no**"}[self.kept],
            f"{_figure(float(np.median(self.peer)))}{unit} ({len(self.peer)})" if self.peer else "–",
            "–" if self.times_faster is None else f"{_figure(self.times_faster)} x",
        ]
        return f"| {' | '.join(cells)} |"


HEADER = (
    "| what | ours: median (quartiles; readings) | target | kept | NNI 3.0: median (readings) | ours is faster |\n"
    "|---|---|---|---|---|---|"
)


def _figure(value: float) -> str:
    """Three significant digits, with commas."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def measure(rows: Sequence[Row], setting: Setting, *, rounds: int, nni_python: str | None) -> list[Result]:
    """All readings, the rows interleaved round by round; each has warmed up before the first."""
    measures = {row.name: row.start(setting) for row in rows}
    ours: dict[str, list[float]] = {row.name: [] for row in rows}
    theirs: list[Mapping[str, float]] = []
    for number in range(rounds):
        for row in rows:
            _say(f"round {number + 1} of {rounds}: {row.name}")
            ours[row.name] += measures[row.name](number)
        if nni_python is not None and any(row.peer for row in rows):
            _say(f"round {number + 1} of {rounds}: NNI")
            theirs.append(_peer(nni_python, setting.clock_name))
    return [
        Result(row=row, ours=ours[row.name], peer=[reading[row.peer] for reading in theirs] if row.peer else [])
        for row in rows
    ]


def _peer(python: str, clock: str) -> Mapping[str, float]:
    done = subprocess.run([python, "-W", "ignore", str(_PEER), clock], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{_PEER.name} failed under {python}; bench/README.md says how to install it:\n{done.stderr}")
    result: Mapping[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def conditions(setting: Setting, load_before: float) -> dict[str, object]:
    """Where and how it was measured."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "scipy", "onnxruntime")},
        "clock": setting.clock_name,
        "load": [round(load_before, 1), round(os.getloadavg()[0], 1)],
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/speed.py", description=__doc__.splitlines()[0])
    parser.add_argument("--nni-python", metavar="PATH", help="the interpreter of an environment with NNI 3.0")
    parser.add_argument("--only", nargs="+", choices=sorted(ROWS), metavar="ROW", help=f"of: {', '.join(ROWS)}")
    parser.add_argument("--all", action="store_true", help="the long rows too (without it only those named by --only)")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: time of the processor, for a "
                        "machine that is busy")  # fmt: skip
    parser.add_argument("--tiny", action="store_true", help="on the smallest spaces: to see that it runs")
    parser.add_argument("--json", action="store_true", help="one JSON object with every reading")
    arguments = parser.parse_args(given)
    if arguments.rounds < 1:
        parser.error(f"--rounds must be at least 1; got {arguments.rounds}")
    return arguments


def main(given: Sequence[str] | None = None) -> None:
    arguments = _arguments(given)
    torch.set_num_threads(1)
    setting = Setting.tiny(arguments.clock) if arguments.tiny else Setting(clock_name=arguments.clock)
    names = arguments.only or [name for name, row in ROWS.items() if arguments.all or not row.is_long]
    load = os.getloadavg()[0]
    results = measure([ROWS[name] for name in names], setting, rounds=arguments.rounds, nni_python=arguments.nni_python)
    facts = conditions(setting, load)
    if arguments.json:
        print(json.dumps({"conditions": facts, "rows": [result.to_json() for result in results]}))
        return
    print(HEADER, *(result.to_markdown() for result in results), sep="\n")
    print("\n" + "; ".join(f"{name}: {value}" for name, value in facts.items()))


if __name__ == "__main__":
    main()
