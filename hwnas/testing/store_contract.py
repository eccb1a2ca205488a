"""What every store of trials must do, as tests: subclass in a test file and give one fixture.

class TestMyStore(StoreContract):
    @pytest.fixture
    def open_store(self):
        return lambda path, write=True: MyStore(path, write=write)
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from hwnas.errors import StoreError
from hwnas.store import Trial, TrialStore

__all__ = ["StoreContract"]

OpenStore = Callable[..., TrialStore]

_STUDIES = ("first", "second/rival")
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["ask", "ask", "refuse", "start", "report", "interrupt", "end", "end", "none", "begin", "reopen"]
        ),
        st.sampled_from(_STUDIES),
        st.integers(0, 9),
        _NUMBERS,
    ),
    max_size=40,
)


def _trial(study: str, number: int, **fields: Any) -> Trial:
    architecture = {"depth": number % 3, "kernels": [3, 5], "name": "ä", "wide": True}
    return Trial(study=study, number=number, architecture=architecture, repeat=number, **fields)


class StoreContract:
    """Tests of the guarantees in the docstring of `TrialStore`; needs the fixture `open_store`."""

    def test_what_is_written_is_read_by_the_next_process(self, open_store: OpenStore, tmp_path: Path) -> None:
        """Every field of a trial, as it was at each moment."""
        asked = _trial("s", 0, fidelity="batch", batch_index=4, costs={"macs": 1e9, "latency": 0.1 + 0.2})
        ended = dataclasses.replace(
            asked, status="complete", metrics={"score": 1 / 3}, score=1 / 3, loss=2 / 3, scores=b"\x05", num_images=3
        )
        failed = _trial("s", 1, status="failed", error="ValueError: no")
        with open_store(tmp_path / "run.sqlite") as store:
            store.ask(asked)
            store.ask(_trial("s", 1))
            assert store.trials("s") == [asked, _trial("s", 1)]
            store.end(ended)
            store.end(failed)
        with open_store(tmp_path / "run.sqlite", write=False) as store:
            assert store.trials("s") == [ended, failed]
            assert store.trials("other") == []
            assert store.studies() == ["s"]

    def test_nothing_is_replaced(self, open_store: OpenStore, tmp_path: Path) -> None:
        """A number is taken once, and what has ended stays as it is; a refused change leaves no event."""
        with open_store(tmp_path / "run.sqlite") as store:
            store.ask(_trial("s", 0))
            with pytest.raises(StoreError, match="already has trial 0 of 's'; none is ever replaced"):
                store.ask(_trial("s", 0))
            store.end(_trial("s", 0, status="stopped"))
            for again in (_trial("s", 0, status="complete"), _trial("s", 7, status="complete")):
                with pytest.raises(StoreError, match=rf"Trial {again.number} of 's' in .* is not running"):
                    store.end(again)
            assert [trial.status for trial in store.trials("s")] == ["stopped"]
            assert [event.kind for event in store.events("s")] == ["asked", "ended"]

    def test_events_are_in_their_order(self, open_store: OpenStore, tmp_path: Path) -> None:
        """Each with its content; sequence numbers rise through all studies."""
        with open_store(tmp_path / "run.sqlite") as store:
            sequences = [
                store.begin("s", {"max_trials": 3}),
                store.ask(_trial("s", 0)),
                store.ask(_trial("other", 0)),
                store.none("s"),
                store.report("s", 0, step=2, value=0.1, stop=False),
                store.interrupt("s", 0),
                store.start("s", 0, 1),
                store.ask(_trial("s", 1, status="refused")),
                store.end(_trial("s", 0, status="failed")),
            ]
            assert sequences == sorted(sequences)
            events = list(store.events("s"))
            assert [(event.number, event.kind, event.content) for event in events] == [
                (-1, "began", {"max_trials": 3}),
                (0, "asked", {}),
                (-1, "none", {}),
                (0, "reported", {"step": 2, "value": 0.1, "stop": False}),
                (0, "interrupted", {}),
                (0, "started", {"attempt": 1}),
                (1, "asked", {}),
                (1, "ended", {"status": "refused"}),
                (0, "ended", {"status": "failed"}),
            ]
            assert [event.kind for event in store.events("s", after=events[5].sequence)] == ["asked", "ended", "ended"]
            assert [event.time for event in events] == sorted(event.time for event in events)
            assert store.trials("s")[0].attempts == 1
            assert [one.status for one in store.trials("s")] == ["failed", "refused"]
            assert 0 <= store.seconds("s") < 600
            assert store.seconds("other") == 0

    def test_readers_see_one_state(self, open_store: OpenStore, tmp_path: Path) -> None:
        """Within a snapshot, whatever the writer does; and they hold nobody up."""
        with open_store(tmp_path / "run.sqlite") as writer, open_store(tmp_path / "run.sqlite", write=False) as reader:
            writer.ask(_trial("s", 0))
            with reader.snapshot():
                assert len(reader.trials("s")) == 1
                writer.ask(_trial("s", 1))
                writer.end(_trial("s", 0, status="complete"))
                assert [trial.status for trial in reader.trials("s")] == ["running"]
                assert len(list(reader.events("s"))) == 1
            assert [trial.status for trial in reader.trials("s")] == ["complete", "running"]
            with pytest.raises(StoreError):
                reader.ask(_trial("s", 2))

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps=_STEPS)
    def test_any_history_is_there_again(self, open_store: OpenStore, steps: list[tuple[str, str, int, float]]) -> None:
        """Whatever happens in whatever order, closed and opened again anywhere in between."""
        trials: dict[str, list[Trial]] = {study: [] for study in _STUDIES}
        kinds: dict[str, list[tuple[int, str]]] = {study: [] for study in _STUDIES}
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(Path(folder) / "run.sqlite")
            for what, study, which, value in steps:
                _apply(store, what, study, which, value, trials[study], kinds[study])
                if what == "reopen":
                    store.close()
                    store = open_store(Path(folder) / "run.sqlite")
            for study in _STUDIES:
                assert store.trials(study) == trials[study]
                assert [(event.number, event.kind) for event in store.events(study)] == kinds[study]
            store.close()


def _apply(
    store: TrialStore,
    what: str,
    study: str,
    which: int,
    value: float,
    trials: list[Trial],
    kinds: list[tuple[int, str]],
) -> None:
    """One step on the store, and on what it should come to."""
    number = len(trials)
    running = [place for place, trial in enumerate(trials) if trial.status == "running"]
    if what == "ask":
        trials.append(_trial(study, number, costs={"c": value}))
        store.ask(trials[-1])
        kinds.append((number, "asked"))
    elif what == "refuse":
        trials.append(_trial(study, number, status="refused", attempts=0, error="Over budget"))
        store.ask(trials[-1])
        kinds += [(number, "asked"), (number, "ended")]
    elif what == "none":
        store.none(study)
        kinds.append((-1, "none"))
    elif what == "begin":
        store.begin(study, {"max_trials": which})
        kinds.append((-1, "began"))
    elif what != "reopen" and running:
        place = running[which % len(running)]
        trial = trials[place]
        if what == "start":
            trials[place] = dataclasses.replace(trial, attempts=trial.attempts + 1)
            store.start(study, place, trial.attempts + 1)
            kinds.append((place, "started"))
        elif what == "report":
            store.report(study, place, step=which, value=value, stop=which == 9)
            kinds.append((place, "reported"))
        elif what == "interrupt":
            trials[place] = dataclasses.replace(trial, attempts=trial.attempts - 1)
            store.interrupt(study, place)
            kinds.append((place, "interrupted"))
        else:
            trials[place] = dataclasses.replace(
                trial, status="complete", metrics={"m": value}, score=value, loss=-value
            )
            store.end(trials[place])
            kinds.append((place, "ended"))
