from __future__ import annotations

from functools import partial
from itertools import product

import pytest
import torch
from timm.models._efficientnet_blocks import InvertedResidual, SqueezeExcite
from timm.models._efficientnet_builder import round_channels
from torch import Tensor, nn

from hwnas.errors import SpaceError
from hwnas.nn import ModelSpace, Paths
from hwnas.nn.elastic_inverted_residual import ElasticInvertedResidual
from hwnas.space import Choice

KERNELS, EXPANSIONS, RATIOS = [3, 5], [2.5, 4], [0.0, 0.25, 0.5]


def elastic(channels: int = 8, *, stride: int = 1) -> ModelSpace:
    block = ElasticInvertedResidual(
        channels,
        channels,
        kernel_size=KERNELS,
        expansion=EXPANSIONS,
        squeeze_excite=RATIOS,
        stride=stride,
        activation=nn.Hardswish,
    )
    space = ModelSpace(nn.Sequential(block), torch.zeros(1, channels, 6, 6))
    generator = torch.Generator().manual_seed(0)
    for name, tensor in space.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator)
            tensor.copy_(noise.abs() + 0.5 if name.endswith("running_var") else 0.5 * noise)
    return space


def named(kernel: int, expansion: float, ratio: float) -> dict[str, int | float]:
    return {"0.kernel_size": kernel, "0.expansion": expansion, "0.squeeze_excite": ratio}


def images(num: int = 3) -> Tensor:
    return torch.randn(num, 8, 6, 6, generator=torch.Generator().manual_seed(1))


def timms_block(kernel: int, expansion: float, ratio: float, *, stride: int) -> InvertedResidual:
    squeeze = partial(
        SqueezeExcite, rd_ratio=ratio, gate_layer="hard_sigmoid", force_act_layer=nn.ReLU, rd_round_fn=round_channels
    )
    return InvertedResidual(
        8,
        8,
        dw_kernel_size=kernel,
        stride=stride,
        exp_ratio=expansion,
        act_layer=nn.Hardswish,
        se_layer=squeeze if ratio else None,
    ).eval()


