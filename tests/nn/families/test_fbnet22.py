from __future__ import annotations

import csv
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from hwnas.errors import SpaceError
from hwnas.nn import count
from hwnas.nn.families import FBNET_NETWORKS, fbnet22
from hwnas.nn.families.fbnet22 import FBNetBlock
from hwnas.profiler import FlopsProfiler, NumParamsProfiler

from .test_architecture_string import randomise
from .test_stages import macs

OPTIONS = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
LAYERS = Path(__file__).parents[4] / "shared/data/device_latency/fbnet_layers.csv"


def test_the_space_has_the_published_size() -> None:
    with torch.device("meta"):
        space = fbnet22().space
    assert len(space.choices) == 22
    assert all(choice.options == OPTIONS for choice in space.choices)
    assert space.size == 9**22


@pytest.mark.skipif(not LAYERS.exists(), reason=f"{LAYERS} is not there")
def test_every_option_of_every_layer_costs_what_hw_nas_bench_says() -> None:
    """HW-NAS-Bench's tables are of the CIFAR-100 variant: 32x32 images, no stride in the stem and the second stage."""
    with torch.device("meta"):
        space = fbnet22(
            resolution=32, num_classes=100, stem_stride=1, strides=(1, 1, 2, 2, 1, 2, 1), head_channels=1504
        )
    flops, params = FlopsProfiler(space), NumParamsProfiler(space)
    rows = list(csv.DictReader(LAYERS.open()))
    names = [choice.name for choice in space.space.choices]
    assert len(rows) == len(names) == 22
    first = dict.fromkeys(names, "k3_e1")
    stem, head, classifier = 3 * 9 * 16 * 32**2, 352 * 1504 * 4**2, 1504 * 100
    assert flops.profile(first) == stem + sum(int(row["macs_k3_e1"]) for row in rows) + head + classifier
    for name, row in zip(names, rows, strict=True):
        c_in, c_out = int(row["c_in"]), int(row["c_out"])
        norms = {}  # their parameters are those of the convolutions alone
        for option in OPTIONS:
            expansion = int(option.split("_")[1][1:]) if option != "skip" else 0
            norms[option] = 2 * (2 * expansion * c_in + c_out)
        norms["skip"] = 2 * c_out if int(row["params_skip"]) else 0
        for option in OPTIONS:
            changed = first | {name: option}
            extra = int(row[f"macs_{option}"]) - int(row["macs_k3_e1"])
            assert flops.profile(changed) - flops.profile(first) == extra
            extra = int(row[f"params_{option}"]) + norms[option] - int(row["params_k3_e1"]) - norms["k3_e1"]
            assert params.profile(changed) - params.profile(first) == extra


def test_fbnet_c_is_timms() -> None:
    ours, theirs = FBNET_NETWORKS["fbnet-c"].build().eval(), timm.create_model("fbnetc_100").eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-5
    randomise(ours)
    weights = list(ours.state_dict().values())
    assert [tensor.shape for tensor in weights] == [tensor.shape for tensor in theirs.state_dict().values()]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), weights, strict=True)))
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    x = torch.zeros(1, 3, 224, 224)
    assert count(ours, x).macs == macs(ours, x) == macs(theirs, x) == 384_960_160


@pytest.mark.parametrize(
    ("name", "million_macs", "million_params"), [("fbnet-a", 249, 4.3), ("fbnet-b", 295, 4.5), ("fbnet-c", 375, 5.5)]
)
def test_published_networks_have_about_the_printed_counts(
    name: str, million_macs: float, million_params: float
) -> None:
    """Table 3 of the paper, which rounds, and leaves open whether expansion 1 has its first convolution."""
    with torch.device("meta"):
        network = FBNET_NETWORKS[name].build()
    counted = count(network, torch.zeros(1, 3, 224, 224))
    assert counted.macs / 1e6 == pytest.approx(million_macs, rel=0.05)
    assert counted.params / 1e6 == pytest.approx(million_params, rel=0.08)


def test_groups_are_mixed_by_the_shuffle() -> None:
    torch.manual_seed(0)
    block = FBNetBlock(8, 16, kernel=3, expansion=1, groups=2).eval()
    x = torch.randn(1, 8, 4, 4, requires_grad=True)
    block(x)[:, :8].square().sum().backward()  # the first group of outputs
    assert x.grad is not None
    assert bool(x.grad[:, :4].any())
    assert bool(x.grad[:, 4:].any())
    block.shuffle = nn.Identity()
    x.grad = None
    block(x)[:, :8].square().sum().backward()
    assert not bool(x.grad[:, 4:].any())


def test_only_a_block_that_keeps_the_shape_adds_its_input() -> None:
    x = torch.randn(2, 8, 6, 6)
    for stride, out_channels, is_residual in ((1, 8, True), (2, 8, False), (1, 16, False)):
        block = FBNetBlock(8, out_channels, kernel=5, expansion=3, stride=stride).eval()
        nn.init.zeros_(block.project[1].weight)  # the block gives zero then, but for what it adds
        with torch.no_grad():
            y = block(x)
        assert y.shape == (2, out_channels, 6 // stride, 6 // stride)
        assert torch.equal(y, x) if is_residual else not y.any()


def test_some_of_the_options_will_do() -> None:
    space = fbnet22(resolution=32, options=("k3_e3", "skip"))
    assert space.space.size == 2**22


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("k3_e3", "k7_e6"), "unknown block 'k7_e6' in options; known: k3_e1, k3_e1_g2, .*skip"),
        ((), "options must have entries, all different; got none"),
        (("skip", "skip"), "options must have entries, all different; got skip, skip"),
    ],
)
def test_a_wrong_option_is_named(options: tuple[str, ...], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        fbnet22(options=options)
