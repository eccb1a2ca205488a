"""What `bench/pfld.py` writes: a Markdown table from the files of its runs, and what was expected."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

__all__ = ["Network", "checks", "networks", "table_of"]

_TOLERANCE = 1e-4  # of coordinates, which are fractions of the image's side


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """A fine-tuned network.

    Attributes:
        seed: of the supernet it is from, and of the faces' division.
        searched: whether it was searched; else it was drawn at random.
        nme: mean over the test faces, a fraction of the distance between the eyes.
        nme_standard_error: of that mean.
        latency_ms: as measured of the file, in a fresh process.
        limit_ms: of the budget.
        kept: whether the limit was kept.
        difference: the largest between the file's coordinates and the network's, on test faces.
    """

    seed: int
    searched: bool
    nme: float
    nme_standard_error: float
    latency_ms: float
    limit_ms: float
    kept: bool
    difference: float


def networks(out: Path, seeds: Sequence[int], num_random: int) -> list[Network]:
    """The networks of finished runs; of every seed the searched one first."""
    folders = {f"searched-{seed}": seed for seed in seeds}
    folders |= {f"random-{seed}-{number}": seed for seed in seeds for number in range(num_random)}
    found = [_network(out / name, seed, searched=name.startswith("searched")) for name, seed in folders.items()]
    return sorted(found, key=lambda network: (network.seed, not network.searched))


def _network(folder: Path, seed: int, *, searched: bool) -> Network:
    result = json.loads((folder / "result.json").read_text())
    [latency] = result["budgets"]
    return Network(
        seed=seed,
        searched=searched,
        nme=-result["test_accuracy"],
        nme_standard_error=result["test_standard_error"],
        latency_ms=latency["measured"],
        limit_ms=latency["limit"],
        kept=latency["kept"],
        difference=json.loads((folder / "agreement.json").read_text())["difference"],
    )


def table_of(found: Sequence[Network]) -> str:
    """A line for every seed, and one for the mean."""
    lines = [
        "| seed | searched: NME | best of random | mean of random | all random | searched: latency over limit |",
        "|---|---|---|---|---|---|",
    ]
    rows = []
    for seed, searched, random in _by_seed(found):
        nmes = sorted(network.nme for network in random)
        rows.append((searched.nme, nmes[0], statistics.mean(nmes)))
        lines.append(
            f"| {seed} | {searched.nme:.2%} | {nmes[0]:.2%} | {statistics.mean(nmes):.2%} | "
            f"{' '.join(f'{100 * nme:.2f}' for nme in nmes)} | {searched.latency_ms / searched.limit_ms:.3f} |"
        )
    means = " | ".join(f"{statistics.mean(column):.2%}" for column in zip(*rows, strict=True))
    return "\n".join([*lines, f"| mean | {means} | | |"])


def checks(found: Sequence[Network]) -> list[str]:
    """What was expected, with PASS or FAIL."""
    over = [network for network in found if not network.kept]
    gaps = {seed: min(n.nme for n in random) - searched.nme for seed, searched, random in _by_seed(found)}
    mean = statistics.mean(gaps.values())
    difference = max(network.difference for network in found)
    by_seed = ", ".join(f"{100 * gap:+.3f} (seed {seed})" for seed, gap in gaps.items())
    return [
        _line(not over, f"every network keeps the budget as measured: {len(found) - len(over)} of {len(found)}"),
        _line(
            difference <= _TOLERANCE, f"every file gives the network's landmarks to 1e-4: at most {difference:.1g} off"
        ),
        _line(
            min(gaps.values()) > 0 and mean > 0,
            f"the searched network's NME is below the best random one's: by {by_seed}; mean {100 * mean:+.3f} points",
        ),
    ]


def _by_seed(found: Sequence[Network]) -> list[tuple[int, Network, list[Network]]]:
    return [
        (one.seed, one, [other for other in found if other.seed == one.seed and not other.searched])
        for one in found
        if one.searched
    ]


def _line(holds: bool, words: str) -> str:
    return f"{'PASS' if holds else 'FAIL'}  {words}"