def cut(whole: Tensor, shape: torch.Size) -> Tensor:
    """The first entries of every dimension, but the centre of a kernel."""
    for dim, (have, want) in enumerate(zip(whole.shape, shape, strict=True)):
        whole = whole.narrow(dim, (have - want) // 2 if dim >= 2 else 0, want)
    return whole


@pytest.mark.parametrize(("kernel", "expansion", "ratio", "stride"), [*product(KERNELS, EXPANSIONS, RATIOS, [1, 2])])
def test_every_option_is_timms_block_with_part_of_the_weights(
    kernel: int, expansion: float, ratio: float, stride: int
) -> None:
    space = elastic(stride=stride).eval()
    theirs = timms_block(kernel, expansion, ratio, stride=stride)
    whole = space.module[0].block.state_dict()
    theirs.load_state_dict({name: cut(whole[name], tensor.shape) for name, tensor in theirs.state_dict().items()})
    frozen = space.freeze(named(kernel, expansion, ratio))
    with torch.no_grad():
        expected = theirs(images())
        torch.testing.assert_close(space(images(), named(kernel, expansion, ratio)), expected)
        torch.testing.assert_close(frozen(images()), expected)
    ours = frozen[0]
    assert type(ours) is InvertedResidual
    assert [(n, t.shape) for n, t in ours.state_dict().items()] == [
        (n, t.shape) for n, t in theirs.state_dict().items()
    ]
    assert [name for name, parameter in ours.named_parameters() if not parameter.requires_grad] == []
    for layer, other in zip(ours.modules(), theirs.modules(), strict=True):
        if isinstance(layer, nn.Conv2d):
            assert repr(layer) == repr(other)


def test_a_step_writes_only_to_the_part_that_ran() -> None:
    space = elastic().train()
    before = {name: tensor.clone() for name, tensor in space.state_dict().items()}
    space(images(), named(3, 2.5, 0.0)).square().sum().backward()
    block = space.module[0].block
    inner = 24  # 8 * 2.5 = 20, rounded to a multiple of 8
    assert block.conv_pw.weight.grad[:inner].abs().sum(dim=(1, 2, 3)).min() > 0
    assert block.conv_pw.weight.grad[inner:].abs().max() == 0
    assert block.conv_dw.weight.grad[:inner, :, 1:4, 1:4].abs().max() > 0
    assert block.conv_dw.weight.grad[:, :, 0].abs().max() == block.conv_dw.weight.grad[:, :, :, 4].abs().max() == 0
    assert block.se.conv_reduce.weight.grad is None
    old = before["module.0.block.bn1.running_mean"]
    assert (block.bn1.running_mean[:inner] != old[:inner]).all()
    assert torch.equal(block.bn1.running_mean[inner:], old[inner:])


def test_a_frozen_block_has_memory_of_its_own() -> None:
    space = elastic()
    frozen = space.freeze(named(3, 2.5, 0.25))
    with torch.no_grad():
        for tensor in space.state_dict().values():
            tensor.zero_()
    assert all(parameter.abs().max() > 0 for parameter in frozen.parameters())


def test_one_choice_can_decide_everything() -> None:
    sizes = {"small": (3, 2, 0.0), "large": (5, 4, 0.25)}
    choice = Choice("size", list(sizes))
    block = ElasticInvertedResidual(
        8,
        8,
        kernel_size=choice.map(lambda size: sizes[str(size)][0]),
        expansion=choice.map(lambda size: sizes[str(size)][1]),
        squeeze_excite=choice.map(lambda size: sizes[str(size)][2]),
    )
    space = ModelSpace(block, torch.zeros(1, 8, 6, 6))
    assert space.space.choices == (choice,)
    small, large = space.freeze({"size": "small"}), space.freeze({"size": "large"})
    assert (small.conv_dw.kernel_size, small.conv_dw.groups) == ((3, 3), 16)
    assert (large.conv_dw.kernel_size, large.conv_dw.groups) == ((5, 5), 32)
    assert large.se.conv_reduce.out_channels == 8


def test_a_width_can_be_shared_with_the_next_block() -> None:
    width = Choice("width", [8, 16])
    first = ElasticInvertedResidual(8, width, expansion=2)
    second = ElasticInvertedResidual(width, 16, expansion=2)
    space = ModelSpace(nn.Sequential(first, second), torch.zeros(1, 8, 6, 6)).eval()
    for option, skips in ((8, [True, False]), (16, [False, True])):
        frozen = space.freeze({"width": option})
        assert [block.has_skip for block in frozen] == skips
        assert frozen[1].conv_pw.weight.shape[:2] == (2 * option, option)
        torch.testing.assert_close(frozen(images()), space(images(), {"width": option}))


def test_paths_per_image_give_every_image_its_own_block() -> None:
    space = elastic().eval()
    rows = Paths(torch.eye(2)[[0, 1, 0]])
    with torch.no_grad():
        mixed = space(images(), {**named(3, 4, 0.25), "0.kernel_size": rows})
        apart = [space(images()[i : i + 1], named(kernel, 4, 0.25)) for i, kernel in enumerate([3, 5, 3])]
    torch.testing.assert_close(mixed, torch.cat(apart))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": 0}, "`in_channels` must be a positive integer; got 0"),
        ({"out_channels": [8, -8]}, "`out_channels` must be a positive integer; got -8"),
        ({"kernel_size": 4}, "`kernel_size` must be a positive odd integer; got 4"),
        ({"expansion": 0}, "`expansion` must be a positive number; got 0"),
        ({"squeeze_excite": [0.0, 1.5]}, r"`squeeze_excite` must be between 0 and 1; got 1\.5"),
        ({"stride": 0}, "`stride` must be a positive integer; got 0"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        ElasticInvertedResidual(**{"in_channels": 8, "out_channels": 8, **arguments})  # type: ignore[arg-type]
