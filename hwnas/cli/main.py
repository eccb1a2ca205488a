"""The application `hwnas`: its verbs; how it ends is `script.py`'s."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from hwnas.cli import demo, export, export_optuna, measure, profile, retrain, search, spaces, status, top, train, verify
from hwnas.cli.console import only_json_on_stdout, print_line
from hwnas.cli.script import run

__all__ = ["app", "main"]

app = typer.Typer(
    name="hwnas",
    help="Hardware-aware neural architecture search under hard budgets, as measured on the device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (demo, spaces, profile, measure, train, search, status, top, retrain, verify, export, export_optuna):
    app.command(verb.__name__.rpartition(".")[2].replace("_", "-"), epilog=f"Example:  {verb.EXAMPLE}")(verb.command)


def _version(wanted: bool) -> None:
    if wanted:
        print_line(f"hwnas {importlib.metadata.version('hwnas')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code.

    Args:
        arguments: without the program's name; those of the process, if not given.
    """
    run(_application, arguments)


def _application(given: Sequence[str]) -> None:
    with only_json_on_stdout() if "--json" in given else contextlib.nullcontext():
        app(given, prog_name="hwnas")
