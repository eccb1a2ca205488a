"""All strategies on one space, one data set, one latency budget and as many image passes: two Markdown tables.

    python bench/strategies.py [--seeds 0 1 2] [--jobs 2] [--out runs/strategies] [--only ROW ...] [--json]
    python bench/strategies.py --smoke --seeds 0 1

Every run is a process on one thread, with a folder of its own; two go side by side. Interrupted and called again with
the same arguments, it goes on: what has finished is read from its file. What the runs are is in `strategy_runs.py`,
what the columns are in bench/README.md.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"  # read when torch and numpy are imported, here and in all runs

import argparse
import dataclasses
import datetime
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from strategy_runs import ROWS, Setting, finished, jobs, run_job
from strategy_table import checks, memory_table, outcomes, read_memory, strategy_table, to_json

from hwnas.device.machine import processor_name
from hwnas.experiment.phases import Advance

_EVERY_SECONDS = 20.0


def run_all(arguments: argparse.Namespace) -> dict[str, str]:
    """Do what is not done yet, stage by stage; returns the last words of runs that failed."""
    failed = {}
    for stage in jobs(arguments.only, arguments.seeds):
        todo = [job for job in stage if not finished(job, arguments.out).exists()]
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for job, words in zip(todo, pool.map(lambda job: _in_process(job, arguments), todo), strict=True):
                if words is not None:
                    failed[job] = words
        if "table" in failed:
            break
    return failed


def _in_process(job: str, arguments: argparse.Namespace) -> str | None:
    """One run; its messages go on, with its name before them. None, or the last one of a run that failed."""
    command = [sys.executable, __file__, "--job", job, "--out", str(arguments.out)]
    command += ["--smoke"] if arguments.smoke else []
    environment = os.environ | {"KINETO_LOG_LEVEL": "5"}  # torch's profiler complains where there is no GPU
    if arguments.device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    _say(f"{job}: begins")
    begin, last = time.monotonic(), ""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        for line in process.stderr:
            last = line.strip() or last
            _say(f"{job}: {line.rstrip()}")
    _say(f"{job}: {'failed' if process.returncode else 'done'} after {time.monotonic() - begin:.0f} s")
    return (last or f"ended with {process.returncode}") if process.returncode else None


def _listener() -> Callable[[Advance], None]:
    """Says when a phase begins, and now and then how far it is; a dead listener ends the run."""
    said: tuple[str, float] = ("", 0.0)

    def listen(advance: Advance) -> None:
        nonlocal said
        if advance.phase != said[0] or time.monotonic() > said[1] + _EVERY_SECONDS:
            said = (advance.phase, time.monotonic())
            _say(f"{advance.phase} {advance.done}/{advance.total or '?'} {advance.detail}")

    return listen


def _require_same_setting(out: Path, setting: Setting, device: str) -> None:
    """A folder holds runs of one setting."""
    path, content = out / "setting.json", dataclasses.asdict(setting) | {"device": device}
    out.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(json.dumps(content, indent=2) + "\n")
    elif json.loads(path.read_text()) != content:
        raise SystemExit(f"{out} holds runs of another setting ({path}). Give another --out.")


def conditions(setting: Setting, device: str) -> dict[str, object]:
    """Where and on what it was measured."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "device": device,
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "onnxruntime")},
        "load": round(os.getloadavg()[1], 1),
        "training passes": setting.num_passes,
        **dataclasses.asdict(setting),
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/strategies.py", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time; default: 2")
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW",
                        help=f"of: {', '.join(ROWS)}")  # fmt: skip
    parser.add_argument("--out", type=Path, help="where the runs are; default: runs/strategies (or -smoke)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="of training; latencies are always "
                        "of onnxruntime on the CPU")  # fmt: skip
    parser.add_argument("--smoke", action="store_true", help="on tiny data: to see that it runs")
    parser.add_argument("--json", action="store_true", help="one JSON object with every reading")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    if arguments.jobs < 1:
        parser.error(f"--jobs must be at least 1; got {arguments.jobs}")
    arguments.out = arguments.out or Path("runs/strategies-smoke" if arguments.smoke else "runs/strategies")
    return arguments


def main(given: Sequence[str] | None = None) -> int:
    arguments = _arguments(given)
    setting = Setting.smoke() if arguments.smoke else Setting()
    if arguments.job:
        run_job(arguments.job, arguments.out, setting, _listener())
        return 0
    _require_same_setting(arguments.out, setting, arguments.device)
    failed = run_all(arguments)
    found, memory = outcomes(arguments.out, arguments.only, arguments.seeds), read_memory(arguments.out)
    facts, expected = conditions(setting, arguments.device), checks(found, memory)
    if arguments.json:
        print(json.dumps({"conditions": facts, **to_json(found, memory), "checks": expected, "failed": failed}))
    else:
        print(strategy_table(found, memory), memory_table(memory), "\n".join(expected), sep="\n\n")
        print("\n" + "; ".join(f"{name}: {value}" for name, value in facts.items()))
    for job, words in failed.items():
        _say(f"FAILED {job}: {words}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
