from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional

from hwnas.data import TensorPart, landmarks
from hwnas.errors import SpaceError
from hwnas.export import export_onnx
from hwnas.nn import LayerChoice, ModelSpace, count
from hwnas.nn.families import PFLDNetwork, WithAngleHead, family, pfld
from hwnas.nn.families.pfld_blocks import BLOCKS, Attention, SizedPlace
from hwnas.profiler import FlopsProfiler, NumParamsProfiler
from hwnas.space import Architecture, Option
from hwnas.train import FinalRecipe, Recipe, train_finally

from .agreement import assert_counts_agree, assert_file_agrees, assert_frozen_agrees
from .test_architecture_string import randomise

STAGE1 = [
    "mb_k3_res",
    "mb_k3_e2_res",
    "mb_k3_res_d3",
    "mb_k5_res",
    "mb_k5_e2_res",
    "sep_k3",
    "sep_k5",
    "gh_k3",
    "gh_k5",
]
STAGE2 = [
    "mb_k3_e2_res",
    "mb_k3_e4_res",
    "mb_k3_e2_res_se",
    "mb_k3_res_d3",
    "mb_k5_res",
    "mb_k5_e2_res",
    "mb_k5_res_se",
    "mb_k5_e2_res_se",
    "gh_k5",
]


@pytest.fixture(scope="module")
def published() -> ModelSpace:
    with torch.device("meta"):
        return pfld()


@pytest.fixture
def tiny() -> ModelSpace:
    torch.manual_seed(0)
    space = family("pfld_32").eval()
    randomise(space)
    return space


def sampled(space: ModelSpace, num: int) -> list[Architecture]:
    rng = np.random.default_rng(3)
    return [space.space.sample(rng) for _ in range(num)]


def freeze(space: ModelSpace, architecture: Mapping[str, Option]) -> PFLDNetwork:
    frozen = space.freeze(architecture)
    assert isinstance(frozen, PFLDNetwork)
    return frozen


def covering(space: ModelSpace) -> list[dict[str, Option]]:
    """Nine architectures that have every option of every layer."""
    return [{choice.name: choice.options[i] for choice in space.space.choices} for i in range(9)]


def test_the_space_is_the_published_one(published: ModelSpace) -> None:
    """NNI's example: the options of two stages, 9^5 networks, 106 points."""
    assert {choice.name: list(choice.options) for choice in published.space.choices} == {
        "stage1.block1": STAGE1,
        "stage1.block2": STAGE1,
        "stage2.block1": STAGE2,
        "stage2.block2": STAGE2,
        "stage2.block3": STAGE2,
    }
    assert published.space.size == 9**5 == 59_049


def test_the_extremes_are_the_published_ones(published: ModelSpace) -> None:
    """The counts of NNI's networks."""
    macs, params = FlopsProfiler(published), NumParamsProfiler(published)
    assert (macs.min(), macs.max()) == (5_830_224, 12_135_152)
    assert (params.min(), params.max()) == (105_476, 209_604)


def test_the_fixed_part_is_the_published_one(published: ModelSpace) -> None:
    """The counts of NNI's network without its five layers."""
    architecture = sampled(published, 1)[0]
    frozen = freeze(published, architecture)
    whole = count(frozen, published.example_inputs)
    layers = [*frozen.stage1, *frozen.stage2]
    shapes = [(32, 14), (32, 14), (32, 14), (64, 7), (64, 7)]
    parts = [
        count(layer, torch.zeros(1, channels, side, side, device="meta"))
        for layer, (channels, side) in zip(layers, shapes, strict=True)
    ]
    assert whole.macs - sum(part.macs for part in parts) == 5_204_592
    assert whole.params - sum(part.params for part in parts) == 96_132


