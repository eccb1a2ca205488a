"""The application `hwnas`, and how it ends: every error on purpose has its exit code, and one paragraph on stderr.

0 done    1 a defect of hwnas    2 bad input    3 infeasible, or over budget    4 the device failed    130 interrupted
"""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from hwnas.cli import demo, export, measure, profile, retrain, search, spaces, train, verify
from hwnas.cli.console import only_json_on_stdout, print_error, print_line, print_note
from hwnas.errors import BadInputError, HwnasError

__all__ = ["app", "main"]

_KINDS = {1: "defect", 2: "error", 3: "infeasible", 4: "device"}
_INTERRUPTED = 130
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)

app = typer.Typer(
    name="hwnas",
    help="Hardware-aware neural architecture search under hard budgets, as measured on the device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (demo, spaces, profile, measure, train, search, retrain, verify, export):
    app.command(verb.__name__.rpartition(".")[2], epilog=f"Example:  {verb.EXAMPLE}")(verb.command)


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


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as a note of one paragraph, without the line of ours that happened to give it."""
    print_note(f"warning: {message}")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code.

    Args:
        arguments: without the program's name; those of the process, if not given.
    """
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given  # wherever it stands; the option above is for --help
    given = [argument for argument in given if argument != "--debug"]
    warnings.showwarning = _show_warning
    try:
        with only_json_on_stdout() if "--json" in given else contextlib.nullcontext():
            app(given, prog_name="hwnas")
        code = 0
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 0
        if code == _INTERRUPTED:
            print_note("Interrupted. What was finished is kept; the same command goes on.")
    except HwnasError as error:
        if debug:
            raise
        code = error.exit_code
        print_error(_KINDS[code], str(error))
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.errno in _UNWRITABLE:
            print_error("error", f"{error}. Make room there or let it be written, and run the same command again.")
            sys.exit(BadInputError.exit_code)
        code = HwnasError.exit_code
        print_error(
            _KINDS[code],
            f"{type(error).__name__}: {error}. This is a defect of hwnas, not of your input. Please report it "
            f"with the output of the same command after `hwnas --debug`.",
        )
    sys.exit(code)
