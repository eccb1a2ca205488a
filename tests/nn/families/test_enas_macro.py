"""ENAS's macro space: sizes, counts, and its networks against ones computed without hwnas."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwnas.errors import SpaceError
from hwnas.nn import ModelSpace
from hwnas.nn.families import enas_macro, family
from hwnas.profiler import FlopsProfiler
from hwnas.space import Architecture, Option
from hwnas.strategy import ENAS

from .agreement import assert_counts_agree, assert_file_agrees, assert_frozen_agrees, assert_trains
from .test_architecture_string import randomise

OPERATIONS = ("conv_3x3", "sep_conv_3x3", "conv_5x5", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")


@pytest.fixture(scope="module")
def tiny() -> ModelSpace:
    torch.manual_seed(0)
    space = enas_macro(resolution=8, in_channels=1, filters=4, num_layers=6, dropout=0.0).eval()
    randomise(space)
    return space


def architectures(space: ModelSpace, number: int) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [space.space.sample(rng) for _ in range(number)]


def test_the_space_has_the_published_size() -> None:
    """Section 2.3: 6^L * 2^(L(L-1)/2), 1.6e29 for twelve layers."""
    with torch.device("meta"):
        space = enas_macro().space
    assert space.size == 6**12 * 2**66
    assert f"{space.size:.1e}" == "1.6e+29"
    assert len(space.choices) == 12 + 66


def test_the_size_is_that_of_an_enumeration(tiny: ModelSpace) -> None:
    space = family("enas_macro_8").space
    assert len({architecture.uid for architecture in space.enumerate()}) == space.size == 6**3 * 2**3
    assert tiny.space.size == 6**6 * 2**15


def test_the_choices_of_a_layer(tiny: ModelSpace) -> None:
    assert tiny.space.choice("layer_1/op").options == OPERATIONS
    skips = [name for name in tiny.space.names if "/skip/" in name]
    assert skips == [f"layer_{layer}/skip/{earlier}" for layer in range(2, 7) for earlier in range(layer - 1)]
    assert tiny.space.choice("layer_6/skip/0").options == (False, True)


def written(weights: Mapping[str, Tensor], architecture: Mapping[str, Option], num_layers: int, x: Tensor) -> Tensor:
    """The network as the paper and its program's search have it, by functions alone."""

    def conv(name: str, x: Tensor, *, groups: int = 1) -> Tensor:
        weight = weights[f"{name}.weight"]
        return functional.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=groups)

    def norm(name: str, x: Tensor) -> Tensor:
        mean, variance, scale, shift = (
            weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, scale, shift)

    def operate(name: str, operation: Option, x: Tensor) -> Tensor:
        x = norm(f"{name}.1", conv(f"{name}.0", x)).relu()
        match operation:
            case "avg_pool_3x3":
                return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
            case "max_pool_3x3":
                return functional.max_pool2d(x, 3, 1, 1)
            case "conv_3x3" | "conv_5x5":
                return norm(f"{name}.4", conv(f"{name}.3", x)).relu()
        return norm(f"{name}.5", conv(f"{name}.4", conv(f"{name}.3", x, groups=x.shape[1]))).relu()

    outputs = [norm("stem.1", conv("stem.0", x))]
    for k in range(1, num_layers + 1):
        y = operate(f"layers.{k - 1}.operation", architecture[f"layer_{k}/op"], outputs[-1])
        if k > 1:
            y = sum((outputs[j] for j in range(k - 1) if architecture[f"layer_{k}/skip/{j}"]), y)
            y = norm(f"layers.{k - 1}.norm", y)
        outputs.append(y)
        if k in (num_layers // 3, 2 * num_layers // 3):
            for j, z in enumerate(outputs):
                name = f"halvings.{k}.{j}"
                halves = [conv(f"{name}.even", z[:, :, ::2, ::2]), conv(f"{name}.odd", z[:, :, 1::2, 1::2])]
                outputs[j] = norm(f"{name}.norm", torch.cat(halves, 1))
    return functional.linear(outputs[-1].mean((2, 3)), weights["classifier.weight"], weights["classifier.bias"])


def test_networks_compute_what_is_written_without_hwnas(tiny: ModelSpace) -> None:
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    met = set()
    for architecture in architectures(tiny, 12):
        met |= {option for name, option in architecture.items() if name.endswith("/op")}
        frozen = tiny.freeze(architecture)
        with torch.no_grad():
            torch.testing.assert_close(
                frozen(x), written(frozen.state_dict(), architecture, 6, x), rtol=1e-5, atol=1e-5
            )
    assert met == set(OPERATIONS)


@pytest.mark.parametrize("affine", [False, True])
def test_counts_of_random_architectures(affine: bool) -> None:
    space = enas_macro(resolution=16, filters=6, num_layers=9, affine=affine)
    for architecture in architectures(space, 4):
        assert_counts_agree(space, architecture)


def test_macs_of_the_full_space_by_hand() -> None:
    """All layers 5x5 convolutions after 1x1 ones, four at each of three resolutions."""
    space = enas_macro()
    architecture = {name: "conv_5x5" if name.endswith("/op") else False for name in space.space.names}
    stem, classifier = 32 * 32 * 9 * 3 * 24, 24 * 10
    layers = 4 * (32 * 32 + 16 * 16 + 8 * 8) * 24 * 24 * (1 + 25)
    halvings = (5 * 16 * 16 + 9 * 8 * 8) * 24 * 24  # of the stem and four layers, of the stem and eight
    profiler = FlopsProfiler(space)
    assert profiler.profile(architecture) == stem + layers + halvings + classifier == profiler.cost.maximum().value


def test_the_supernet_computes_what_the_frozen_network_does(tiny: ModelSpace) -> None:
    for architecture in architectures(tiny, 5):
        assert_frozen_agrees(tiny, architecture)


def test_a_training_step_reaches_what_the_architecture_runs() -> None:
    torch.manual_seed(0)
    space = family("enas_macro_28", num_layers=4, dropout=0.0)
    assert_trains(space, architectures(space, 1)[0])


def test_batch_norms_and_dropout() -> None:
    with torch.device("meta"):
        plain, default = enas_macro(affine=False, dropout=0.0), enas_macro()
    for space, affine, dropout in ((plain, False, 0.0), (default, True, 0.1)):
        norms = [module for module in space.modules() if isinstance(module, nn.BatchNorm2d)]
        assert all(norm.affine == affine for norm in norms)
        assert [module.p for module in space.modules() if isinstance(module, nn.Dropout)] == [dropout]


def test_a_frozen_network_exports(tiny: ModelSpace, tmp_path: Path) -> None:
    assert_file_agrees(tiny, architectures(tiny, 1)[0], tmp_path)


def test_enas_begins_with_skips_that_are_0_4_likely() -> None:
    """256 samples for each of 3 skips: a standard error of 0.018. Operations are as good as equally likely."""
    strategy = ENAS(family("enas_macro_8"))
    chances = strategy.distribution()
    skips = [chances[f"layer_{layer}/skip/{earlier}"][1] for layer in (2, 3) for earlier in range(layer - 1)]
    assert np.mean(skips) == pytest.approx(0.4, abs=0.06)
    assert np.mean([chances[f"layer_{layer}/op"] for layer in (1, 2, 3)], axis=0) == pytest.approx(1 / 6, abs=0.06)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 30}, "resolution must be a multiple of 4, at least 8, to be halved twice; got 30"),
        ({"resolution": 4}, "resolution must be a multiple of 4, at least 8, to be halved twice; got 4"),
        ({"num_layers": 2}, "num_layers must be at least 3, for two halvings between them; got 2"),
        ({"filters": 1}, "filters must be at least 2, of which halving makes two parts; got 1"),
        ({"in_channels": 0}, "in_channels must be at least 1; got 0"),
        ({"num_classes": 0}, "num_classes must be at least 1; got 0"),
        ({"dropout": 1.0}, "dropout must be from 0 to below 1; got 1.0"),
        ({"dropout": float("nan")}, "dropout must be from 0 to below 1; got nan"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, object], message: str) -> None:
    with torch.device("meta"), pytest.raises(SpaceError, match=message):
        enas_macro(**options)  # type: ignore[arg-type]
