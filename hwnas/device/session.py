"""Measuring a list of items beside the reference: random order, several rounds, some visited again later.

Every finished visit is in the store before the next begins; a session that is started again does only what is
missing. The order within a round and the items of the retest follow from the seed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from hwnas.device.denormals import denormals_flushed
from hwnas.device.runtime import Prepared, Runtime
from hwnas.device.timing import Timing, alternate, warm_up
from hwnas.store import MeasurementStore, Visit

__all__ = ["RETEST", "Item", "Progress", "Step", "measure_items", "ready", "visit_item"]

RETEST = -1
"""The round of those visits that only tell the noise floor."""

_RETEST_SHARE = 0.1
_RETEST_LEAST = 5


Phase = Literal["export", "blocks", "networks"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """Something to measure: a block or a whole network, exported."""

    key: str
    kind: Literal["block", "network"]
    path: Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """How far a session is: `done` of `total` in this phase; `item` was the last."""

    phase: Phase
    done: int
    total: int
    item: str = ""


Progress = Callable[[Step], None]


def measure_items(
    items: Sequence[Item],
    store: MeasurementStore,
    runtime: Runtime,
    reference: Path,
    *,
    rounds: int,
    seed: int,
    timing: Timing | None = None,
    progress: Progress | None = None,
) -> None:
    """Fill `store` with `rounds` visits of every item and one more, later, of a tenth of them.

    Args:
        items: all of one kind.
        store: opened for writing and bound to the runtime's fingerprint.
        runtime: where.
        reference: the model that stands for the machine's speed.
        rounds: how often every item is visited.
        seed: of the order and of the choice of items for the retest.
        timing: how long a visit takes.
        progress: told after every visit.

    Raises:
        DeviceError: the device failed; what was finished is kept.
    """
    by_key = {item.key: item for item in items}
    schedule = _schedule(sorted(by_key), rounds, seed)
    finished = {(visit.key, visit.round) for visit in store.visits()}
    done = sum(1 for visit in schedule if visit in finished)
    prepared: tuple[int, Prepared] | None = None
    for key, number in schedule:
        if (key, number) in finished:
            continue
        if prepared is None or prepared[0] != number:  # anew every round: its place in memory also changes its time
            prepared = (number, ready(reference, runtime, f"reference#{number}"))
        store.add(visit_item(by_key[key], number, runtime, prepared[1], timing or Timing()))
        done += 1
        if progress is not None:
            phase: Phase = "blocks" if by_key[key].kind == "block" else "networks"
            progress(Step(phase=phase, done=done, total=len(schedule), item=key))


def _schedule(keys: Sequence[str], rounds: int, seed: int) -> list[tuple[str, int]]:
    """Every visit as (key, round), in the order in which they are made."""
    schedule = []
    for number in range(rounds):
        order = np.random.default_rng([seed, number]).permutation(len(keys))
        schedule += [(keys[index], number) for index in order]
    num_retests = min(len(keys), max(_RETEST_LEAST, round(_RETEST_SHARE * len(keys))))
    chosen = np.random.default_rng([seed, rounds, 1]).permutation(len(keys))[:num_retests]
    return schedule + [(keys[index], RETEST) for index in chosen]


@denormals_flushed()
def ready(path: Path, runtime: Runtime, name: str) -> Prepared:
    """Load a model and warm it up; `name` is that of the visit it begins."""
    runtime.begin(name)
    prepared = runtime.prepare(path)
    warm_up(prepared, runtime)
    return prepared


@denormals_flushed()
def visit_item(item: Item, number: int, runtime: Runtime, reference: Prepared, timing: Timing) -> Visit:
    """Measure one item once, loaded anew, beside a reference that is ready."""
    runtime.begin(f"{item.key}#{number}")
    paired = alternate(runtime.prepare(item.path), reference, runtime, timing)
    return Visit(
        key=item.key,
        round=number,
        kind=item.kind,
        samples_ms=paired.samples_ms,
        references_ms=paired.references_ms,
        steady=paired.steady,
    )
