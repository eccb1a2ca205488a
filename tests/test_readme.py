"""The README's program does what it says, word for word; the commands it names are there."""

import re
import subprocess
import sys
from pathlib import Path

import onnx

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_program_runs_word_for_word(tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in program.splitlines() if line.strip()]) <= 14
    (tmp_path / "mine.py").write_text(program)
    done = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("kept=True") == 2
    onnx.checker.check_model(onnx.load(tmp_path / "net.onnx"))


def test_every_verb_of_the_table_answers():
    from typer.testing import CliRunner

    from hwnas.cli.main import app

    verbs = set(re.findall(r"^\| `hwnas (\w+)", README, re.MULTILINE))
    assert verbs == {
        "spaces",
        "profile",
        "measure",
        "train",
        "search",
        "status",
        "top",
        "retrain",
        "verify",
        "export",
        "demo",
    }
    for verb in verbs:
        result = CliRunner().invoke(app, [verb, "--help"])
        assert result.exit_code == 0
        assert f"hwnas {verb}" in result.output
