"""Runs for the verbs that read them."""

from __future__ import annotations

import pathlib

import pytest

from hwnas.cli.main import main
from hwnas.cost import Budget, CostTable
from hwnas.experiment import Experiment, Metric
from hwnas.space import Architecture, Choice, Space

SPACE = Space([Choice(f"c{number}", (0, 1, 2, 3)) for number in range(3)])
SUM = CostTable.from_options(SPACE, {choice.name: {o: float(o) for o in choice.options} for choice in SPACE.choices})


def evaluate(architecture: Architecture) -> dict[str, float]:
    """Points count more the later the choice; 3 in the first raises, 2 in the second is no number."""
    if architecture["c0"] == 3:
        raise ValueError("three is too many")
    points = sum((number + 1) * architecture[f"c{number}"] for number in range(3))
    return {"points": float("nan") if architecture["c1"] == 2 else float(points), "waste": float(architecture["c2"])}


def whole_grid(directory: pathlib.Path, **options: object) -> Experiment:
    """All 64 architectures: 48 with a result in [0, 2] x 4 x 4, 12 of them without a number."""
    arguments = {"metrics": [Metric("points"), Metric("waste", "minimise", limit=2.0)], "directory": directory}
    return Experiment(SPACE, evaluate, "grid", **(arguments | options))  # type: ignore[arg-type]


def under_budget() -> Budget:
    return Budget("sum", 6.0, "", SUM)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """The exit code, stdout and stderr (its white space made one) of `hwnas`."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, captured.out, " ".join(captured.err.split())
