"""Programs over hwnas: their exit codes, and what they say. Those of `hwnas` itself are in test_main.py."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from hwnas.cli.script import parser, run
from hwnas.errors import DataError, InfeasibleError


def code_of(main: Callable[[Sequence[str]], object], *arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        run(main, arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


def raising(error: BaseException) -> Callable[[Sequence[str]], None]:
    def main(arguments: Sequence[str]) -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (DataError("no [such] folder"), 2, "error: no [such] folder\n"),
        (InfeasibleError("too tight"), 3, "infeasible: too tight\n"),
        (PermissionError(13, "Permission denied", "/x"), 2, "error: [Errno 13] Permission denied: '/x'. Make room"),
        (
            NotADirectoryError(20, "Not a directory", "/x/y"),
            2,
            "error: [Errno 20] Not a directory: '/x/y'. Give another",
        ),
        (ValueError("odd"), 1, "defect: ValueError: odd. This is a defect of hwnas"),
        (KeyboardInterrupt(), 128 + signal.SIGINT, "Interrupted. What was finished is kept"),
    ],
)
def test_an_error_is_its_exit_code_and_a_line(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(raising(error)) == code
    captured = capsys.readouterr()
    assert captured.err.startswith(words)
    assert (captured.err.count("\n"), captured.out) == (1, "")


@pytest.mark.parametrize("spelling", ["--batch-size", "--batch_size"])
@pytest.mark.parametrize("given", ["--batch-size", "--batch_size"])
def test_options_may_be_written_with_hyphens_or_underscores(given: str, spelling: str) -> None:
    program = parser("Says nothing.", example="none")
    program.add_argument(given, "-b", type=int, default=1, help="images")
    assert program.parse_args([spelling, "3"]).batch_size == program.parse_args(["-b", "3"]).batch_size == 3
    assert f"{spelling} " in program.format_help()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--bogus",), "unrecognized arguments: --bogus"),
        (("--epochs", "5ms"), "argument --epochs: invalid int value: '5ms'"),
        (("--epochs",), "argument --epochs: expected one argument"),
    ],
)
def test_a_wrong_argument_is_a_line_and_not_all_the_options(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program = parser("Says nothing.", example="none")
    program.add_argument("--epochs", type=int, default=1, help="passes")
    assert code_of(program.parse_args, *arguments) == 2
    assert capsys.readouterr().err == f"error: {words}. `--help` shows all options.\n"


def test_debug_shows_the_traceback_and_is_not_the_programs() -> None:
    given: list[Sequence[str]] = []
    assert code_of(given.append, "--epochs", "3", "--debug") == 0
    assert given == [["--epochs", "3"]]
    with pytest.raises(DataError, match="gone"):
        run(raising(DataError("gone")), ["--debug"])


def test_a_program_leaves_as_it_wants(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(raising(SystemExit(3))) == 3
    assert code_of(raising(SystemExit())) == 0
    with pytest.raises(SystemExit, match="as Python says it"):
        run(raising(SystemExit("as Python says it")))
    assert capsys.readouterr().err == ""


def test_help_has_the_lines_the_defaults_and_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    options = parser("One line.\n\nAnother line.", example="python it.py --epochs 2")
    options.add_argument("--epochs", type=int, default=50, help="passes over the images")
    with pytest.raises(SystemExit):
        options.parse_args(["--help"])
    text = capsys.readouterr().out
    for part in ("One line.\n\nAnother line.", "passes over the images (default: 50)", "Example:  python it.py"):
        assert part in text
    with pytest.raises(SystemExit):  # an abbreviation may mean another option tomorrow
        options.parse_args(["--epoch", "3"])


def test_a_real_program_says_what_is_wrong(tmp_path: os.PathLike[str]) -> None:
    program = (
        "import warnings\n"
        "from hwnas.cli.script import run\n"
        "from hwnas.errors import DataError\n"
        "def main(arguments):\n"
        "    warnings.warn('slow', stacklevel=1)\n"
        "    raise DataError(f'no data in {arguments[0]}')\n"
        "run(main)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, "here"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "warning: slow\nerror: no data in here\n")
