from __future__ import annotations

from functools import partial

import pytest
import torch
from timm.models._efficientnet_builder import decode_arch_def
from timm.models.efficientnet import EfficientNet
from torch import nn

from hwnas.errors import SpaceError
from hwnas.nn import count
from hwnas.nn.families import PROXYLESSNAS_NETWORKS, proxylessnas
from hwnas.profiler import FlopsProfiler

from .test_architecture_string import randomise
from .test_stages import macs

# Of the authors' released networks (https://github.com/mit-han-lab/proxylessnas): multiply-accumulates at 3x224x224,
# parameters with batch norm, and the options that vary.
PUBLISHED = (
    ("proxyless-mobile", 320_427_584, 4_080_512),
    ("proxyless-gpu", 465_260_160, 7_119_848),
    ("proxyless-cpu", 439_243_864, 4_361_648),
)


def timms(name: str) -> nn.Module:
    """The published network as timm builds it from a string of our architecture."""
    published = PROXYLESSNAS_NETWORKS[name]
    options = published.space.keywords  # type: ignore[attr-defined]
    stages = [[f"ds_r1_k3_s1_e1_c{options['first_channels']}_noskip"]]
    for s, (width, stride) in enumerate(zip(options["widths"], (2, 2, 2, 1, 2, 1), strict=True), start=1):
        blocks = [option for key, option in published.architecture.items() if key.startswith(f"stage{s}.")]
        blocks = [
            f"ir_r1_{option.split('_')[0]}_s1_{option.split('_')[1]}_c{width}" for option in blocks if "_" in option
        ]
        stages.append([blocks[0].replace("_s1_", f"_s{stride}_"), *blocks[1:]])
    return EfficientNet(
        decode_arch_def(stages),
        num_features=options["head_channels"],
        stem_size=options["stem_channels"],
        fix_stem=True,
        act_layer=nn.ReLU6,
        norm_layer=partial(nn.BatchNorm2d, eps=1e-3),
    )


def test_the_space_has_the_published_size() -> None:
    with torch.device("meta"):
        space = proxylessnas().space
    six = ("k3_e3", "k3_e6", "k5_e3", "k5_e6", "k7_e3", "k7_e6")
    changing = {f"stage{stage}.block1" for stage in range(1, 7)}
    assert len(space.choices) == 21
    for choice in space.choices:
        assert choice.options == (six if choice.name in changing else (*six, "skip"))
    assert space.size == 6**6 * 7**15 == 221_502_229_807_900_608


def test_the_extremes_are_the_published_ones() -> None:
    with torch.device("meta"):
        flops = FlopsProfiler(proxylessnas())
    assert (flops.min(), flops.max()) == (108_869_888, 693_483_008)
    assert set(flops.minimum().architecture.values()) == {"k3_e3", "skip"}
    assert set(flops.maximum().architecture.values()) == {"k7_e6"}


@pytest.mark.parametrize(("name", "published_macs", "published_params"), PUBLISHED)
def test_published_networks_have_the_published_counts(name: str, published_macs: int, published_params: int) -> None:
    x = torch.zeros(1, 3, 224, 224, device="meta")
    with torch.device("meta"):
        network = PROXYLESSNAS_NETWORKS[name].build()
    counted = count(network, x)
    assert (counted.macs, counted.params) == (published_macs, published_params)
    assert macs(network, x) == macs(timms(name), x) == published_macs


@pytest.mark.parametrize("name", PROXYLESSNAS_NETWORKS)
def test_published_networks_compute_what_timms_do(name: str) -> None:
    ours, theirs = PROXYLESSNAS_NETWORKS[name].build().eval(), timms(name).eval()
    randomise(ours)
    weights = list(ours.state_dict().values())
    assert [tensor.shape for tensor in weights] == [tensor.shape for tensor in theirs.state_dict().values()]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), weights, strict=True)))
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_the_network_for_phones_is_in_the_space() -> None:
    with torch.device("meta"):
        space = proxylessnas()
    mobile = PROXYLESSNAS_NETWORKS["proxyless-mobile"]
    assert FlopsProfiler(space).profile(space.space.validate(mobile.architecture)) == 320_427_584


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernels": ()}, r"kernels and expansions must each have entries, all different; got \(\) and"),
        ({"expansions": (3, 3)}, r"all different; got \(3, 5, 7\) and \(3, 3\)"),
        ({"kernels": (3, 4)}, "every kernel must be odd, so that it has symmetric padding; got 4"),
        ({"expansions": (0, 3)}, "every expansion must be a whole number of at least 1; got 0"),
        ({"expansions": (2.5, 3)}, "every expansion must be a whole number of at least 1; got 2.5"),
        ({"first_channels": 9}, "first_channels must be a positive multiple of 8; got 9"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        proxylessnas(**options)  # type: ignore[arg-type]
