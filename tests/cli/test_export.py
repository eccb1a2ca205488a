import json
import pathlib

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from hwnas.cli.main import main
from hwnas.nn.families import family, to_string

SPACE = family("mobilenet_v3_8")
ARCHITECTURE = SPACE.space.sample(np.random.default_rng(1))
STRING = to_string(SPACE, ARCHITECTURE)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["export", *arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


def test_a_network_of_a_space_with_its_weights(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(3)
    network = SPACE.freeze(ARCHITECTURE).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.2)
    save_file(network.state_dict(), tmp_path / "network.safetensors")
    out = tmp_path / "net.onnx"
    weights = ("--weights", str(tmp_path / "network.safetensors"))
    assert run("mobilenet_v3_8", "--arch", STRING, *weights, "--out", str(out), "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(out), "size_bytes": out.stat().st_size}
    images = torch.randn(1, 1, 8, 8)
    session = onnxruntime.InferenceSession(out)
    [found] = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, network(images).numpy(), atol=1e-4)


def test_weights_of_something_else(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    arguments = ("mobilenet_v3_8", "--arch", STRING, "--out", str(tmp_path / "net.onnx"), "--weights")
    assert run(*arguments, str(tmp_path / "other.safetensors")) == 2
    assert "does not hold the weights of this architecture" in capsys.readouterr().err
    (tmp_path / "text.safetensors").write_text("no tensors")
    assert run(*arguments, str(tmp_path / "text.safetensors")) == 2
    assert "text.safetensors is no safetensors file of weights" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert run(*arguments, str(tmp_path / "empty")) == 2
    assert "holds no checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "net.onnx").exists()


def test_the_network_of_a_run(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_folder = tmp_path / "run"
    (run_folder / "latency-5ms").mkdir(parents=True)
    (run_folder / "latency-5ms" / "network.onnx").write_bytes(b"onnx")
    out = tmp_path / "net.onnx"
    assert run(str(run_folder), "--out", str(out)) == 2
    assert f"It has several; name one: {run_folder / 'latency-5ms'}." in capsys.readouterr().err
    assert run(str(run_folder / "latency-5ms"), "--out", str(out)) == 0
    assert out.read_bytes() == b"onnx"
    assert capsys.readouterr().out == f"{out}: 4 bytes\n"
    assert run(str(run_folder / "latency-5ms"), "--out", str(tmp_path / "no" / "folder.onnx")) == 2
    assert "cannot be copied to" in capsys.readouterr().err


def test_what_cannot_be_exported(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ("--out", str(tmp_path / "net.onnx"))
    assert run("mobilenet_v3_8", *out) == 2
    assert "say which of its networks with --arch" in capsys.readouterr().err
    assert run(str(tmp_path), "--arch", STRING, *out) == 2
    assert "A run has its own architecture and weights" in capsys.readouterr().err
    assert run(str(tmp_path), *out) == 2
    assert "holds no network.onnx. Let its search finish first." in capsys.readouterr().err
    assert run("mobilenet_v3_8", "--arch", "[['ds_r1_k3", *out) == 2
    assert run("mobilenet_v9", "--arch", STRING, *out) == 2
    assert "mobilenet_v9" in capsys.readouterr().err
