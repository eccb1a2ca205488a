from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hwnas.errors import SpaceError
from hwnas.nn import ModelSpace
from hwnas.nn.families import FAMILIES, family, load_space, published_network

OWN = """
from dataclasses import dataclass
import torch
from hwnas.nn import LayerChoice, ModelSpace
from layers import activation

@dataclass
class Sizes:
    width: int = 4

def pair():
    net = torch.nn.Sequential(torch.nn.Linear(Sizes().width, 2), LayerChoice([activation(), torch.nn.Tanh()]))
    return net, torch.zeros(1, 4)

def space(*, width=4):
    return ModelSpace(torch.nn.Sequential(LayerChoice([activation(), torch.nn.Tanh()])), torch.zeros(1, width))

def number():
    return 3

def broken():
    return torch.nn.Linear("four", 2)

constant = 3
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "layers.py").write_text("import torch\nactivation = torch.nn.ReLU\n")
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path / "own.py"


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_runs_and_trains_on_its_own_example(name: str) -> None:
    small = {"resolution": 32} if FAMILIES[name].options.get("resolution") == 224 else {}
    space = family(name, **small)
    x = torch.randn(2, *space.example_inputs[0].shape[1:])
    architecture = space.space.sample(np.random.default_rng(0))
    y = space(x, architecture)
    y.sum().backward()
    options = FAMILIES[name].options
    assert y.shape == (2, options["num_classes"] if "num_classes" in options else 2 * options["num_points"])
    assert FAMILIES[name].description


def test_options_change_a_family() -> None:
    space = family("mobilenet_v3_8", num_classes=3, in_channels=2)
    assert space.example_inputs[0].shape == (1, 2, 8, 8)
    assert space(space.example_inputs[0].repeat(2, 1, 1, 1), space.space.sample(np.random.default_rng(0))).shape == (
        2,
        3,
    )


def test_an_unknown_name_or_option_lists_the_known_ones() -> None:
    with pytest.raises(SpaceError, match=r"unknown space 'mobilenet_v4'; known: mobilenet_v3, .*'file.py:factory'"):
        family("mobilenet_v4")
    with pytest.raises(SpaceError, match=r"unknown option 'width' of space .*; known: resolution, .*widths"):
        family("mobilenet_v3_8", width=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": 24}, r"option 'widths' of space .* must be of the kind of its default, \(16, 24\); got 24"),
        ({"widths": [16, 24.0]}, r"option 'widths' .* got \[16, 24.0\]"),
        ({"num_classes": True}, "option 'num_classes' .* default, 10; got True"),
        ({"drop_rate": "0.1"}, r"option 'drop_rate' .* default, 0.0; got '0.1'"),
    ],
)
def test_an_option_of_another_kind_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        family("mobilenet_v3_8", **options)


def test_a_list_and_an_integer_will_do() -> None:
    space = family("mobilenet_v3_8", widths=[16, 32], expansions=[2, 3.5], drop_rate=0)
    assert space.space.choice("stage1.block1").options[-1] == "k5_e3.5_se0.25"


def test_a_space_by_name_or_from_a_file(own: Path) -> None:
    assert load_space("mobilenet_v3_8", num_classes=4).space.size == family("mobilenet_v3_8").space.size
    space = load_space(f"{own}:space", width=7)
    assert isinstance(space, ModelSpace)
    assert space.example_inputs[0].shape == (1, 7)
    assert load_space(f"{own}:pair").space.size == 2


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("{own}", "a space in a file is written 'file.py:factory'; got"),
        (":space", "a space in a file is written 'file.py:factory'; got ':space'"),
        ("{own}:nothing", "has no function 'nothing'"),
        ("{own}:constant", "has no function 'constant'"),
        ("{own}:number", "the factory must return a ModelSpace, or a module and its example inputs; got int"),
        ("{folder}/none.py:space", "there is no file '.*none.py' to take a space from"),
        ("{folder}/own.txt:space", "'.*own.txt' is no Python file; its name must end in .py"),
        ("{folder}/bad.py:space", r"bad.py, line 1: not valid Python"),
        ("{own}:broken", r"own.py:broken raised TypeError: .* \(.*own.py, line 22\)\. Correct it there"),
        ("{folder}/import.py:space", r"import.py raised ModuleNotFoundError: No module named 'no_such_package'"),
        ("{folder}/import_bad.py:space", r"bad.py, line 1: not valid Python"),
    ],
)
def test_a_wrong_reference_is_explained(own: Path, reference: str, message: str) -> None:
    (own.parent / "own.txt").write_text(OWN)
    (own.parent / "bad.py").write_text("def space(:\n")
    (own.parent / "import.py").write_text("import no_such_package\n")
    (own.parent / "import_bad.py").write_text("import bad\n")
    with pytest.raises(SpaceError, match=message):
        load_space(reference.format(own=own, folder=own.parent))


def test_an_option_that_the_factory_lacks_is_an_error(own: Path) -> None:
    with pytest.raises(SpaceError, match=r"the factory cannot be called with {'height': 2}: got an unexpected keyword"):
        load_space(f"{own}:space", height=2)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        # Those of timm's networks, see published.py and test_proxylessnas.py; test_darts.py; test_shufflenet_v2.py.
        ("proxyless-mobile", 4_080_512),
        ("proxyless-gpu", 7_119_848),
        ("proxyless-cpu", 4_361_648),
        ("hardcorenas-a", 5_260_232),
        ("hardcorenas-f", 8_199_688),
        ("darts-v1", 3_169_414),
        ("darts-v2", 3_349_342),
        ("spos", 3_558_464),
    ],
)
def test_published_networks_by_name(name: str, params: int) -> None:
    with torch.device("meta"):
        network = published_network(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == params


def test_a_published_network_with_options() -> None:
    network = published_network("darts-v2", channels=4, num_cells=3, num_classes=7).eval()
    assert network(torch.zeros(1, 3, 16, 16)).shape == (1, 7)
    with pytest.raises(SpaceError, match="unknown option 'classes' of space 'darts'; known: resolution"):
        published_network("darts-v2", classes=7)
    with pytest.raises(
        SpaceError, match=r"unknown published network 'darts'; known: darts-v1, .*hardcorenas-f, .*spos$"
    ):
        published_network("darts")


def test_the_space_of_a_published_network() -> None:
    with torch.device("meta"):
        space = load_space("spos", num_classes=7)
    assert space.module.classifier[0].weight.shape == (7, 1024)  # type: ignore[union-attr, index]
    assert space.module.conv_last[1].weight.shape == (1024,)  # type: ignore[union-attr, index]  # with affine=True
    with pytest.raises(SpaceError, match="unknown option 'classes' of space 'shufflenet_v2'"):
        load_space("spos", classes=7)
