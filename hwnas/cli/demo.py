"""`hwnas demo`: the main job on scikit-learn's digits and this CPU, in a few minutes."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.options import Json
from hwnas.cli.search import run_search

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "hwnas demo --out runs/demo"


def command(
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/demo"), json: Json = False
) -> None:
    """Search a network for handwritten digits within half the latency of the largest, and show how well it went."""
    import torch

    from hwnas.experiment.config import read_config

    # Networks this small gain little from a second thread, and lose a factor of ten where another program has the core.
    torch.set_num_threads(1)
    with importlib.resources.as_file(importlib.resources.files("hwnas.cli").joinpath("demo.toml")) as path:
        config = read_config(path)
    run_search(config, out, title="hwnas demo: handwritten digits on this CPU", json=json)
