"""Facial landmarks under a latency budget: the network that is searched, beside five random ones that keep the budget.

    python bench/pfld.py [--seeds 0 1 2] [--out runs/pfld] [--json]
    python bench/pfld.py --smoke --seeds 0

For every seed a supernet of PFLD's 59,049 networks is trained on drawn faces and searched under one latency budget, as
measured by onnxruntime on one CPU thread. What is found is fine-tuned from the supernet's weights, exported, measured
and tested; so are five networks drawn uniformly from those that the table says keep the budget. One run after the
other, in this process. Interrupted and called again with the same arguments, it goes on. What is run is in
`pfld_runs.py`.
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
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from pfld_runs import Setting, run_all
from pfld_table import checks, networks, table_of

from hwnas.device.machine import processor_name


def conditions(setting: Setting, out: Path) -> dict[str, object]:
    """Where and on what it was measured."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "onnxruntime")},
        "load": round(os.getloadavg()[1], 1),
        **json.loads((out / "setting.json").read_text()),
    }


def _require_same_setting(out: Path, setting: Setting) -> None:
    """A folder holds runs of one setting."""
    path, content = out / "setting.json", json.dumps(dataclasses.asdict(setting), indent=2) + "\n"
    out.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(content)
    elif path.read_text() != content:
        raise SystemExit(f"{out} holds runs of another setting ({path}). Give another --out.")


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench/pfld.py", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--out", type=Path, help="where the runs are; default: runs/pfld (or -smoke)")
    parser.add_argument("--smoke", action="store_true", help="few faces and short training: to see that it runs")
    parser.add_argument("--json", action="store_true", help="one JSON object with every reading")
    arguments = parser.parse_args(given)
    setting = Setting.smoke() if arguments.smoke else Setting()
    out = arguments.out or Path("runs/pfld-smoke" if arguments.smoke else "runs/pfld")
    _require_same_setting(out, setting)
    torch.set_num_threads(1)
    run_all(setting, arguments.seeds, out)
    found = networks(out, arguments.seeds, setting.num_random)
    facts, expected = conditions(setting, out), checks(found)
    if arguments.json:
        content = {"conditions": facts, "networks": [dataclasses.asdict(one) for one in found], "checks": expected}
        print(json.dumps(content))
    else:
        print(table_of(found), "\n".join(expected), sep="\n\n")
        print("\n" + "; ".join(f"{name}: {value}" for name, value in facts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
