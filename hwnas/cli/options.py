"""Options that several verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AllowUrl", "BatchSize", "Config", "Device", "Json", "SpaceName", "Threads"]

SpaceName = Annotated[
    str,
    typer.Argument(metavar="SPACE", help="A family or a published network (see `hwnas spaces`), or file.py:factory."),
]
AllowUrl = Annotated[bool, typer.Option("--allow-url", help="Let --weights be fetched from an http(s) address.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Device = Annotated[str, typer.Option(help="The runtime and the device, as in onnxruntime:cpu.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of a run.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Images a run.")]
Config = Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="The configuration; docs/configuration.md.")]
