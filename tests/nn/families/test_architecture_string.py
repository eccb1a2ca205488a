from __future__ import annotations

from dataclasses import replace

import pytest
import timm
import torch
from hypothesis import given, settings, strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hwnas.errors import ArchitectureError
from hwnas.nn.families import architecture_string
from hwnas.nn.families.architecture_string import BlockSpec, build, parse

from .published import LARGE, PUBLISHED, Published

published = pytest.mark.parametrize("network", PUBLISHED, ids=lambda network: network.timm_name)


def randomise(network: nn.Module, seed: int = 0) -> None:
    """Draw every weight and statistic, so that no two layers agree by chance."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator)
            tensor.copy_(1 + 0.1 * noise.abs() if name.endswith("running_var") else tensor + 0.05 * noise)


def shapes(network: nn.Module) -> list[tuple[str, torch.Size]]:
    return [(name, tensor.shape) for name, tensor in network.state_dict().items()]


def macs_by_hook(network: nn.Module, x: torch.Tensor) -> int:
    """Multiply-accumulates of convolutions and linear layers, from their output shapes."""
    total = 0

    def count(layer: nn.Module, _: object, y: torch.Tensor) -> None:
        nonlocal total
        total += y.numel() * layer.weight[0].numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    network(x)
    return total


@published
def test_published_strings_survive_a_round_trip(network: Published) -> None:
    assert architecture_string.format(parse(network.string)) == network.string


@published
def test_published_networks_have_the_counts_of_the_paper_and_the_names_of_timm(network: Published) -> None:
    with torch.device("meta"):
        ours, theirs = build(network.string).eval(), timm.create_model(network.timm_name).eval()
        with FlopCounterMode(display=False) as counter:
            ours(torch.zeros(1, 3, 224, 224))
        macs = macs_by_hook(ours, torch.zeros(1, 3, 224, 224))
    assert sum(p.numel() for p in ours.parameters()) == network.params
    assert counter.get_total_flops() // 2 == macs == network.macs
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
        (k, v.shape) for k, v in theirs.state_dict().items()
    ]


@published
def test_the_same_weights_give_timms_output(network: Published) -> None:
    ours, theirs = build(network.string).eval(), timm.create_model(network.timm_name).eval()
    randomise(ours)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_the_large_variant_parses_and_builds() -> None:
    stages = parse(LARGE)
    assert architecture_string.format(stages) == LARGE
    assert [stage[0].channels for stage in stages] == [24, 32, 48, 96, 136, 232, 1152]
    with torch.device("meta"):
        network = build(stages, stem_channels=40)
        assert network(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)
    assert network.conv_stem.out_channels == 40
    assert network.conv_head.in_channels == 1152


def test_any_order_and_spelling_is_read_and_one_is_written() -> None:
    stages = parse('[["ir_c24_se0.250_e3.0_s2_k5_r1_nre"], ["dsa_r1_k3_s1_e1_c16"], ["ds_r2_k3_s1_c16_noskip"]]')
    assert (
        architecture_string.format(stages)
        == "[['ir_r1_k5_s2_e3_c24_nre_se0.25'], ['dsa_r1_k3_s1_c16'], ['ds_r2_k3_s1_e1_c16_noskip']]"
    )


@st.composite
def block_specs(draw: st.DrawFn) -> BlockSpec:
    type_ = draw(st.sampled_from(["ds", "dsa", "ir", "er", "cn"]))
    return BlockSpec(
        type=type_,
        kernel=draw(st.sampled_from([1, 3, 5, 7, 31])),
        stride=draw(st.integers(1, 9)),
        channels=8 * draw(st.integers(1, 200)),
        repeats=draw(st.integers(1, 64)),
        expansion=draw(st.floats(0.1, 64)) if type_ in ("ir", "er") else 1.0,
        squeeze_excite=draw(st.none() | st.floats(0.01, 1)) if type_ != "cn" else None,
        activation=draw(st.sampled_from([None, "re", "r6", "hs", "sw"])),
        noskip=draw(st.booleans()) if type_ in ("ds", "ir", "er") else False,
    )


@given(st.lists(st.lists(block_specs(), min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple))
@settings(max_examples=100, deadline=None)
def test_parse_undoes_format(stages: architecture_string.Stages) -> None:
    assert parse(architecture_string.format(stages)) == stages


@given(st.text(alphabet="[]'\",_rksecndai0123456789. ", max_size=60))
@settings(max_examples=200, deadline=None)
def test_rubbish_is_an_architecture_error_or_an_architecture(text: str) -> None:
    try:
        stages = parse(text)
    except ArchitectureError:
        return
    assert parse(architecture_string.format(stages)) == stages


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            "ir_r1_k5_s2_e3_c24_nxx",
            r"stage 2, block 1 \('ir_.*'\): unknown token 'nxx'; known tokens: rN, .*noskip",
        ),
        ("ir_r1_k5_s2_e3_c24_q7", "unknown token 'q7'"),
        ("ir_r1_k5_s2_e3_c24_", "unknown token ''"),
        ("ir_r1_k5.5_s2_e3_c24", r"unknown token 'k5\.5'"),
        ("ir_r1_k05_s2_e3_c24", "unknown token 'k05'"),
        ("ir_r1_k5_s2_e3_c٢٤", "unknown token 'c٢٤'"),
        ("ir_r1_k5_s2_e3e1_c24", "unknown token 'e3e1'"),
        ("ir_r1_k5_s2_e3_c24_k3", "token 'k3' repeats 'k'"),
        ("ir_r1_k5_s2_c24", "missing token 'e'; a 'ir' block needs r, k, s, e, c"),
        ("cn", "missing token 'r', 'k', 's', 'c'"),
        ("xx_r1_k5_s2_c24", "unknown block type 'xx'; known types: ds, dsa, ir, er, cn"),
        ("cn_r1_k1_s1_e3_c960", "token 'e3' means nothing for a 'cn' block, which has r, k, s, c, n"),
        ("cn_r1_k1_s1_c960_se0.25", r"token 'se0\.25' means nothing for a 'cn' block"),
        ("dsa_r1_k3_s1_c16_noskip", "token 'noskip' means nothing for a 'dsa' block"),
        ("ds_r1_k3_s1_e3_c16", "token 'e3': a 'ds' block has no expansion; write e1 or leave it out"),
        ("ir_r0_k5_s2_e3_c24", "token 'r0': repeats must lie between 1 and 64"),
        ("ir_r1_k4_s2_e3_c24", "token 'k4': the kernel must be odd"),
        ("ir_r1_k5_s0_e3_c24", "token 's0': the stride must lie between 1 and 9"),
        ("ir_r1_k5_s2_e0_c24", r"token 'e0': the expansion must lie between 0\.1 and 64"),
        ("ir_r1_k5_s2_e3_c20", "token 'c20': channels must be a positive multiple of 8"),
        ("ir_r1_k5_s2_e3_c24_se0", "token 'se0': the ratio must lie between .* leave the token out"),
    ],
)
def test_a_wrong_token_is_named_with_its_block(block: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        parse(f"[['ds_r1_k3_s1_e1_c16_nre'], ['{block}']]")


@pytest.mark.parametrize(
    ("string", "message"),
    [
        ("", "must be a list of lists of block strings"),
        ("__import__('os').getcwd()", "must be a list of lists of block strings"),
        ("[" * 60_000, "must be a list of lists of block strings"),
        ("[]" + " " * 70_000, "at most 65536 characters; got 70002"),
        ("[]", "an architecture string must be a list with at least one element"),
        ("'ir_r1'", "an architecture string must be a list"),
        ("[['cn_r1_k1_s1_c8'], []]", "stage 2 must be a list with at least one element"),
        ("[[3]]", "stage 1, block 1: a block must be a string such as .*; got 3"),
    ],
)
def test_a_string_of_another_form_is_refused(string: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        parse(string)


def test_a_spec_is_checked_however_it_is_made() -> None:
    spec = BlockSpec(type="cn", kernel=1, stride=1, channels=8)
    with pytest.raises(ArchitectureError, match="unknown block type 'uir'"):
        replace(spec, type="uir")
    with pytest.raises(ArchitectureError, match="token 'nmi': known activations: re, r6, hs, sw"):
        replace(spec, activation="mi")
    with pytest.raises(ArchitectureError, match=r"token 'se0\.25' means nothing for a 'cn' block"):
        replace(spec, squeeze_excite=0.25)
    with pytest.raises(ArchitectureError, match="token 'noskip' means nothing for a 'cn' block"):
        replace(spec, noskip=True)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("[['cn_r1_k3_s3_c8']]", r"stage 1, block 1 .*token 's3': MobileNetV3 is built with strides 1 and 2"),
        ("[['cn_r1_k3_s1_c8', 'cn_r1_k3_s2_c8']]", "stage 1, block 2 .*only the first block of a stage"),
        ("[" + "['cn_r1_k3_s2_c8']," * 5 + "]", "the strides multiply to 64"),
    ],
)
def test_what_timm_would_change_without_a_word_is_refused(stages: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        build(stages)


def test_a_small_network_keeps_its_resolution_in_the_stem() -> None:
    network = build(
        "[['ds_r1_k3_s1_e1_c8'], ['ir_r2_k3_s2_e3_c16_se0.25']]",
        num_classes=10,
        in_channels=1,
        stem_channels=8,
        stem_stride=1,
        head_channels=32,
        activation="re",
    )
    x = torch.zeros(2, 1, 8, 8)
    assert network.forward_features(x).shape == (2, 16, 4, 4)
    assert network(x).shape == (2, 10)
    assert [f["reduction"] for f in network.feature_info] == [1, 2]
