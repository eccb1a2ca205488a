from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.nn import ModelSpace
from hwnas.nn.families import MobileNetV3Space, from_string, mobilenet_v3, to_string
from hwnas.nn.families.architecture_string import build
from hwnas.space import Architecture, Option

from .published import LARGE, PUBLISHED, Published
from .test_architecture_string import randomise, shapes

published = pytest.mark.parametrize("network", PUBLISHED, ids=lambda network: network.timm_name)


@pytest.fixture(scope="module")
def space() -> MobileNetV3Space:
    space = mobilenet_v3().eval()
    randomise(space)
    return space


@pytest.fixture(scope="module")
def tiny() -> MobileNetV3Space:
    space = mobilenet_v3(
        resolution=16,
        num_classes=5,
        widths=(16, 24),
        strides=(2, 1),
        depths=(1, 2),
        activations=("re", "hs"),
        stem_channels=8,
        first_channels=8,
        last_channels=32,
        head_channels=24,
    ).eval()
    randomise(space)
    return space


def uniform(space: ModelSpace, *, block: str, depth: int) -> Architecture:
    """The architecture with one depth in every stage and one option in every block."""
    chosen: dict[str, Option] = {
        choice.name: depth if choice.name.endswith(".depth") else block for choice in space.space.choices
    }
    active = {name: option for name, option in chosen.items() if int(name[-1] if name[-1].isdigit() else 0) <= depth}
    return space.space.validate(active)


def counts(network: nn.Module, resolution: int) -> tuple[int, int]:
    """Parameters and MACs."""
    network = network.to("meta")
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, resolution, resolution, device="meta"))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2


def test_the_space_has_the_published_size(space: MobileNetV3Space) -> None:
    assert space.space.size == 22_608**5 == 5_906_234_995_112_194_080_768
    assert len(space.space.choices) == 25
    assert space.space.choice("stage1.depth").options == (2, 3, 4)
    assert space.space.choice("stage5.block4").num_options == 12
    assert {"k3_e3", "k5_e6_se0.25"} < set(space.space.choice("stage1.block1").options)


def test_a_block_beyond_the_depth_is_not_in_the_architecture(space: MobileNetV3Space) -> None:
    assert len(uniform(space, block="k3_e3", depth=2)) == 5 * 3
    assert len(uniform(space, block="k3_e3", depth=4)) == 5 * 5


@pytest.mark.parametrize(
    ("block", "depth", "params", "macs"),
    [("k3_e3", 2, 3_246_072, 136_826_032), ("k5_e6_se0.25", 4, 8_949_984, 520_947_808)],
)
def test_the_extremes_have_the_published_counts(
    space: MobileNetV3Space, block: str, depth: int, params: int, macs: int
) -> None:
    assert counts(space.freeze(uniform(space, block=block, depth=depth)), 224) == (params, macs)


