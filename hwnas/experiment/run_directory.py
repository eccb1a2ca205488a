"""A run's folder: one configuration, one writer, and what was finished in it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwnas.errors import RunDirectoryError, StoreInUseError
from hwnas.experiment.phases import PHASE, SECONDS
from hwnas.store import TrialStore

__all__ = ["CONFIGURATION", "NETWORKS", "SPACE", "STORE_NAME", "open_run"]

STORE_NAME = "run.sqlite"

CONFIGURATION = "configuration"
"""The fact of every run: what its results depend on."""

NETWORKS = "networks"
"""The fact of a finished search: the folders of its results, relative to the run's."""

SPACE = "space"
"""The fact of every run: its space, as JSON."""


def open_run(directory: Path, configuration: Mapping[str, Any]) -> TrialStore:
    """Open a run's folder for writing: a new one, the same run going on, or one that ended before anything was done.

    The last is taken for the new configuration: an option that was refused, or a budget that nothing keeps, is put
    right and the command given again.

    Args:
        directory: made when it does not exist.
        configuration: what the run's results depend on, as JSON; kept in the folder and compared.

    Returns:
        The run's store; close it at the end.

    Raises:
        RunDirectoryError: the folder holds something else, a run of another configuration, or a run in
            progress. Nothing in it was changed.
        StoreError: the run's database is damaged.
    """
    database = directory / STORE_NAME
    if directory.exists() and not directory.is_dir():
        raise RunDirectoryError(f"{directory} is a file; a run is a folder. Give another.")
    # Killed, or out of disk, before the database was whole: its lock and what was to become of it are there already.
    begun = directory.is_dir() and all(path.name.startswith(STORE_NAME) for path in directory.iterdir())
    if directory.is_dir() and not database.exists() and not begun:
        raise RunDirectoryError(
            f"{directory} is not empty and holds no run ({STORE_NAME} is missing). Give another folder, or empty it."
        )
    try:
        store = TrialStore(database)
    except StoreInUseError as error:
        raise RunDirectoryError(f"The run in {directory} is in use: {error}") from error
    with contextlib.ExitStack() as closing:  # whatever is wrong, the next one is let in
        closing.enter_context(store)
        wanted = json.loads(json.dumps(configuration))
        found = store.fact(CONFIGURATION)
        if found is None or (found != wanted and _nothing_done(directory, store)):
            store.set_fact(CONFIGURATION, wanted)
        elif found != wanted:
            differing = _differences(found, wanted)
            raise RunDirectoryError(
                f"{directory} holds a run of another configuration: {'; '.join(differing)}. "
                "Give another folder, or the configuration of the run to go on with it."
            )
        closing.pop_all()
    return store


def _nothing_done(directory: Path, store: TrialStore) -> bool:
    """Whether the run has no trials, no results and no checkpoints.

    A table of measurements, with its networks in `*.onnx` beside it, knows what it is of; and what workers printed
    that could not start is no result.
    """
    facts = {name for (name,) in store.execute("SELECT name FROM facts")}
    if store.studies() or not facts <= {CONFIGURATION, PHASE, SECONDS, SPACE}:
        return False
    folders = [path for path in directory.iterdir() if path.is_dir() and path.suffix != ".onnx"]
    return not any(file.suffix != ".log" for folder in folders for file in folder.iterdir())


def _differences(found: object, wanted: object, key: str = "") -> list[str]:
    """The leaves in which two JSON values differ, as "key is a there and b here"."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        lines = []
        for name in [*found, *(name for name in wanted if name not in found)]:
            lines += _differences(found.get(name), wanted.get(name), f"{key}.{name}" if key else name)
        return lines
    return [] if found == wanted else [f"{key} is {json.dumps(found)} there and {json.dumps(wanted)} here"]
