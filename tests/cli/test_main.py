"""How the command line ends: exit codes, what goes to stdout and what to stderr."""

import json
import pathlib
import signal
import subprocess
import sys

import pytest
import typer

from hwnas.cli import main as main_module
from hwnas.cli.main import app, main
from hwnas.errors import DeviceError, HwnasError, InfeasibleError, SpaceError

VERBS = (
    "demo",
    "export",
    "export-optuna",
    "measure",
    "profile",
    "retrain",
    "search",
    "spaces",
    "status",
    "top",
    "train",
    "verify",
)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(verb, "--help") == 0
    assert f"Example:  hwnas {verb}" in capsys.readouterr().out


def test_the_help_names_every_verb_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert sorted(command.name or "" for command in app.registered_commands) == list(VERBS)
    assert "under hard budgets" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("hwnas 0.")


@pytest.mark.parametrize("arguments", [("serach",), ("profile",), ("profile", "x", "--nope"), ("measure", "x")])
def test_wrong_usage_is_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err != ""


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (SpaceError("a [bold] space"), 2, "error: a [bold] space"),
        (InfeasibleError("too tight"), 3, "infeasible: too tight"),
        (DeviceError("gone"), 4, "device: gone"),
        (HwnasError("odd"), 1, "defect: odd"),
        (ZeroDivisionError("by zero"), 1, "defect: ZeroDivisionError: by zero. This is a defect of hwnas"),
    ],
)
def test_errors_become_exit_codes_and_one_paragraph(
    error: Exception, code: int, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = typer.Typer()

    @broken.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(main_module, "app", broken)
    assert run() == code
    captured = capsys.readouterr()
    assert captured.err.startswith(words)
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    with pytest.raises(type(error)):
        main(["--debug"])


def test_interrupted_is_130_and_says_how_to_go_on() -> None:
    program = (
        "import os, signal, typer\n"
        "from hwnas.cli import main as module\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it\n"
        "module.app = typer.Typer()\n"
        "@module.app.command()\n"
        "def wait() -> None:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    signal.pause()\n"
        "module.main([])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 128 + signal.SIGINT
    assert "the same command goes on" in done.stderr


def test_a_fresh_process_prints_one_object_on_stdout(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "hwnas.cli", "spaces", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    spaces = {space["name"]: space for space in json.loads(done.stdout)["spaces"]}
    assert spaces["mobilenet_v3"]["num_choices"] == 25
    assert spaces["mobilenet_v3"]["size"] == str(sum(12**depth for depth in (2, 3, 4)) ** 5)  # algorithms 1.1
    assert list(tmp_path.iterdir()) == []


def test_a_warning_is_a_line_on_stderr() -> None:
    program = (
        "import warnings, typer\n"
        "from hwnas.cli import main as module\n"
        "module.app = typer.Typer()\n"
        "@module.app.command()\n"
        "def warn() -> None:\n"
        "    warnings.warn('the machine is [busy]', stacklevel=1)\n"
        "module.main([])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "warning: the machine is [busy]\n"


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_is_bad_input() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hwnas.cli", "--version"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert "No space left on device. Make room there" in done.stderr
