"""Progress and time: what a run is doing, and the seconds each phase took, kept across kills."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Literal

from hwnas.store import TrialStore
from hwnas.train import Progress

__all__ = ["PHASE", "SECONDS", "Advance", "Phase", "Phases", "ignore", "phase_seconds", "training_steps"]

Phase = Literal[
    "measure", "train supernet", "search", "settle", "fine-tune", "verify", "test", "rivals", "report", "train"
]
"""What a search or a retraining ("train", "verify", "test") is at."""

PHASE = "phase"
"""The fact of what a run is at; empty: nothing. It stays where a process is killed."""

SECONDS = "seconds"
"""The fact of how long phases took: from "phase|study" to seconds; see `phase_seconds`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Advance:
    """How far a phase is.

    Attributes:
        phase: see `Phase`.
        done: steps done, of `total`; None where the total is not known.
        total: steps altogether.
        detail: a few words on the present step.
    """

    phase: Phase
    done: int
    total: int | None
    detail: str = ""


def ignore(advance: Advance) -> None:
    """The listener of a run that nobody watches."""


def training_steps(advance: Callable[..., None]) -> Callable[[Progress], None]:
    """A listener for a training that passes every step on to `advance`, as `Phases` gives it."""

    def listen(step: Progress) -> None:
        advance(step.step, step.num_steps, f"epoch {step.epoch}, loss {step.loss:.3f}")

    return listen


def phase_seconds(store: TrialStore, study: str | None = None) -> dict[str, float]:
    """Seconds of each phase by name: of those shared by all studies and of this one, or of all studies together."""
    total: dict[str, float] = {}
    for key, seconds in (store.fact(SECONDS, dict) or {}).items():
        phase, _, of = key.partition("|")
        if study is None or of in ("", study):
            total[phase] = total.get(phase, 0.0) + seconds
    return total


class Phases:
    """Times phases into a store and passes their progress on.

    Args:
        store: keeps what the run is at, and the seconds.
        listen: told of every advance.
    """

    def __init__(self, store: TrialStore, listen: Callable[[Advance], None]) -> None:
        self._store = store
        self._listen = listen
        self._phase = ""

    @contextlib.contextmanager
    def __call__(self, phase: Phase, *, study: str = "") -> Iterator[Callable[..., None]]:
        """Time the block as (a part of) `phase`; yields `advance(done, total, detail)`.

        Args:
            phase: its name.
            study: the set of budgets it is for; empty for phases that all sets share.
        """

        def advance(done: int, total: int | None = None, detail: str = "") -> None:
            self._listen(Advance(phase=phase, done=done, total=total, detail=detail))

        start = time.monotonic()
        around = self._phase
        self._at(phase)
        advance(0)
        try:
            yield advance
        finally:
            # Also of an interrupted phase, as long as the process lives; a killed one loses this stretch.
            self._add(phase, study, time.monotonic() - start)
            self._at(around)

    def _add(self, phase: str, study: str, seconds: float) -> None:
        kept = self._store.fact(SECONDS, dict) or {}
        key = f"{phase}|{study}"
        kept[key] = round(kept.get(key, 0.0) + seconds, 3)
        self._store.set_fact(SECONDS, kept)

    def _at(self, phase: str) -> None:
        self._phase = phase
        self._store.set_fact(PHASE, phase)
