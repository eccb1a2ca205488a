"""The best architectures of an experiment as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwnas.errors import ExportError
from hwnas.experiment.result import write_json
from hwnas.experiment.standings import Found
from hwnas.export import export_onnx
from hwnas.nn import ModelSpace

__all__ = ["export_top"]


def export_top(top: Sequence[Found], space: ModelSpace | None, directory: Path) -> Path:
    """Write `top.json`, and an ONNX file for each architecture of a `ModelSpace`.

    Args:
        top: the architectures, the best first.
        space: whose weights the files have; None for a space without a network.
        directory: made if need be; files of an earlier export with the same names are replaced.

    Returns:
        The path of `top.json`.

    Raises:
        ExportError: a network cannot be exported, or a file not be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"The folder {directory} cannot be made: {error.strerror}. Give another.") from error
    entries = []
    for place, one in enumerate(top, start=1):
        name = None if space is None else f"{place:03d}-trial-{one.number}.onnx"
        if space is not None and name is not None:
            export_onnx(space.freeze(one.architecture), space.example_inputs, directory / name)
        entries.append({"place": place, **one.to_json(), "onnx": name})
    return write_json(directory / "top.json", entries)
