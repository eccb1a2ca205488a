"""What a search hands on: a record, written as `result.json`, and the files beside it."""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hwnas.errors import RunDirectoryError
from hwnas.export import write_whole
from hwnas.measurement import Fingerprint
from hwnas.solve import Certificate
from hwnas.space import Architecture
from hwnas.strategy import EstimateQuality

__all__ = ["BudgetResult", "RivalResult", "SearchResult", "SplitResult", "versions", "write_json"]

_VERSIONED = ("hwnas", "torch", "timm", "onnx", "onnxruntime", "numpy", "scipy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BudgetResult:
    """One budget of the chosen network: limit, predicted and measured in `unit`; `kept` as measured."""

    profiler: str
    limit: float
    predicted: float
    measured: float
    unit: str
    kept: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitResult:
    """One part of the data: how many examples, and the hash of which they are and what is in them."""

    num_examples: int
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class RivalResult:
    """What a simple search finds under the same budgets.

    `search_accuracy` is the task's mean score with the supernet's weights on the search split; `test_accuracy` after
    the same fine-tuning as the chosen network's, None where that was not asked for.
    """

    name: str
    architecture: Architecture
    search_accuracy: float
    predicted: Mapping[str, float]
    measured: Mapping[str, float] | None = None
    test_accuracy: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The chosen network with its evidence.

    What is called accuracy here is the task's mean score, whatever the task: with classes the fraction classified
    rightly; with others, for example, minus the mean squared error. `score_name` says which. Larger is better.

    Attributes:
        directory: where `result.json`, `architecture.json`, `network.onnx`, `network.safetensors`, `front.csv` and
            `report.html` lie.
        architecture: keeps every budget as measured.
        architecture_string: for families that have such strings.
        budgets: every budget with its predicted and measured value.
        certificate: of the last solve; None for strategies that do not solve.
        estimate: how good the estimate of the score is; None for strategies that score directly.
        note: what a reader must know beyond the certificate; empty where there is nothing.
        task: what was asked of the network: "classification".
        score_name: what the mean score is called: "accuracy", "minus NME".
        search_accuracy: the mean score with the supernet's weights, on the search split.
        search_standard_error: of that mean, from the spread of the scores; with classes the binomial one.
        test_accuracy: the mean score of the fine-tuned network on the test split, which was touched once.
        test_standard_error: of that mean, as above.
        onnx_difference: the largest absolute difference between the outputs of the file and of the torch network.
        num_attempts: derived networks that were measured until one kept the budgets.
        fingerprint: where latencies were taken; None where no budget is on latency.
        splits: by name.
        rivals: what simpler searches find.
        seed: of the whole run.
        versions: of hwnas and what it stands on.
        seconds: wall clock of each phase, the phases shared with other budgets included.
    """

    directory: Path
    architecture: Architecture
    architecture_string: str | None
    budgets: tuple[BudgetResult, ...]
    certificate: Certificate | None
    estimate: EstimateQuality | None
    note: str
    task: str
    score_name: str
    search_accuracy: float
    search_standard_error: float
    test_accuracy: float
    test_standard_error: float
    onnx_difference: float
    num_attempts: int
    fingerprint: Fingerprint | None
    splits: Mapping[str, SplitResult]
    rivals: tuple[RivalResult, ...]
    seed: int
    versions: Mapping[str, str]
    seconds: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The content of `result.json`."""
        content: dict[str, Any] = dataclasses.asdict(dataclasses.replace(self, rivals=()))
        del content["directory"]
        content["architecture"] = self.architecture.to_json()
        content["rivals"] = [
            dataclasses.asdict(rival) | {"architecture": rival.architecture.to_json()} for rival in self.rivals
        ]
        return content

    def export(self, path: str | Path) -> Path:
        """Copy the ONNX file of the network to `path`.

        Raises:
            RunDirectoryError: the run's file is gone, or `path` cannot be written.
        """
        try:
            return Path(shutil.copyfile(self.directory / "network.onnx", path))
        except OSError as error:
            raise RunDirectoryError(f"The network cannot be copied to {path}: {error}.") from error

    def write(self) -> Path:
        """Write `result.json`, and the network alone as `architecture.json`; returns the path of the former.

        Raises:
            ExportError: one of them cannot be written.
        """
        write_json(self.directory / "architecture.json", self.architecture.to_json())
        return write_json(self.directory / "result.json", self.to_json())


def versions() -> dict[str, str]:
    """Of hwnas and what its results stand on."""
    return {name: version(name) for name in _VERSIONED} | {"python": platform.python_version()}


def write_json(path: Path, content: object) -> Path:
    """Write a JSON file that is whole or not there; returns its path.

    Raises:
        ExportError: it cannot be written.
    """
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode())
    return path
