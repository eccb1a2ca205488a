"""Running programs of examples/: as a user does, in a process of their own, or in this one, which is quicker."""

import contextlib
import runpy
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hwnas.cli import script

EXAMPLES = Path(__file__).parents[2] / "examples"


def command(program: str, *arguments: object) -> list[str]:
    """The command line; `program` is the path in examples/."""
    return [sys.executable, str(EXAMPLES / program), *map(str, arguments)]


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(program, *arguments), capture_output=True, text=True, timeout=900, check=False)


def names(program: str) -> dict[str, Any]:
    """What the program defines. What it imports from its folder is forgotten: other folders have modules so named."""
    folder = (EXAMPLES / program).parent
    with own_modules(folder):
        return runpy.run_path(str(EXAMPLES / program))


@contextlib.contextmanager
def own_modules(folder: Path) -> Iterator[None]:
    """A program's own files are what it imports by their names, and are forgotten afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        for path in folder.glob("*.py"):
            patch.delitem(sys.modules, path.stem, raising=False)
        patch.syspath_prepend(folder)
        yield
        for path in folder.glob("*.py"):
            sys.modules.pop(path.stem, None)


def call(program: str, *arguments: object) -> int:
    """The exit code of the program, called in this process."""
    show = warnings.showwarning
    try:
        with pytest.raises(SystemExit) as left:
            script.run(names(program)["main"], [str(argument) for argument in arguments])
    finally:
        warnings.showwarning = show
    assert isinstance(left.value.code, int)
    return left.value.code
