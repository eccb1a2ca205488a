import json

import pytest

from hwnas.cli.main import main
from hwnas.nn.families import FAMILIES, PUBLISHED_NETWORKS


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as left:
        main(["spaces", *arguments])
    assert left.value.code == 0
    return capsys.readouterr().out


def test_the_published_networks_stand_beside_the_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(run(capsys, "--json"))
    assert [space["name"] for space in content["spaces"]] == list(FAMILIES)
    networks = {network["name"]: network for network in content["networks"]}
    assert set(networks) == {name for of in PUBLISHED_NETWORKS.values() for name in of}
    assert networks["proxyless-mobile"] == {"name": "proxyless-mobile", "space": "proxylessnas", "options": {}}
    # 36 channels in 20 cells: the paper's evaluation on CIFAR-10, arXiv:1806.09055, section 3.2.
    assert networks["darts-v2"]["options"] == {"channels": 36, "num_cells": 20, "affine": True}
    assert {network["space"] for network in networks.values()} == {
        "darts",
        "fbnet22",
        "mobilenet_v3",
        "proxylessnas",
        "shufflenet_v2",
    }


def test_in_words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = run(capsys).splitlines()
    assert any(line.split()[:2] == ["fbnet-c", "fbnet22"] for line in lines)
    assert any("proxyless-gpu" in line and "head_channels=1728" in line for line in lines)
    assert any(line.startswith("nasbench201 ") and line.endswith("1.6e+04") for line in lines)