@published
def test_published_networks_are_in_the_space(space: MobileNetV3Space, network: Published) -> None:
    architecture = from_string(space, network.string)
    assert to_string(space, architecture) == network.string
    frozen = space.freeze(architecture)
    theirs = timm.create_model(network.timm_name).eval()
    theirs.load_state_dict(frozen.state_dict())
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(frozen(x), theirs(x), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(frozen(x), space(x, architecture), rtol=1e-5, atol=1e-5)
    assert counts(frozen, 224) == (network.params, network.macs)


@pytest.mark.parametrize("seed", range(20))
def test_a_frozen_network_is_timms_network_of_the_string(tiny: MobileNetV3Space, seed: int) -> None:
    architecture = tiny.space.sample(np.random.default_rng(seed))
    string = to_string(tiny, architecture)
    assert from_string(tiny, string) == architecture
    frozen = tiny.freeze(architecture)
    theirs = build(string, num_classes=5, stem_channels=8, head_channels=24).eval()
    assert shapes(frozen) == shapes(theirs)
    assert [(n, type(m)) for n, m in frozen.named_modules()] == [(n, type(m)) for n, m in theirs.named_modules()]
    theirs.load_state_dict(frozen.state_dict())
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        torch.testing.assert_close(frozen(x), theirs(x), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(tiny(x, architecture), theirs(x), rtol=1e-5, atol=1e-5)


def test_a_training_step_reaches_only_what_was_selected(tiny: MobileNetV3Space) -> None:
    architecture = uniform(tiny, block="k3_e3", depth=1)
    tiny.zero_grad(set_to_none=True)
    tiny(torch.randn(2, 3, 16, 16), architecture).sum().backward()
    reached = {name for name, parameter in tiny.named_parameters() if parameter.grad is not None}
    assert any(".blocks.1.0." in name for name in reached)
    assert not any(".blocks.1.1." in name or ".se." in name for name in reached)


def test_the_large_variant_is_the_space_times_1_2() -> None:
    large = mobilenet_v3(width_multiplier=1.2)
    assert large.space.size == 22_608**5
    assert large.module.conv_stem.out_channels == 40
    assert to_string(large, from_string(large, LARGE)) == LARGE


def test_repeats_and_spelled_out_defaults_are_the_same_network(tiny: MobileNetV3Space) -> None:
    first, stage1 = "['ds_r1_k3_s1_c8_nre']", "['ir_r2_k5_s2_e4_c16_nre']"
    stage2, last = "['ir_r1_k3_s1_e6_c24_nhs_se0.25']", "['cn_r1_k1_s1_c32_nhs']"
    string = f"[{first}, {stage1}, {stage2}, {last}]"
    assert dict(from_string(tiny, string)) == {
        "stage1.depth": 2,
        "stage1.block1": "k5_e4",
        "stage1.block2": "k5_e4",
        "stage2.depth": 1,
        "stage2.block1": "k3_e6_se0.25",
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("['ir_r1_k3_s1_e3_c24'], ", "", "the space has 4 stages; the string has 3"),
        ("ds_r1_k3_s1_e1_c8", "ds_r1_k5_s1_e1_c8", "stage 1 of the string: the space fixes it to .*; got .*k5"),
        ("c32", "c40", "stage 4 of the string: the space fixes it to"),
        (
            "ir_r1_k3_s2_e3_c16_nre",
            "ir_r3_k3_s2_e3_c16_nre",
            "stage 2 of the string: .* allows 1, 2 blocks; got 3",
        ),
        (
            "ir_r1_k3_s1_e3_c24",
            "ir_r1_k7_s1_e3_c24",
            "stage 3 of the string, block 1: .* no 'ir_r1_k7.*, with k3_e3,",
        ),
        ("ir_r1_k3_s2_e3_c16_nre", "ir_r1_k3_s1_e3_c16_nre", "stage 2 of the string, block 1: the space has no"),
    ],
)
def test_a_network_outside_the_space_is_refused(tiny: MobileNetV3Space, old: str, new: str, message: str) -> None:
    string = to_string(tiny, uniform(tiny, block="k3_e3", depth=1))
    assert old in string
    with pytest.raises(ArchitectureError, match=message):
        from_string(tiny, string.replace(old, new))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"widths": (24, 40)},
            "must have one entry for every elastic stage; got 2, 5 and 5",
        ),
        ({"kernels": ()}, "must each have at least one entry"),
        ({"depths": (0, 1)}, "every depth must be at least 1; got 0"),
        ({"num_classes": 0}, "num_classes must be at least 1; got 0"),
        ({"stem_stride": 3}, "stem_stride must be 1 or 2; got 3"),
        ({"kernels": (3, 4)}, "mobilenet_v3 cannot have these options: token 'k4': the kernel must be odd"),
        ({"widths": (24, 40, 80, 112, 190)}, "token 'c190': channels must be a positive multiple of 8"),
        ({"strides": (2, 2, 2, 2, 2)}, "the strides multiply to 64"),
        ({"activations": ("re", "re", "hs", "hs", "mish")}, "token 'nmish': known activations"),
        ({"kernels": (3, 3)}, "stage1.block1"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        mobilenet_v3(**options)  # type: ignore[arg-type]


def test_a_space_on_the_meta_device_is_frozen_there() -> None:
    with torch.device("meta"):
        space = mobilenet_v3()
    frozen = space.freeze(from_string(space, PUBLISHED[0].string))
    assert counts(frozen, 224) == (PUBLISHED[0].params, PUBLISHED[0].macs)
