import json
import pathlib

import numpy as np
import onnxruntime
import pytest
import timm
import torch
from safetensors.torch import save_file

from hwnas.cli.main import main
from hwnas.nn.families import family, published_network, to_string

from ..nn.families.spos_supernet import save_as_published, tiny_supernet

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
    with torch.no_grad():
        torch.testing.assert_close(outputs(out, images), network(images), atol=1e-4, rtol=0)


def test_weights_of_something_else(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    torch.save(published_network("proxyless-mobile").state_dict(), tmp_path / "mobile.pth")
    torch.save(SPACE.freeze(ARCHITECTURE), tmp_path / "module.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "mobile.pth").read_bytes()[:1000])
    (tmp_path / "text.safetensors").write_text("no tensors")
    (tmp_path / "empty").mkdir()
    arguments = ("mobilenet_v3_8", "--arch", STRING, "--out", str(tmp_path / "net.onnx"), "--weights")
    for name, message in {
        "other.safetensors": "The weights seem to be of another network",
        "mobile.pth": "The weights seem to be of the published network 'proxyless-mobile'",
        "module.pth": "module.pth is a pickle that runs code when it is read",
        "cut.pth": "cut.pth is truncated, damaged, or no file of weights",
        "text.safetensors": "text.safetensors is no safetensors file of weights",
        "none.pth": "none.pth is missing",
        "empty": "holds no checkpoint",
    }.items():
        assert run(*arguments, str(tmp_path / name)) == 2
        assert message in capsys.readouterr().err
    assert run(*arguments, "http://127.0.0.1:9/a.pth") == 2
    assert "(on the command line --allow-url)" in capsys.readouterr().err
    assert run(*arguments, "http://127.0.0.1:9/a.pth", "--allow-url") == 2  # the port that discards: nobody is there
    assert "http://127.0.0.1:9/a.pth cannot be fetched" in capsys.readouterr().err
    assert not (tmp_path / "net.onnx").exists()


def outputs(file: pathlib.Path, images: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(file)
    [found] = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    return torch.as_tensor(found)


def test_a_network_of_a_published_supernet(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = tiny_supernet()
    weights = save_as_published(theirs, tmp_path / "checkpoint-150000.pth.tar")
    names = [choice.name for choice in family("shufflenet_v2_8").space.choices]
    architecture = dict(zip(names, ("k5", "xception", "k3", "k7"), strict=True))
    (tmp_path / "arch.json").write_text(json.dumps(architecture))
    arguments = ("--arch", str(tmp_path / "arch.json"), "--weights", str(weights), "--out", str(tmp_path / "net.onnx"))
    assert run("shufflenet_v2_8", *arguments) == 0
    assert "Batch norm has the supernet's statistics" in capsys.readouterr().err
    images = torch.randn(1, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(
            outputs(tmp_path / "net.onnx", images), theirs(images, (1, 3, 0, 2)), atol=1e-4, rtol=0
        )


def test_a_published_network_with_weights_of_timm(tmp_path: pathlib.Path) -> None:
    theirs = timm.create_model("hardcorenas_a").eval()
    torch.save({"state_dict": theirs.state_dict(), "arch": "hardcorenas_a"}, tmp_path / "model_best.pth.tar")
    out = tmp_path / "net.onnx"
    assert run("hardcorenas-a", "--weights", str(tmp_path / "model_best.pth.tar"), "--out", str(out)) == 0
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(outputs(out, images), theirs(images), atol=1e-4, rtol=0)


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
