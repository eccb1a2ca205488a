"""How fast strategies propose, and feasible architectures are drawn: one Markdown table, with Optuna beside it.

    python bench/experiment_speed.py [--only ROW ...] [--rounds N] [--clock wall|cpu] [--tiny] [--json]

Strategies' rows are `ask(1)` and `tell` a second on a space of 105 choices of four options, experiments' are trials a
second there, with an evaluation that returns at once and everything on disk, as Optuna's in SQLite are. Every round
measures every row once, so that what the machine does meanwhile meets all of them; the table has medians over the
rounds. One thread throughout. The measurements themselves are in `bench/experiment_rows.py`. Optuna's rows are there
where it is installed (`pip install hwnas[optuna]`).
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"  # read when numpy is imported

import argparse
import importlib.util
import json
from collections.abc import Sequence
from importlib.metadata import version

from experiment_rows import Sizes, rows
from setting import Setting
from speed import HEADER, conditions, measure


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench/experiment_speed.py", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="ROW", help="rows by name, as the table has them in brackets")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: time of the processor, for a "
                        "machine that is busy")  # fmt: skip
    parser.add_argument("--tiny", action="store_true", help="short histories: to see that it runs")
    parser.add_argument("--json", action="store_true", help="one JSON object with every reading")
    arguments = parser.parse_args(given)
    if arguments.rounds < 1:
        parser.error(f"--rounds must be at least 1; got {arguments.rounds}")
    with_optuna = importlib.util.find_spec("optuna") is not None
    known = rows(Sizes.tiny() if arguments.tiny else Sizes(), with_optuna=with_optuna)
    unknown = [name for name in arguments.only or () if name not in known]
    if unknown:
        parser.error(f"no row {unknown[0]!r}; known are {', '.join(known)}")
    setting, load = Setting(clock_name=arguments.clock), os.getloadavg()[0]
    chosen = [known[name] for name in arguments.only or known]
    results = measure(chosen, setting, rounds=arguments.rounds, nni_python=None)
    facts = conditions(setting, load)
    if with_optuna:
        facts["optuna"] = version("optuna")
    if arguments.json:
        print(json.dumps({"conditions": facts, "rows": [result.to_json() for result in results]}))
        return
    for line in (*HEADER.splitlines(), *(result.to_markdown() for result in results)):
        print("|".join(line.split("|")[:5]) + "|")  # without the columns of NNI, which has no such rows
    print("\n" + "; ".join(f"{name}: {value}" for name, value in facts.items()))


if __name__ == "__main__":
    main()
