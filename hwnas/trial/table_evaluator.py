"""Tabulated results as an evaluator, for tests and for studies of strategies."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hwnas.errors import ArchitectureError, ConfigError, DataError, MetricError
from hwnas.space import Architecture
from hwnas.trial.evaluator import Evaluated, EvaluatorReference, TrialContext

__all__ = ["TableEvaluator"]


class TableEvaluator:
    """Looks an architecture up.

    A JSON file is a list of objects with the keys "architecture" (an object, from choices to options) and "metrics"
    (an object, or a number, which is the metric "score"), others being left alone: what `Experiment.export` writes is
    one. Metrics that are null are left out. In a CSV file every column is a choice but those named by `metrics`; an
    empty cell is an inactive choice, and cells that are JSON (3, 0.5, true, [1, 2]) are what JSON says.

    Args:
        table: a mapping from architectures to metrics (or to a number, the metric "score"), or the path of a file.
        metrics: the columns of a CSV file that are metrics.

    Raises:
        ConfigError: `metrics` for something else than a CSV file, or none for one.
        DataError: a file that is missing, cannot be read, or has an architecture twice.
        MetricError: a metric that is not a number.
    """

    def __init__(
        self,
        table: Mapping[Architecture, Mapping[str, float] | float] | str | os.PathLike[str],
        *,
        metrics: Sequence[str] = (),
    ) -> None:
        self._path = None if isinstance(table, Mapping) else Path(table)
        self._metrics = tuple(metrics)
        is_csv = self._path is not None and self._path.suffix == ".csv"
        if is_csv != bool(metrics):
            raise ConfigError(
                "`metrics` names the columns of a CSV file that are metrics, and a CSV file needs it; got "
                f"metrics={list(metrics)} for {self._path or 'a mapping'}."
            )
        if isinstance(table, Mapping):
            pairs: Iterable[tuple[Architecture, Any]] = table.items()
        else:
            pairs = _from_csv(Path(table), self._metrics) if is_csv else _from_json(Path(table))
        self._rows: dict[Architecture, dict[str, float]] = {}
        for architecture, values in pairs:
            if architecture in self._rows:
                raise DataError(f"{self._path} has {dict(architecture)} twice. Leave one of them out.")
            given = values if isinstance(values, Mapping) else {"score": values}
            try:
                self._rows[architecture] = dict(Evaluated(metrics=given).metrics)
            except MetricError as error:
                raise MetricError(f"The table's metrics of {dict(architecture)}: {error}") from error

    def __len__(self) -> int:
        return len(self._rows)

    def evaluate_trial(self, architecture: Architecture, context: TrialContext) -> Evaluated:
        """The metrics of an architecture.

        Raises:
            ArchitectureError: it is not in the table.
        """
        if architecture not in self._rows:
            raise ArchitectureError(
                f"The table of {len(self)} architectures has no {architecture.to_json()}. Tabulate the whole space, or "
                "search the part that is."
            )
        return Evaluated(metrics=self._rows[architecture])

    def reference(self) -> EvaluatorReference:
        """The file.

        Raises:
            ConfigError: the table is a mapping in this process.
        """
        if self._path is None:
            raise ConfigError(
                "A table that is a mapping runs in line only. Write it to a JSON or CSV file and give its path, or use "
                "the executor 'inline'."
            )
        options = {"table": str(self._path.resolve()), "metrics": list(self._metrics)}
        return EvaluatorReference(factory="hwnas.trial:TableEvaluator", options=options)


def _from_json(path: Path) -> list[tuple[Architecture, Any]]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [(Architecture.from_json(entry["architecture"]), _without_nulls(entry["metrics"])) for entry in entries]
    except OSError as error:
        raise DataError(f"The table {path} cannot be read: {error.strerror}. Give a JSON or CSV file.") from error
    except (ValueError, KeyError, TypeError, ArchitectureError) as error:
        raise DataError(
            f"The table {path} must be a JSON list of objects with the keys 'architecture' and 'metrics'; it is not: "
            f"{type(error).__name__}: {error}."
        ) from error


def _without_nulls(metrics: Any) -> Any:
    """An extra metric may have been NaN, which JSON does not have."""
    if not isinstance(metrics, Mapping):
        return metrics
    return {name: value for name, value in metrics.items() if value is not None}


def _from_csv(path: Path, metrics: Sequence[str]) -> list[tuple[Architecture, Any]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, restkey="", restval=""))
    except OSError as error:
        raise DataError(f"The table {path} cannot be read: {error.strerror}. Give a JSON or CSV file.") from error
    pairs = []
    for number, row in enumerate(rows, start=2):
        missing = [name for name in metrics if name not in row]
        if missing or "" in row:
            what = f"no column {missing[0]!r}" if missing else "more cells than the head has columns"
            raise DataError(f"{path}, line {number}: {what}. The head is {', '.join(filter(None, row))}.")
        options = {name: _cell(cell) for name, cell in row.items() if cell != "" and name not in metrics}
        pairs.append((Architecture.from_json(options), {name: _cell(row[name]) for name in metrics}))
    return pairs


def _cell(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
