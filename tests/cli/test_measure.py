import json
import pathlib

import pytest

from hwnas.cli.main import main

FACTORY = """
import torch
from torch import nn
from hwnas.nn import LayerChoice, ModelSpace

def small():
    first = LayerChoice({"conv": nn.Conv2d(1, 8, 3, padding=1), "point": nn.Conv2d(1, 8, 1)}, label="first")
    return ModelSpace(nn.Sequential(first, nn.Flatten(), nn.Linear(512, 2)), torch.zeros(1, 1, 8, 8))
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["measure", *arguments])
    captured = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, captured.out, captured.err


def test_a_table_and_the_same_command_again(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "mine.py", tmp_path / "table.sqlite"
    path.write_text(FACTORY)
    arguments = (f"{path}:small", "--out", str(out), "--repeats", "2", "--calibrate", "0")
    code, printed, _ = run(capsys, *arguments, "--json")
    assert code == 0
    content = json.loads(printed)
    assert content["table"] == str(out)
    assert content["num_blocks"] == len(content["milliseconds"]) >= 2
    assert content["fingerprint"]["threads"] == 1
    code, printed, _ = run(capsys, *arguments)
    assert code == 0
    assert f"{content['num_blocks']} blocks of {path}:small in {out}" in printed
    assert f"noise floor: {content['noise_floor']:.2%}" in printed  # nothing was measured again
    assert f"baseline: the reference model at {content['baseline_ms']:.4g} ms" in printed
    code, _, error = run(capsys, *arguments, "--threads", "2")
    assert code == 2
    assert "threads is 1 there and 2 here" in error


def test_a_file_that_is_no_table_is_left_alone(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    code, _, error = run(capsys, "mobilenet_v3_8", "--out", str(tmp_path / "notes.txt"))
    assert code == 2
    assert "notes.txt" in error
    assert (tmp_path / "notes.txt").read_text() == "mine"
