import json
import pathlib

import pytest

from hwnas.cli.main import main

CONFIG = """
space = "mobilenet_v3_8"
[data]
train_size = 256
[train]
epochs = 2
batch_size = 128
scheme = "sandwich"
num_random = 1
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["train", *arguments])
    captured = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, captured.out, captured.err


def test_training_and_the_same_command_again(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, out = tmp_path / "config.toml", tmp_path / "supernet"
    config.write_text(CONFIG)
    code, printed, progress = run(capsys, str(config), "--out", str(out), "--json")
    first = json.loads(printed)
    assert (code, first["supernet"], first["steps"]) == (0, str(out), 4)
    assert "train supernet: 4/4 done" in progress
    code, printed, progress = run(capsys, str(config), "--out", str(out))
    assert code == 0
    assert f"The supernet is in {out}. Search with it" in printed
    assert "4/4" not in progress  # nothing was left to do


def test_another_recipe_in_the_same_folder_is_refused(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = tmp_path / "config.toml", tmp_path / "supernet"
    config.write_text(CONFIG.replace("epochs = 2", "epochs = 0.5"))
    assert run(capsys, str(config), "--out", str(out))[0] == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    config.write_text(CONFIG)
    code, printed, error = run(capsys, str(config), "--out", str(out))
    assert (code, printed) == (2, "")
    assert "epochs" in error
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_wrong_key_is_2_before_anything_is_written(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('space = "mobilenet_v3_8"\n[train]\nepoch = 3\n')
    code, _, error = run(capsys, str(config), "--out", str(tmp_path / "supernet"))
    assert code == 2
    assert "Unknown key `train.epoch`. Did you mean `train.epochs`?" in error
    assert not (tmp_path / "supernet").exists()
