import json
import pathlib

import pytest
import torch

from hwnas.cli.main import main
from hwnas.nn.families import family
from hwnas.train import load_supernet
from tests.train import examples

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


def test_a_supernet_of_volumes(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, out = tmp_path / "config.toml", tmp_path / "supernet"
    config.write_text(CONFIG.replace("mobilenet_v3_8", f"{examples.__file__}:make_volume_space"))
    code, printed, error = run(capsys, str(config), "--out", str(out), "--json")
    assert code == 0, error
    assert json.loads(printed)["steps"] == 4


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


def test_training_begins_with_weights_of_others(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, out = tmp_path / "config.toml", tmp_path / "supernet"
    config.write_text(CONFIG.replace("epochs = 2", "epochs = 0.5\nlearning_rate = 1e-12"))
    given = family("mobilenet_v3_8")
    torch.save({"state_dict": {f"module.{n}": t for n, t in given.state_dict().items()}}, tmp_path / "weights.pth")
    arguments = (str(config), "--out", str(out), "--weights")
    assert run(capsys, *arguments, str(tmp_path / "weights.pth"))[0] == 0
    trained = family("mobilenet_v3_8")
    load_supernet(trained, out)
    for name, parameter in given.named_parameters():  # after a step of no length
        torch.testing.assert_close(dict(trained.named_parameters())[name], parameter, atol=1e-6, rtol=0)
    code, _, error = run(capsys, str(config), "--out", str(out))
    assert (code, "given weights" in error) == (2, True)  # another run: it began with new ones


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("none.pth", "none.pth is missing"),
        ("cut.pth", "cut.pth is truncated, damaged, or no file of weights"),
        ("module.pth", "module.pth is a pickle that runs code when it is read"),
        ("network.pth", "The weights seem to be of the supernet of the space 'nasbench201_8'"),
        ("http://127.0.0.1:9/a.pth", "(on the command line --allow-url)"),
    ],
)
def test_weights_that_cannot_be_begun_with_are_2(
    weights: str,
    message: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    pathlib.Path("config.toml").write_text(CONFIG)
    other = family("nasbench201_8")
    torch.save(other.state_dict(), "network.pth")
    torch.save(torch.nn.Linear(1, 1), "module.pth")
    pathlib.Path("cut.pth").write_bytes(pathlib.Path("network.pth").read_bytes()[:1000])
    code, out, error = run(capsys, "config.toml", "--out", "supernet", "--weights", weights)
    assert (code, out) == (2, "")
    assert message in error
    assert not pathlib.Path("supernet").exists()