def test_blocks_cost_what_their_formulas_say() -> None:
    """MACs and parameters by hand, of the first layer of stage 2: 32 to 64 channels, 14x14 to 7x7."""
    place = SizedPlace(in_channels=32, out_channels=64, stride=2, side=7)

    def mobile(kernel: int, inner: int, attention: bool = False) -> tuple[int, int]:
        macs = 32 * inner * 14**2 + inner * kernel**2 * 7**2 + inner * 64 * 7**2
        params = 32 * inner + inner * kernel**2 + inner * 64 + 2 * (2 * inner + 64)
        extra = inner * 7**2 + inner**2 if attention else 0
        return macs + extra, params + extra + (inner if attention else 0)

    def separable(kernel: int) -> tuple[int, int]:
        return (32 * kernel**2 + 32 * 64) * 7**2, 32 * kernel**2 + 32 * 64 + 2 * (32 + 64)

    def ghost(kernel: int) -> tuple[int, int]:
        return (32 * 32 + 32 * kernel**2) * 7**2, 32 * 32 + 32 * kernel**2 + 2 * 64

    expected = {
        "mb_k3_res": mobile(3, 32),
        "mb_k3_e2_res": mobile(3, 64),
        "mb_k3_e4_res": mobile(3, 128),
        "mb_k3_e2_res_se": mobile(3, 64, attention=True),
        "mb_k3_res_d3": mobile(3, 64),
        "mb_k5_res": mobile(5, 32),
        "mb_k5_e2_res": mobile(5, 64),
        "mb_k5_res_se": mobile(5, 32, attention=True),
        "mb_k5_e2_res_se": mobile(5, 64, attention=True),
        "sep_k3": separable(3),
        "sep_k5": separable(5),
        "gh_k3": ghost(3),
        "gh_k5": ghost(5),
    }
    assert set(expected) == set(BLOCKS)
    for name, make in BLOCKS.items():
        counted = count(make(place), torch.zeros(1, 32, 14, 14))
        assert (counted.macs, counted.params) == expected[name], name


