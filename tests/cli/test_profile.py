import json
import pathlib

import pytest

from hwnas.cli.main import main

FACTORY = """
import torch
from torch import nn
from hwnas.nn import LayerChoice, ModelSpace

def small(width=4):
    first = LayerChoice({"conv": nn.Conv2d(1, width, 3, padding=1), "point": nn.Conv2d(1, width, 1)}, label="first")
    return ModelSpace(nn.Sequential(first, nn.Flatten(), nn.Linear(64 * width, 2)), torch.zeros(1, 1, 8, 8))

class Loud(nn.Module):
    def forward(self, x):
        print("running")
        return x

def loud():
    print("making")
    return nn.Sequential(LayerChoice([Loud(), nn.Linear(4, 4)])), torch.zeros(1, 4)
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["profile", *arguments])
    captured = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, captured.out, captured.err


def test_a_space_of_ones_own(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FACTORY)
    code, out, _ = run(capsys, f"{path}:small", "--json")
    content = json.loads(out)
    assert (code, content["size"], content["num_choices"]) == (0, "2", 1)
    linear = 256 * 2
    assert content["params"] == {"min": 4 + 4 + linear + 2, "max": 36 + 4 + linear + 2}
    assert content["macs"] == {"min": 64 * 4 + linear, "max": 64 * 36 + linear}
    (tmp_path / "one.json").write_text('{"first": "point"}')
    code, out, _ = run(capsys, f"{path}:small", "--arch", str(tmp_path / "one.json"), "--json")
    content = json.loads(out)
    assert (content["macs"], content["params"]) == (64 * 4 + linear, 4 + 4 + linear + 2)
    assert content["peak_memory_bytes"] == 4 * (64 + 256)  # the input and the convolution's output, float32


def test_what_a_model_prints_is_not_on_stdout_beside_json(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(FACTORY)
    code, out, err = run(capsys, f"{tmp_path / 'mine.py'}:loud", "--json")
    assert (code, json.loads(out)["size"]) == (0, "2")
    assert "making" in err
    assert "running" in err


def test_published_networks_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Counts of timm's own networks, as in tests/nn/families/test_proxylessnas.py."""
    code, out, _ = run(capsys, "proxylessnas", "--arch", "proxyless-mobile", "--json")
    content = json.loads(out)
    assert (code, content["macs"], content["params"]) == (0, 320_427_584, 4_080_512)
    code, out, err = run(capsys, "proxylessnas", "--arch", "proxyless-gpu")  # the same choices, other widths
    assert (code, out) == (2, "")
    assert "Give proxyless-gpu as the space." in err
    for arguments in (("proxyless-gpu",), ("proxyless-gpu", "--arch", "proxyless-gpu")):
        code, out, _ = run(capsys, *arguments, "--json")
        content = json.loads(out)
        assert (code, content["macs"], content["params"]) == (0, 465_260_160, 7_119_848)


def test_in_words(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(FACTORY)
    code, out, _ = run(capsys, f"{tmp_path / 'mine.py'}:small")
    assert code == 0
    assert "1 choices, 2 networks" in out
    assert "peak memory" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mobilenet_v9",), "known: mobilenet_v3"),
        (("none.py:small",), "none.py"),
        (("mobilenet_v3_8", "--arch", "[['xx_r1_k3_s1_e1_c16']]"), "xx"),
        (("mobilenet_v3_8", "--arch", "none.json"), "none.json' cannot be read"),
        (
            ("proxylessnas_8", "--arch", "proxyless-mobile"),
            "is a network of the space proxylessnas, which this is not. Give proxyless-mobile as the space.",
        ),
        (
            ("darts_8", "--arch", "darts-v2"),
            "of the space darts with channels=36, num_cells=20, affine=True, which this is not. Give darts-v2 as the",
        ),
    ],
)
def test_bad_input_is_2(arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
