import json
import pathlib

import pytest
import torch
from torch import nn

from hwnas.cli.main import main
from hwnas.export import export_onnx


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    return export_onnx(module, (torch.zeros(1, 1, 8, 8),), tmp_path_factory.mktemp("onnx") / "network.onnx")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["verify", *arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


def test_a_network_within_its_budget(network: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(network), "--budget", "latency<=60s", "--rounds", "2", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["passed"] is True
    assert 0 < content["lower_ms"] <= content["corrected_ms"] <= content["upper_ms"] < content["limit_ms"] == 60_000
    assert content["fingerprint"]["runtime"] == "onnxruntime"


def test_a_network_over_its_budget_is_3_and_still_says_what_was_measured(
    network: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(network), "--budget", "latency<=1ns", "--rounds", "2", "--json") == 3
    captured = capsys.readouterr()
    assert json.loads(captured.out)["passed"] is False
    assert "over budget: " in captured.err
    assert "latency<=1ns was asked for" in captured.err


def test_in_words(network: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(network), "--budget", "latency<=60s", "--rounds", "2") == 0
    assert "of latency<=60s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--budget", "latency<=5"), "needs a unit"),
        (("--budget", "params<=4M"), "A file is verified against an absolute latency, as in 'latency<=5ms'; got"),
        (("--budget", "latency<=60%"), "A file is verified against an absolute latency, as in 'latency<=5ms'; got"),
        (("--budget", "latency<=5ms", "--device", "abacus"), "Unknown device 'abacus'. Known are: onnxruntime:cpu"),
        (("--budget", "latency<=5ms", "--table", "none.sqlite"), "none.sqlite"),
    ],
)
def test_bad_input_is_2(
    network: pathlib.Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(network), *arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_a_file_that_is_no_onnx(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(tmp_path / "none.onnx"), "--budget", "latency<=5ms") == 2
    (tmp_path / "text.onnx").write_text("not a network")
    assert run(str(tmp_path / "text.onnx"), "--budget", "latency<=5ms") == 2
    assert "text.onnx" in capsys.readouterr().err