@pytest.mark.parametrize("option", BLOCKS)
def test_a_block_adds_its_input_where_it_says_so_and_the_shape_stays(option: str) -> None:
    for out_channels, stride in ((8, 1), (8, 2), (16, 1)):
        place = SizedPlace(in_channels=8, out_channels=out_channels, stride=stride, side=8 // stride)
        block = BLOCKS[option](place).eval()
        for norm in block.modules():
            if isinstance(norm, nn.BatchNorm2d):
                nn.init.zeros_(norm.weight)  # the block gives zero then, but for what it adds
        x = torch.randn(2, 8, 8, 8)
        with torch.no_grad():
            y = block(x)
        assert y.shape == (2, out_channels, 8 // stride, 8 // stride)
        assert torch.equal(y, x) if "res" in option and (out_channels, stride) == (8, 1) else not y.any()


def test_a_dilated_kernel_reaches_three_pixels() -> None:
    torch.manual_seed(0)  # of so many channels hardly ever all are below zero, and then no gradient goes through
    block = BLOCKS["mb_k3_res_d3"](SizedPlace(in_channels=16, out_channels=16, stride=1, side=9)).eval()
    x = torch.randn(1, 16, 9, 9, requires_grad=True)
    block(x)[0, :, 4, 4].sum().backward()
    assert x.grad is not None
    reached = x.grad[0].abs().sum(0).nonzero()
    assert {tuple(place) for place in reached.tolist()} == set(itertools.product((1, 4, 7), repeat=2))


def test_attention_with_equal_weights_is_of_the_mean() -> None:
    """Lee and Park, equation 3, with a pool whose weights are all 1/side^2; the gate is min(max(x + 3, 0), 6) / 6."""
    attention = Attention(4, side=5)
    nn.init.constant_(attention.pool.weight, 1 / 25)
    x = torch.randn(2, 4, 5, 5)
    mixed = torch.einsum("oc,nc->no", attention.mix.weight[:, :, 0, 0], x.mean((2, 3)))
    mixed = mixed + attention.state_dict()["mix.bias"]
    torch.testing.assert_close(attention(x), x * ((mixed + 3).clamp(0, 6) / 6)[:, :, None, None])


@pytest.mark.parametrize("name", ["pfld", "pfld_32"])
def test_three_ways_to_count_agree(name: str) -> None:
    with torch.device("meta"):
        space = family(name)
    for architecture in [*sampled(space, 5), *covering(space)]:
        assert_counts_agree(space, architecture)


def test_a_frozen_network_is_the_supernet_with_weights_of_its_own(tiny: ModelSpace) -> None:
    for architecture in [*sampled(tiny, 3), *covering(tiny)]:
        assert_frozen_agrees(tiny, architecture)


def test_weights_are_inherited(tiny: ModelSpace) -> None:
    (architecture,) = sampled(tiny, 1)
    frozen, supernet = freeze(tiny, architecture), tiny.module
    assert not any(isinstance(module, LayerChoice) for module in frozen.modules())
    for choice, option in architecture.items():
        stage, block = choice.split(".block")
        path = f"{stage}.{int(block) - 1}"
        candidate = supernet.get_submodule(f"{path}.{option}").state_dict()
        for key, tensor in frozen.get_submodule(path).state_dict().items():
            assert torch.equal(tensor, candidate[key])
    for part in ("stem", "entry", "shrink_half", "shrink_stage1", "head"):
        theirs = supernet.get_submodule(part).state_dict()
        for key, tensor in frozen.get_submodule(part).state_dict().items():
            assert torch.equal(tensor, theirs[key])


def test_the_head_joins_three_scales(tiny: ModelSpace) -> None:
    """Stage 2, and behind it stage 1 by stride 2 and the stem by stride 8, of half the image's side."""
    frozen = freeze(tiny, covering(tiny)[0])
    x = torch.randn(2, 1, 32, 32)
    half, quarter = frozen.stem(x)
    assert (half.shape, quarter.shape) == ((2, 8, 16, 16), (2, 8, 8, 8))
    stage1 = frozen.stage1(frozen.entry(quarter))
    stage2 = frozen.stage2(stage1)
    assert (stage1.shape, stage2.shape) == ((2, 16, 4, 4), (2, 32, 2, 2))
    joined = torch.cat(
        [
            stage2,
            functional.conv2d(stage1, frozen.shrink_stage1.weight, stride=2, padding=1, groups=16),
            functional.conv2d(half, frozen.shrink_half.weight, stride=8, padding=1, groups=8),
        ],
        1,
    )
    torch.testing.assert_close(frozen(x), frozen.head(joined))


@pytest.mark.parametrize("resolution", [16, 48])
def test_any_multiple_of_16_will_do(resolution: int) -> None:
    space = pfld(resolution=resolution, in_channels=2, num_points=3, widths=(4, 8, 6))
    network = WithAngleHead(freeze(space, sampled(space, 1)[0]))
    x = torch.randn(2, 2, resolution, resolution)
    assert network.eval()(x).shape == (2, 6)
    assert network.train()(torch.cat([x, x])).shape == (4, 9)


def test_the_angle_head_is_the_published_one_and_no_part_of_the_network(tiny: ModelSpace) -> None:
    """NNI's example, on 28x28x16 features: 64, 64 and 32 channels, a 7x7 convolution to 3x3, the maximum, 32, 3."""
    with torch.device("meta"):
        model = WithAngleHead(freeze(pfld(), covering(pfld())[0]))
        counted = count(model.angles, torch.zeros(1, 16, 28, 28))
    convolutions = [(16 * 9 * 64, 14), (64 * 9 * 64, 14), (64 * 9 * 32, 7), (32 * 49 * 64, 3)]
    weights = sum(weight for weight, _ in convolutions) + 64 * 32 + 32 * 3
    assert counted.macs == sum(weight * side**2 for weight, side in convolutions) + 64 * 32 + 32 * 3
    assert counted.params == weights + 2 * (64 + 64 + 32 + 64) + 32 + 3

    network = freeze(tiny, covering(tiny)[0])
    with_head = WithAngleHead(network)
    x = torch.randn(2, 1, 32, 32)
    assert torch.equal(with_head.eval()(x), network(x))
    before = network(x)
    with_head.train()
    network.eval()
    outputs = with_head(x)
    torch.testing.assert_close(outputs[:, :10], before)
    torch.testing.assert_close(outputs[:, 10:], with_head.angles(network.stem(x)[1]))
    assert with_head.network is network


def test_the_angle_head_takes_networks_of_its_family() -> None:
    with pytest.raises(SpaceError, match=r"WithAngleHead takes a network .* of the family pfld; got Linear"):
        WithAngleHead(nn.Linear(1, 1))


def faces(num: int) -> TensorPart:
    """Grey images with one bright spot, five points around it, and three angles that depend on where it is."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(0.3, 0.7, (num, 1, 2))
    grid = (np.arange(32) + 0.5) / 32
    images = np.exp(
        -40 * ((grid[None, None, :] - centres[:, :, :1]) ** 2 + (grid[None, :, None] - centres[:, :, 1:]) ** 2)
    )
    offsets = np.array([[-0.2, 0.0], [0.2, 0.0], [0.0, 0.1], [-0.1, 0.2], [0.1, 0.2]])
    points = (centres + offsets).reshape(num, 10)
    angles = 3 * np.concatenate([centres[:, 0], centres[:, 0, :1] - centres[:, 0, 1:]], 1)
    targets = torch.tensor(np.concatenate([points, angles], 1)).float()
    return TensorPart([torch.tensor(images)[:, None].float()], targets, np.arange(num), num_classes=0)


def test_a_network_learns_faces_with_its_angle_head(tmp_path: Path) -> None:
    torch.manual_seed(0)
    space, data, task = family("pfld_32"), faces(256), landmarks(eyes=(0, 1), angles=True)
    network = freeze(space, covering(space)[2])
    batch = data.batch(np.arange(256))
    model = WithAngleHead(network)
    recipe = Recipe(epochs=12, batch_size=16, learning_rate=0.05, label_smoothing=0.0, distillation=0.0)
    train_finally(model, data, task, FinalRecipe(recipe=recipe), seed=0)
    same = batch.labels.mean(0, keepdim=True).expand(256, -1)
    with torch.no_grad():
        points = network.eval()(*batch.inputs)
        angles = model.eval().angles(network.stem(*batch.inputs)[1])
    # Better by a quarter than the mean face, for which no image is needed; angles within some 10 degrees each.
    assert task.scores(points, batch.labels).mean() > 0.75 * task.scores(same, batch.labels).mean()
    assert (1 - (angles - batch.labels[:, 10:]).cos()).sum(1).mean() < 0.05
    path = export_onnx(network.eval(), space.example_inputs, tmp_path / "face.onnx")
    assert onnx.load(path).graph.output[0].type.tensor_type.shape.dim[1].dim_value == 10


def test_the_supernet_learns_faces_without_a_head() -> None:
    """One step of each of nine architectures: what they run has a gradient, and the loss has no angles in it."""
    torch.manual_seed(0)
    space, task = family("pfld_32").train(), landmarks(eyes=(0, 1), angles=True)
    batch = faces(8).batch(np.arange(8))
    optimizer = torch.optim.SGD(space.parameters(), lr=0.005)
    for architecture in covering(space):
        before = {name: parameter.detach().clone() for name, parameter in space.named_parameters()}
        outputs = space(*batch.inputs, architecture)
        loss = task.training_loss(outputs, batch.labels)
        assert loss.item() == pytest.approx((outputs - batch.labels[:, :10]).square().sum(1).mean().item(), rel=1e-5)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        reached = {name for name, parameter in space.named_parameters() if parameter.grad is not None}
        assert {name for name, parameter in space.named_parameters() if not torch.equal(parameter, before[name])} == (
            reached
        )
        assert len(reached) < len(before)


def test_a_frozen_network_exports(tiny: ModelSpace, tmp_path: Path) -> None:
    for architecture in covering(tiny)[1::3]:
        assert_file_agrees(tiny, architecture, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 100}, "resolution must be a positive multiple of 16; got 100"),
        ({"in_channels": 0}, "in_channels must be a whole number of at least 1; got 0"),
        ({"num_points": 0}, "num_points must be a whole number of at least 1; got 0"),
        ({"widths": (16, 32)}, r"widths must be three: of the stem and of both stages; got \[16, 32\]"),
        ({"widths": (16, 33, 64)}, "every width must be a positive multiple of 2; got 33"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        pfld(**options)  # type: ignore[arg-type]
