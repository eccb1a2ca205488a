"""The commands in the READMEs of examples/: options that there are, and (slow) every one run with --smoke added."""

import json
import re
import shlex
import subprocess

import pytest

from tests.examples.programs import EXAMPLES, call, command

READMES = sorted(path.parent.name for path in EXAMPLES.glob("*/README.md"))
PUBLISHED_WEIGHTS = "data/checkpoint-150000.pth.tar"


def commands(folder):
    """The programs and their arguments, in the order of the folder's README."""
    text = (EXAMPLES / folder / "README.md").read_text()
    blocks = "".join(re.findall(r"^```\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
    found = []
    for line in blocks.splitlines():
        python, program, *arguments = shlex.split(line)
        if python == "python":
            found.append((f"{folder}/{program.removeprefix(f'examples/{folder}/')}", arguments))
    return found


def test_every_example_has_a_readme_with_commands():
    assert sorted({path.parent.name for path in EXAMPLES.glob("*/*.py")}) == READMES
    assert all(len(commands(folder)) >= 2 for folder in READMES)


@pytest.mark.parametrize("folder", READMES)
def test_the_options_are_those_of_the_program(folder, capsys):
    for program, arguments in commands(folder):
        assert (EXAMPLES / program).is_file()
        # Values are read before --help answers; names that are not known would be told of only afterwards.
        assert call(program, *arguments, "--smoke", "--help") == 0, (program, arguments)
        text = capsys.readouterr().out
        named = {argument.split("=")[0] for argument in arguments if argument.startswith("-")}
        assert [name for name in named if not re.search(rf"(^|[\s,]){re.escape(name)}\b", text)] == []


@pytest.mark.slow
@pytest.mark.parametrize("folder", READMES)
def test_every_command_runs_as_printed_with_smoke_added(folder, tmp_path):
    for program, arguments in commands(folder):
        if PUBLISHED_WEIGHTS in arguments:
            continue  # they cannot be had here; tests/examples/test_spos.py loads a file like theirs
        given = [with_string_of_search(argument, tmp_path) for argument in arguments]
        done = subprocess.run(
            [*command(program, *given), "--smoke"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, (program, given, done.stderr)


def with_string_of_search(argument, folder):
    """The architecture that search.py found, where the README has three dots."""
    if "..." not in argument:
        return argument
    result = json.loads((folder / "runs" / "hardcorenas" / "search" / "result.json").read_text())
    return f"--mobilenet_string={result['architecture_string']}"
