"""What `bench/strategies.py` writes: two Markdown tables from the files of finished runs, and what was expected."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from step_memory import MEMORY_ROWS, SPACES
from strategy_runs import ROWS, finished

__all__ = ["Memory", "Outcome", "checks", "memory_table", "outcomes", "read_memory", "strategy_table", "two_errors"]

_MOST_TIMES_A_PATH = 2.2
_MIB = 2**20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """One network: of a strategy, or of a rival, for one seed.

    Attributes:
        kept: whether every budget is kept as measured.
        ratio: measured over limit, the largest of the budgets.
        accuracy: on the test images, after fine-tuning.
        seconds: of the search; the training of its supernet included.
    """

    row: str
    seed: int
    kept: bool
    ratio: float
    accuracy: float
    seconds: float


Memory = Mapping[tuple[str, str], float]
"""Bytes at the peak of a step, by the space's and the step's name."""


def outcomes(out: Path, rows: Sequence[str], seeds: Sequence[int]) -> list[Outcome]:
    """What finished runs in `out` found; those of certified have the rivals' in them."""
    return [found for row in rows for seed in seeds for found in _outcomes(out, row, seed)]


def _outcomes(out: Path, row: str, seed: int) -> Iterator[Outcome]:
    path = finished(f"{row}-{seed}", out)
    if not path.exists():
        return
    result = json.loads(path.read_text())
    seconds: Mapping[str, float] = result["seconds"]
    before = 0.0
    if ROWS[row].shares_supernet:
        before = json.loads(finished(f"supernet-{seed}", out).read_text())["seconds"]
    limits = {budget["profiler"]: budget["limit"] for budget in result["budgets"]}
    yield Outcome(
        row=ROWS[row].what,
        seed=seed,
        kept=all(budget["kept"] for budget in result["budgets"]),
        ratio=max(budget["measured"] / budget["limit"] for budget in result["budgets"]),
        accuracy=result["test_accuracy"],
        seconds=before + seconds["search"],
    )
    for rival in result["rivals"]:
        ratio = max(rival["measured"][name] / limit for name, limit in limits.items())
        is_random = "random" in rival["name"]
        yield Outcome(
            row=_RANDOM if is_random else _LARGEST,
            seed=seed,
            kept=ratio <= 1.0,
            ratio=ratio,
            accuracy=rival["test_accuracy"],
            seconds=before + (seconds["rivals"] if is_random else 0.0),
        )


_RANDOM = "best of random feasible"
_LARGEST = "largest MACs feasible"


def read_memory(out: Path) -> dict[tuple[str, str], float]:
    """The mean peaks of the steps that were measured."""
    paths = {(space, row): finished(f"memory-{space}-{row}", out) for space in SPACES for row in MEMORY_ROWS}
    return {key: json.loads(path.read_text())["mean"] for key, path in paths.items() if path.exists()}


def two_errors(values: Sequence[float]) -> float:
    """Two standard errors of the mean; NaN for a single value."""
    return 2 * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def strategy_table(found: Sequence[Outcome], memory: Memory) -> str:
    """A line for each strategy, the most accurate first."""
    steps = {row.what: row.memory for row in ROWS.values()}
    lines = []
    for row, of_row in sorted(_by_row(found).items(), key=lambda item: -_accuracy(item[1])):
        accuracies = [100 * outcome.accuracy for outcome in of_row]
        peak = memory.get(("small", steps.get(row, "path")))
        cells = [
            row,
            f"{'yes' if all(o.kept for o in of_row) else '**no**'} ({max(o.ratio for o in of_row):.3f})",
            f"{statistics.mean(accuracies):.2f}" + (f" ± {two_errors(accuracies):.2f}" if len(of_row) > 1 else ""),
            " ".join(f"{accuracy:.2f}" for accuracy in accuracies),
            f"{statistics.median(o.seconds for o in of_row):.0f} s",
            "–" if peak is None else f"{peak / _MIB:.0f} MiB",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    head = (
        "| strategy | budget kept as measured (largest measured / limit) | test accuracy, % | of each seed "
        "| search time, median | peak memory of a step |\n|---|---|---|---|---|---|"
    )
    return "\n".join([head, *lines])


def memory_table(memory: Memory) -> str:
    """A line for each step, with its multiple of a single path's."""
    lines = []
    for name, row in MEMORY_ROWS.items():
        cells = [row.what]
        for space in SPACES:
            peak, path = memory.get((space, name)), memory.get((space, "path"))
            cells.append("–" if peak is None or path is None else f"{peak / _MIB:.1f} MiB ({peak / path:.2f} x)")
        lines.append(f"| {' | '.join(cells)} |")
    head = f"| step | {' | '.join(str(space) for space in SPACES.values())} |\n|---|{'---|' * len(SPACES)}"
    return "\n".join([head, *lines])


def checks(found: Sequence[Outcome], memory: Memory) -> list[str]:
    """What was expected, each with PASS or FAIL, or with why it could not be said."""
    broken = sorted({f"{o.row}, seed {o.seed} ({o.ratio:.3f})" for o in found if not o.kept})
    lines = [_line("every network keeps its budget as measured", bool(found) and not broken, "; ".join(broken))]
    by_row = _by_row(found)
    random = {outcome.seed: outcome.accuracy for outcome in by_row.get(_RANDOM, [])}
    for row, of_row in by_row.items():
        if row == _RANDOM:
            continue
        differences = [100 * (o.accuracy - random[o.seed]) for o in of_row if o.seed in random]
        what = f"{row} is not below {_RANDOM} by more than noise"
        if len(differences) < 2:
            lines.append(f"----  {what}: it takes both in two seeds")
            continue
        mean, noise = statistics.mean(differences), two_errors(differences)
        lines.append(_line(what, mean + noise >= 0, f"{mean:+.2f} ± {noise:.2f} points, seed by seed"))
    peak, path = memory.get(("full", "proxylessnas")), memory.get(("full", "path"))
    what = f"ProxylessNAS's architecture step takes less than {_MOST_TIMES_A_PATH} x a single path's memory"
    if peak is None or path is None:
        lines.append(f"----  {what}: it was not measured")
    else:
        lines.append(_line(what, peak < _MOST_TIMES_A_PATH * path, f"{peak / path:.2f} x"))
    return lines


def to_json(found: Sequence[Outcome], memory: Memory) -> dict[str, Any]:
    """All readings."""
    peaks = [{"space": space, "step": step, "bytes": value} for (space, step), value in memory.items()]
    return {"outcomes": [dataclasses.asdict(outcome) for outcome in found], "memory": peaks}


def _line(what: str, holds: bool, detail: str) -> str:
    return f"{'PASS' if holds else 'FAIL'}  {what}" + (f": {detail}" if detail else "")


def _by_row(found: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    rows: dict[str, list[Outcome]] = {}
    for outcome in found:
        rows.setdefault(outcome.row, []).append(outcome)
    return rows


def _accuracy(of_row: Sequence[Outcome]) -> float:
    return statistics.mean(outcome.accuracy for outcome in of_row)
