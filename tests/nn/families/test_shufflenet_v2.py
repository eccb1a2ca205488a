from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwnas.errors import SpaceError
from hwnas.nn import ModelSpace, count
from hwnas.nn.families import FAMILIES, SHUFFLENET_V2_NETWORKS, family, shufflenet_v2, spos_weight_name
from hwnas.profiler import FlopsProfiler, NumParamsProfiler
from hwnas.space import Architecture
from hwnas.train import load_weights, read_weights

from .agreement import assert_counts_agree, assert_file_agrees, assert_frozen_agrees, assert_trains
from .spos_supernet import SposSupernet, save_as_published, tiny_supernet
from .test_architecture_string import randomise

OPTIONS = ("k3", "k5", "k7", "xception")

# Multiply-accumulates at 3x224x224, of networks with one option throughout: what the authors' own counter gives
# (https://github.com/megvii-model/SinglePathOneShot, src/Search/utils/flops.py).
UNIFORM = {"k3": 295_842_496, "k5": 313_654_976, "k7": 340_373_696, "xception": 358_825_920}

CHANNELS: dict[str, object] = {"channel_search": True, "channel_ratios": (0.5, 1.0, 1.5)}


@pytest.fixture(scope="module")
def published() -> ModelSpace:
    with torch.device("meta"):
        return shufflenet_v2()


@pytest.fixture(scope="module")
def with_widths() -> ModelSpace:
    with torch.device("meta"):
        return shufflenet_v2(channel_search=True)


def tiny(**options: object) -> ModelSpace:
    """With random weights, so that no two options agree."""
    space = family("shufflenet_v2_8", **options).eval()
    randomise(space)
    return space


def samples(space: ModelSpace, num: int) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [space.space.sample(rng) for _ in range(num)]


