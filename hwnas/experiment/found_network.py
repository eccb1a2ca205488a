"""A network that a finished search has found, read back from the run's folder; or one that was given."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwnas.errors import BadInputError, RunDirectoryError
from hwnas.experiment.result import BudgetResult
from hwnas.experiment.run_directory import CONFIGURATION, NETWORKS, STORE_NAME
from hwnas.measurement import Fingerprint
from hwnas.space import Architecture
from hwnas.store import TrialStore

__all__ = ["FoundNetwork", "found_networks", "given_network"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoundNetwork:
    """What a later training has to know of a search's result.

    Attributes:
        directory: of the result.
        run: the run's folder; `directory` itself, or the one above where a run has several results.
        configuration: what the run's results depend on, as `open_run` has kept it.
        architecture: the network.
        budgets: with the limits, and what was measured.
        fingerprint: where latencies were taken; None where no budget is on latency.
    """

    directory: Path
    run: Path
    configuration: Mapping[str, Any]
    architecture: Architecture
    budgets: tuple[BudgetResult, ...]
    fingerprint: Fingerprint | None


def given_network(architecture: Architecture, directory: Path) -> FoundNetwork:
    """An architecture as if a search without budgets had found it, to be trained in `directory`."""
    return FoundNetwork(
        directory=directory,
        run=directory,
        configuration={"strategy": "", "seed": 0},
        architecture=architecture,
        budgets=(),
        fingerprint=None,
    )


def found_networks(directory: str | Path) -> list[FoundNetwork]:
    """The networks of a finished run.

    Args:
        directory: the run's folder, or that of one of its results.

    Raises:
        RunDirectoryError: no folder of a run, the folder of a retraining, or a search that is not finished.
        StoreError: the run's database is damaged.
    """
    directory = Path(directory)
    run = directory if (directory / STORE_NAME).is_file() else directory.parent
    if not directory.is_dir() or not (run / STORE_NAME).is_file():
        raise RunDirectoryError(
            f"{directory} is no folder of a run ({STORE_NAME} is missing). Give the folder that a search has written."
        )
    with TrialStore(run / STORE_NAME, write=False) as store:
        configuration, names = store.fact(CONFIGURATION, dict) or {}, store.fact(NETWORKS, list)
    if "retrains" in configuration:
        raise RunDirectoryError(f"{directory} is the folder of a retraining. Give that of the search before it.")
    if names is None:
        raise RunDirectoryError(
            f"The search in {run} is not finished. Give its command again; it goes on where it was."
        )
    folders = [run / name for name in names]
    if directory != run:
        if directory.name not in names:
            raise RunDirectoryError(f"{directory} holds no result; {run} has {', '.join(map(str, folders))}.")
        folders = [directory]
    return [_read(folder, run, configuration) for folder in folders]


def _read(directory: Path, run: Path, configuration: Mapping[str, Any]) -> FoundNetwork:
    path = directory / "result.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return FoundNetwork(
            directory=directory,
            run=run,
            configuration=configuration,
            architecture=Architecture.from_json(content["architecture"]),
            budgets=tuple(BudgetResult(**row) for row in content["budgets"]),
            fingerprint=Fingerprint(**content["fingerprint"]) if content["fingerprint"] else None,
        )
    except (OSError, ValueError, KeyError, TypeError, BadInputError) as error:
        raise RunDirectoryError(
            f"{path} cannot be read ({error}). Give the search's command again; it writes the file anew."
        ) from error
