"""The programs of examples/pfld as a user runs them, one after the other; and with broken input."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from hwnas.data import landmark_list
from hwnas.nn.families import pfld
from hwnas.space import Architecture
from hwnas.train import latest_checkpoint

FOLDER = Path(__file__).parents[2] / "examples" / "pfld"
LIMIT_MS = 5.0
TABLE = ["--lookup-table", "lut.sqlite"]
SEARCH = ["--smoke", "--latency-budget-ms", str(LIMIT_MS), "--perf_metric", "latency", *TABLE]


def done(program: str, *arguments: str, cwd: Path) -> str:
    command = [sys.executable, str(FOLDER / program), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environment)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.fixture
def exit_code(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int | str | None]:
    """Runs a program in this process, where torch is loaded already."""

    def run(program: str, *arguments: str) -> int | str | None:
        monkeypatch.syspath_prepend(FOLDER)
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # which a program changes
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(FOLDER / program), run_name="__main__")
        return left.value.code

    return run


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which all three have run; options are spelled in both ways."""
    folder = tmp_path_factory.mktemp("pfld")
    searched = done("train.py", *SEARCH, "--nas-lr", "0.1", cwd=folder)
    trained = done("retrain.py", "--smoke", "--supernet", "ckpt_save/supernet", *TABLE, cwd=folder)
    assert all("latency" in text and " yes" in text and "minus NME" in text for text in (searched, trained))
    written = done("export.py", "--smoke", "--resume", "ckpt_save/subnet", cwd=folder)
    assert "output/subnet.onnx: " in written
    return folder


def test_the_file_gives_the_trained_networks_landmarks(ran: Path) -> None:
    architecture = Architecture.from_json(json.loads((ran / "ckpt_save/supernet/architecture.json").read_text()))
    network = pfld(resolution=32, widths=(8, 16, 32)).freeze(architecture).eval()
    network.load_state_dict(load_file(ran / "ckpt_save/subnet/network.safetensors"))
    faces = landmark_list(ran / "ckpt_save/smoke-data", seed=0, image_size=32).test.batch(np.arange(8)).inputs[0]
    session = onnxruntime.InferenceSession(ran / "output/subnet.onnx", providers=["CPUExecutionProvider"])
    [image] = session.get_inputs()
    for face in faces:
        [points] = session.run(None, {image.name: face[None].numpy()})
        with torch.no_grad():
            expected = network(face[None]).numpy()
        assert points.shape == (1, 212)
        np.testing.assert_allclose(points, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("folder", ["supernet", "subnet"])
def test_the_budget_is_kept_as_measured(ran: Path, folder: str) -> None:
    result = json.loads((ran / "ckpt_save" / folder / "result.json").read_text())
    [budget] = result["budgets"]
    assert (budget["profiler"], budget["limit"], budget["unit"], budget["kept"]) == ("latency", LIMIT_MS, "ms", True)
    assert 0 < budget["measured"] <= LIMIT_MS
    assert result["fingerprint"]["runtime"] == "onnxruntime"
    assert (result["task"], result["score_name"]) == ("landmarks", "minus NME")


def test_options_reach_the_search_and_the_angle_head_the_training(ran: Path) -> None:
    searched = latest_checkpoint(ran / "ckpt_save/supernet/search")
    assert searched is not None
    options = searched.run.roles["options"]
    assert (options["nas_lr"], options["alpha"], options["profiler"]) == (0.1, 0.25, "latency")
    assert (ran / "lut.sqlite").is_file()
    trained = latest_checkpoint(ran / "ckpt_save/subnet/training")
    assert trained is not None
    assert any(name.startswith("model.angles.") for name in trained.tensors)


def test_the_same_command_finds_its_work_done_and_another_one_is_refused(
    ran: Path, exit_code, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(ran)
    before = json.loads((ran / "ckpt_save/supernet/result.json").read_text())
    assert exit_code("train.py", *SEARCH, "--nas_lr", "0.1") == 0
    assert json.loads((ran / "ckpt_save/supernet/result.json").read_text()) | {"seconds": 0} == before | {"seconds": 0}
    capsys.readouterr()
    assert exit_code("train.py", *SEARCH, "--nas_lr", "0.2") == 2
    assert "strategy_options" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("program", "arguments", "message"),
    [
        ("retrain.py", ["--supernet", "nowhere"], "nowhere is no folder of a run"),
        ("export.py", ["--supernet", "nowhere"], "nowhere is no folder of a run"),
        ("export.py", ["--resume", "nowhere.pth"], "nowhere.pth is missing"),
        ("export.py", ["--resume", "other"], "of another network"),
        ("export.py", ["--num_points", "98"], "(212,), not (196,)"),
    ],
)
def test_a_folder_or_a_checkpoint_of_something_else(
    ran: Path, program: str, arguments: list[str], message: str, exit_code, capsys, monkeypatch
) -> None:
    other = ran / "other"
    other.mkdir(exist_ok=True)
    checkpoint = max((ran / "ckpt_save/subnet/training").glob("*.safetensors"))  # as it trained: head, optimiser
    shutil.copyfile(checkpoint, other / "network.safetensors")
    monkeypatch.chdir(ran)
    assert exit_code(program, "--smoke", *arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: (folder / "list.txt").write_text("one.png 0.5 0.5\n"), "list.txt, line 1 has 3 fields"),
        (lambda folder: (folder / "list.txt").unlink(), "list.txt cannot be read"),
        (lambda folder: shutil.rmtree(folder / "imgs"), "of the 192 images in"),
    ],
)
def test_data_in_a_wrong_layout(ran: Path, tmp_path: Path, break_it, message: str, exit_code, capsys) -> None:
    broken = shutil.copytree(ran / "ckpt_save/smoke-data", tmp_path / "faces")
    break_it(broken / "train_data")
    assert exit_code("train.py", "--data_root", str(broken), "--snapshot", str(tmp_path / "out")) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("program", "names"),
    [
        ("train.py", "dev_id snapshot data_root nas_lr nas_weight_decay mode alpha beta start_epoch init_temperature "
         "exp_anneal_rate perf_metric lookup_table latency-budget-ms budget device"),
        ("retrain.py", "dev_id snapshot data_root supernet"),
        ("export.py", "supernet resume onnx"),
    ],
)  # fmt: skip
def test_help_names_the_options_of_the_old_programs(program: str, names: str, exit_code, capsys) -> None:
    assert exit_code(program, "--help") == 0
    text = capsys.readouterr().out
    assert all(f"--{name}" in text for name in names.split())
    assert "Example:  python" in text