class Rebuilt(nn.Module):
    """A network written anew from the authors' description, with the names of their weights and their shuffle."""

    def __init__(
        self, options: list[str], inner: list[int], *, widths: list[int], depths: list[int], stem: int, last: int
    ) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(nn.Conv2d(1, stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU())
        self.features = nn.ModuleList()
        before = stem
        for width, depth in zip(widths, depths, strict=True):
            for block in range(depth):
                index = len(self.features)
                self.features.append(self.block(options[index], before, width, inner[index], 2 if block == 0 else 1))
                before = width
        self.conv_last = nn.Sequential(nn.Conv2d(before, last, 1, bias=False), nn.BatchNorm2d(last), nn.ReLU())
        self.classifier = nn.Sequential(nn.Linear(last, 10, bias=False))

    def block(self, option: str, before: int, width: int, inner: int, stride: int) -> nn.Module:
        inputs = before if stride == 2 else before // 2
        kernel = {"k3": 3, "k5": 5, "k7": 7, "xception": 3}[option]

        def spatial(channels: int, stride: int = 1) -> list[nn.Module]:
            conv = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
            return [conv, nn.BatchNorm2d(channels)]

        def mixing(num_in: int, num_out: int) -> list[nn.Module]:
            return [nn.Conv2d(num_in, num_out, 1, bias=False), nn.BatchNorm2d(num_out), nn.ReLU()]

        block = nn.Module()
        if option == "xception":
            layers = spatial(inputs, stride) + mixing(inputs, inner) + spatial(inner) + mixing(inner, inner)
            layers += spatial(inner) + mixing(inner, width - inputs)
        else:
            layers = mixing(inputs, inner) + spatial(inner, stride) + mixing(inner, width - inputs)
        block.branch_main = nn.Sequential(*layers)
        if stride == 2:
            block.branch_proj = nn.Sequential(*spatial(inputs, 2), *mixing(inputs, inputs))
        return block

    def forward(self, x: Tensor) -> Tensor:
        x = self.first_conv(x)
        for block in self.features:
            if hasattr(block, "branch_proj"):
                x = torch.cat((block.branch_proj(x), block.branch_main(x)), 1)
            else:
                batch, channels, height, width = x.shape
                halves = x.reshape(batch * channels // 2, 2, height * width).permute(1, 0, 2)
                kept, changed = halves.reshape(2, batch, channels // 2, height, width)
                x = torch.cat((kept, block.branch_main(changed)), 1)
        return self.classifier(self.conv_last(x).mean((2, 3)))


def test_the_space_has_the_published_size(published: ModelSpace) -> None:
    assert published.space.size == 4**20
    assert [choice.name for choice in published.space.choices[3:6]] == [
        "stage1.block4",
        "stage2.block1",
        "stage2.block2",
    ]
    assert {choice.options for choice in published.space.choices} == {OPTIONS}


@pytest.mark.parametrize("option", OPTIONS)
def test_uniform_networks_have_the_published_counts(published: ModelSpace, option: str) -> None:
    architecture = {choice.name: option for choice in published.space.choices}
    assert FlopsProfiler(published).profile(architecture) == UNIFORM[option]
    assert count(published.freeze(architecture), published.example_inputs).macs == UNIFORM[option]


def test_the_released_network_has_the_published_counts(published: ModelSpace) -> None:
    released = SHUFFLENET_V2_NETWORKS["spos"]
    # As the authors' README writes it; beside it there: 323M multiply-accumulates and 3.5M parameters, to which batch
    # norms add 29,152.
    indices = (2, 1, 0, 1, 2, 0, 2, 0, 2, 0, 2, 3, 0, 0, 0, 0, 3, 2, 3, 3)
    names = [choice.name for choice in published.space.choices]
    assert dict(released.architecture) == {name: OPTIONS[i] for name, i in zip(names, indices, strict=True)}
    assert FlopsProfiler(published).profile(released.architecture) == 322_918_720
    with torch.device("meta"):
        counted = count(released.build(), torch.zeros(1, 3, 224, 224))
        without_norms = count(released.build(affine=False), torch.zeros(1, 3, 224, 224))
    assert counted.macs == without_norms.macs == 322_918_720
    assert (counted.params, without_norms.params) == (3_558_464, 3_529_312)


def test_the_extremes_are_those_of_every_block_by_itself(published: ModelSpace) -> None:
    """Blocks keep their shapes, so that each one's lightest and heaviest options make the extremes."""
    profiler = FlopsProfiler(published)
    k3 = {choice.name: "k3" for choice in published.space.choices}
    least = most = UNIFORM["k3"]
    for choice in published.space.choices:
        macs = [profiler.profile({**k3, choice.name: option}) - UNIFORM["k3"] for option in OPTIONS]
        least, most = least + min(macs), most + max(macs)
    assert (profiler.min(), profiler.max()) == (least, most) == (270_359_360, 398_609_216)


@pytest.mark.parametrize("channel_search", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_counts_and_outputs_agree(channel_search: bool, affine: bool) -> None:
    space = tiny(affine=affine, **CHANNELS if channel_search else {})
    for architecture in samples(space, 4):
        assert_counts_agree(space, architecture)
        assert_frozen_agrees(space, architecture)


def test_published_members_agree_as_well(published: ModelSpace, with_widths: ModelSpace) -> None:
    for space in (published, with_widths, family("shufflenet_v2_28")):
        flops, params = FlopsProfiler(space), NumParamsProfiler(space)
        for architecture in samples(space, 1):
            counted = count(space.freeze(architecture), space.example_inputs)
            assert (counted.macs, counted.params) == (flops.profile(architecture), params.profile(architecture))


@pytest.mark.parametrize("channel_search", [False, True])
def test_a_frozen_network_is_the_authors(channel_search: bool) -> None:
    space = tiny(affine=True, **CHANNELS if channel_search else {})
    halves = (8, 8, 16, 16)  # the stages have 16 and 32 channels
    for architecture in samples(space, 8):
        names = [f"stage{s}.block{b}" for s in (1, 2) for b in (1, 2)]
        ratios = [float(str(architecture.get(f"{name}.width", 1.0))) for name in names]
        theirs = Rebuilt(
            [str(architecture[name]) for name in names],
            [int(ratio * half) for ratio, half in zip(ratios, halves, strict=True)],
            widths=[16, 32],
            depths=[2, 2],
            stem=8,
            last=64,
        ).eval()
        frozen = space.freeze(architecture)
        theirs.load_state_dict(frozen.state_dict())
        x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.testing.assert_close(frozen(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_a_frozen_network_has_the_supernets_weights() -> None:
    space = tiny(**CHANNELS)
    k7 = {f"stage{s}.block{b}": "k7" for s in (1, 2) for b in (1, 2)}
    frozen = space.freeze(Architecture({**k7, **dict.fromkeys([f"{name}.width" for name in k7], 0.5)}))
    weights, own = space.module.state_dict(), frozen.state_dict()
    # Block 2 of stage 1: 8 channels go through the branch, half as many inside, of the at most 12.
    assert weights["features.1.k7.branch_main.0.weight"].shape == (12, 8, 1, 1)
    assert torch.equal(own["features.1.branch_main.0.weight"], weights["features.1.k7.branch_main.0.weight"][:4])
    assert torch.equal(own["features.1.branch_main.3.weight"], weights["features.1.k7.branch_main.3.weight"][:4])
    assert torch.equal(own["features.1.branch_main.5.weight"], weights["features.1.k7.branch_main.5.weight"][:, :4])
    mean = "branch_main.1.running_mean"
    assert torch.equal(own[f"features.1.{mean}"], weights[f"features.1.k7.{mean}"][:4])
    assert torch.equal(own["classifier.0.weight"], weights["classifier.0.weight"])


def test_channel_search_chooses_an_even_width_for_every_block(with_widths: ModelSpace) -> None:
    space = with_widths
    assert space.space.size == 32**20
    ratios = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6)
    assert space.space.choice("stage4.block4.width").options == ratios
    k3 = {choice.name: "k3" for choice in space.space.choices if choice.num_options == 4}
    # The nearest even numbers to 0.2, 0.4, ... of 32.
    for ratio, inner in zip(ratios, (6, 12, 20, 26, 32, 38, 44, 52), strict=True):
        widths = {f"{name}.width": ratio for name in k3}
        convolution = space.freeze({**k3, **widths}).get_submodule("features.0.branch_main.3")
        assert isinstance(convolution, nn.Conv2d)
        assert (convolution.in_channels, convolution.out_channels, convolution.groups) == (inner, inner, inner)
    at_half = {f"{name}.width": 1.0 for name in k3}
    for option in OPTIONS:
        assert FlopsProfiler(space).profile({**dict.fromkeys(k3, option), **at_half}) == UNIFORM[option]


def test_batch_norms_have_an_affine_part_only_on_request() -> None:
    for affine in (False, True):
        space = family("shufflenet_v2_8", affine=affine, **CHANNELS)
        norms = [module for module in space.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        assert norms
        assert all(norm.affine == affine and (norm.weight is not None) == affine for norm in norms)


def test_the_classifier_is_as_published() -> None:
    network = family("shufflenet_v2_8").module
    assert network.get_submodule("classifier.0").bias is None
    assert network.get_submodule("dropout").p == 0.1
    assert family("shufflenet_v2_8", drop_rate=0.0).module.get_submodule("dropout").p == 0.0


@pytest.mark.parametrize("name", ["shufflenet_v2_8", "shufflenet_v2_28"])
def test_small_members_train(name: str) -> None:
    assert name in FAMILIES
    space = family(name, drop_rate=0.0)
    assert_trains(space, samples(space, 1)[0])


def test_channel_search_trains_slices() -> None:
    space = tiny(drop_rate=0.0, **CHANNELS)
    narrow = {choice.name: choice.options[0] for choice in space.space.choices}
    assert_trains(space, narrow)
    gradient = space.module.get_parameter("features.1.k3.branch_main.0.weight").grad
    assert gradient is not None
    assert gradient[:4].abs().sum() > 0
    assert not gradient[4:].any()


@pytest.mark.parametrize("options", [{}, CHANNELS], ids=["blocks", "widths"])
def test_a_file_agrees(options: dict[str, object], tmp_path: Path) -> None:
    space = tiny(**options)
    assert_file_agrees(space, samples(space, 1)[0], tmp_path)


def test_other_blocks_to_choose_from() -> None:
    space = family("shufflenet_v2_8", kernels=[3, 9], xception=False)
    assert {choice.options for choice in space.space.choices} == {("k3", "k9")}
    space = family("shufflenet_v2_8", depths=[1, 3])
    assert [choice.name for choice in space.space.choices] == [
        "stage1.block1",
        "stage2.block1",
        "stage2.block2",
        "stage2.block3",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 0}, "resolution must be at least 1; got 0"),
        ({"num_classes": -1}, "num_classes must be at least 1; got -1"),
        ({"depths": (4, 4, 0, 4)}, "every depth must be at least 1; got 0"),
        ({"depths": (), "widths": ()}, "every depth must be at least 1; got 0"),
        ({"depths": (4, 4)}, "one entry for every stage; got 4 and 2"),
        ({"widths": (64, 160, 320, 641)}, r"widths must be even, .*; got \(64, 160, 320, 641\) after 16"),
        ({"widths": (64, 160, 160, 640)}, "each above the one before, .*; got"),
        ({"widths": (640, 320, 160, 64)}, "each above the one before, .*; got"),
        ({"stem_channels": 64}, "the first above stem_channels: .* after 64"),
        ({"stem_channels": 100}, "the first above stem_channels: .* after 100"),
        ({"kernels": (3, 4)}, r"kernels must be positive and odd; got \(3, 4\)"),
        ({"kernels": (3, 3)}, "stage1.block1"),
        ({"kernels": (), "xception": False}, "a block needs an option: give kernels, or xception=True"),
        ({"stem_stride": 3}, "stem_stride must be 1 or 2; got 3"),
        ({"drop_rate": 1.0}, "drop_rate must be at least 0 and below 1; got 1.0"),
        ({"channel_search": True, "channel_ratios": (0.01, 1.0)}, r"of at least 2 in .*'stage1.block1.width', .* \(0,"),
        (
            {"channel_search": True, "channel_ratios": (1.0, 1.01)},
            r"half is 32 channels, .* give \(32, 32\)\. Give few",
        ),
        ({"channel_search": True, "channel_ratios": ()}, "stage1.block1.width"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        shufflenet_v2(**options)  # type: ignore[arg-type]


def test_the_authors_supernet_has_the_names_and_shapes_of_ours(published: ModelSpace) -> None:
    with torch.device("meta"):
        theirs = SposSupernet().state_dict()
    ours = published.module.state_dict()
    assert {spos_weight_name(name): tensor.shape for name, tensor in theirs.items()} == {
        name: tensor.shape for name, tensor in ours.items()
    }


def test_the_authors_found_network_has_the_names_of_ours() -> None:
    with torch.device("meta"):
        names = list(SHUFFLENET_V2_NETWORKS["spos"].build().state_dict())
    assert [spos_weight_name(name) for name in names] == names


def test_a_path_of_the_authors_supernet_gives_its_outputs(tmp_path: Path) -> None:
    theirs, ours = tiny_supernet(), family("shufflenet_v2_8").eval()
    path = save_as_published(theirs, tmp_path / "checkpoint-150000.pth.tar")
    load_weights(ours, read_weights(path), rename=spos_weight_name)
    images = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for candidates in ((0, 1, 2, 3), (3, 3, 0, 1), (2, 0, 3, 2)):
        names = (choice.name for choice in ours.space.choices)
        architecture = {name: OPTIONS[c] for name, c in zip(names, candidates, strict=True)}
        with torch.no_grad():
            expected = theirs(images, candidates)
            torch.testing.assert_close(ours(images, architecture), expected, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(ours.freeze(architecture).eval()(images), expected, atol=1e-5, rtol=1e-5)
