"""How a program over hwnas begins and ends: its arguments, its exit codes, every error on purpose as one paragraph.

    def main(arguments: Sequence[str]) -> None:
        options = parser(__doc__, example="python train.py --epochs 10").parse_args(arguments)
        ...

    if __name__ == "__main__":
        run(main)

0 done    1 a defect    2 bad input    3 infeasible, or over budget    4 the device failed    130 interrupted
"""

from __future__ import annotations

import argparse
import errno
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from hwnas.cli.console import print_error, print_note
from hwnas.errors import BadInputError, HwnasError

__all__ = ["parser", "run"]

_KINDS = {1: "defect", 2: "error", 3: "infeasible", 4: "device"}
_INTERRUPTED = 130
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
_NO_PLACE = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults beside the options, and the description's lines as they are."""


class _Parser(argparse.ArgumentParser):
    """A parser whose options may be written with hyphens or underscores, `--batch-size` or `--batch_size`."""

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        spellings: dict[str, None] = {}  # as given first: it names the attribute
        for name in names:
            swapped = (name[2:].replace("_", "-"), name[2:].replace("-", "_")) if name.startswith("--") else ()
            spellings |= dict.fromkeys([name, *(f"--{words}" for words in swapped)])
        return super().add_argument(*spellings, **options)

    def error(self, message: str) -> NoReturn:
        """One line, as all errors are; argparse prints every option before it."""
        print_error(_KINDS[BadInputError.exit_code], f"{message}. `--help` shows all options.")
        sys.exit(BadInputError.exit_code)


def parser(description: str | None, *, example: str) -> argparse.ArgumentParser:
    """A parser whose `--help` has the defaults and an example.

    Options of more than one word may be written with hyphens or with underscores.

    Args:
        description: what the program does; its module's docstring.
        example: a command line.
    """
    return _Parser(
        description=description, epilog=f"Example:  {example}", formatter_class=_Formatter, allow_abbrev=False
    )


def run(main: Callable[[Sequence[str]], object], arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a program and leave the process with its exit code.

    An error of `hwnas.errors` is one paragraph on stderr and its own exit code. `--debug` among the arguments, which
    the program is not given, shows the traceback instead.

    Args:
        main: the program; called with the arguments.
        arguments: without the program's name; those of the process, if not given.
    """
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    warnings.showwarning = _show_warning
    try:
        main([argument for argument in given if argument != "--debug"])
        code = 0
    except SystemExit as done:
        if not isinstance(done.code, int | None):
            raise
        code = done.code or 0
        if code == _INTERRUPTED:
            print_note("Interrupted. What was finished is kept; the same command goes on.")
    except KeyboardInterrupt:
        code = _INTERRUPTED
        print_note("Interrupted. What was finished is kept; the same command goes on.")
    except Exception as error:
        if debug:
            raise
        code = _reported(error)
    sys.exit(code)


def _reported(error: Exception) -> int:
    """The exit code of an error, which is told on stderr."""
    if isinstance(error, HwnasError):
        print_error(_KINDS[error.exit_code], str(error))
        return error.exit_code
    if isinstance(error, OSError) and error.errno in _UNWRITABLE:
        print_error("error", f"{error}. Make room there or let it be written, and run the same command again.")
        return BadInputError.exit_code
    if isinstance(error, OSError) and error.errno in _NO_PLACE:
        print_error("error", f"{error}. Give another path.")
        return BadInputError.exit_code
    print_error(
        _KINDS[HwnasError.exit_code],
        f"{type(error).__name__}: {error}. This is a defect of hwnas, not of your input. Please report it with the "
        "output of the same command with --debug.",
    )
    return HwnasError.exit_code


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as a note of one paragraph, without the line of ours that happened to give it."""
    print_note(f"warning: {message}")
