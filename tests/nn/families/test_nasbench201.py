from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.nn import ModelSpace, count
from hwnas.nn.families import FAMILIES, NASBench201Space, family, nasbench201
from hwnas.profiler import FlopsProfiler, NumParamsProfiler
from hwnas.space import Architecture

from .agreement import assert_counts_agree, assert_file_agrees, assert_frozen_agrees, assert_trains
from .test_architecture_string import randomise

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"

# The benchmark's own numbers, in millions: the least and most "flops" and "params" over its 15,625 entries. Its flops
# are multiply-accumulates and the additions of the classifier's bias, one a class.
PUBLISHED = [
    pytest.param({}, 7.78305, 220.11969, 0.073306, 1.531546, id="cifar10"),
    pytest.param({"num_classes": 100}, 7.7889, 220.12554, 0.079156, 1.537396, id="cifar100"),
    pytest.param({"num_classes": 120, "resolution": 16}, 1.9534, 55.03756, 0.080456, 1.538696, id="ImageNet16-120"),
]


def tiny(**options: object) -> NASBench201Space:
    """With random weights, so that no two options agree."""
    space = family("nasbench201_8", **options).eval()
    assert isinstance(space, NASBench201Space)
    randomise(space)
    return space


@pytest.fixture(scope="module")
def space() -> NASBench201Space:
    return tiny(num_cells=2)


def samples(space: ModelSpace, num: int) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [space.space.sample(rng) for _ in range(num)]


class Rebuilt(nn.Module):
    """A network written anew from the paper: figure 1 and its text."""

    def __init__(self, architecture: Architecture, *, image: int, classes: int, widths: list[int], cells: int) -> None:
        super().__init__()
        self.architecture = architecture
        self.cells = cells
        self.stem = nn.Sequential(nn.Conv2d(image, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]))
        self.body = nn.ModuleList()
        self.reductions = nn.ModuleList()
        for stage, width in enumerate(widths):
            for _ in range(cells):
                self.body.append(nn.ModuleDict({name: self.operation(op, width) for name, op in architecture.items()}))
            if stage + 1 < len(widths):
                after = widths[stage + 1]
                self.reductions.append(
                    nn.ModuleDict(
                        {
                            "first": self.relu_conv_bn(width, after, 3, 2),
                            "second": self.relu_conv_bn(after, after, 3, 1),
                            "beside": nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(width, after, 1, bias=False)),
                        }
                    )
                )
        self.last = nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU())
        self.classifier = nn.Linear(widths[-1], classes)

    @staticmethod
    def relu_conv_bn(num_in: int, num_out: int, kernel: int, stride: int) -> nn.Module:
        conv = nn.Conv2d(num_in, num_out, kernel, stride, (kernel - 1) // 2, bias=False)
        return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(num_out))

    def operation(self, name: object, width: int) -> nn.Module:
        match name:
            case "nor_conv_1x1":
                return self.relu_conv_bn(width, width, 1, 1)
            case "nor_conv_3x3":
                return self.relu_conv_bn(width, width, 3, 1)
            case "avg_pool_3x3":
                return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        return nn.Identity()

    def cell(self, x: Tensor, operations: nn.ModuleDict) -> Tensor:
        def edge(name: str, tensor: Tensor) -> Tensor:
            if self.architecture[name] == "none":
                return torch.zeros_like(tensor)
            result: Tensor = operations[name](tensor)
            return result

        first = edge("edge_1_0", x)
        second = edge("edge_2_0", x) + edge("edge_2_1", first)
        return edge("edge_3_0", x) + edge("edge_3_1", first) + edge("edge_3_2", second)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for position, operations in enumerate(self.body):
            if position and position % self.cells == 0:
                block = self.reductions[position // self.cells - 1]
                x = block["beside"](x) + block["second"](block["first"](x))
            x = self.cell(x, operations)
        return self.classifier(self.last(x).mean((2, 3)))


def layers_in_order(network: nn.Module, x: Tensor) -> list[nn.Module]:
    """Those with weights, as they run."""
    found: list[nn.Module] = []
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear)]
    hooks = [layer.register_forward_hook(lambda layer, args, result: found.append(layer)) for layer in layers]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return found


def test_the_space_has_the_published_size() -> None:
    space = nasbench201().space
    assert space.size == 15_625
    assert {choice.name: choice.options for choice in space.choices} == dict.fromkeys(
        ["edge_1_0", "edge_2_0", "edge_2_1", "edge_3_0", "edge_3_1", "edge_3_2"], OPERATIONS
    )


@pytest.mark.parametrize(("options", "least_macs", "most_macs", "least_params", "most_params"), PUBLISHED)
def test_the_extremes_are_the_benchmarks(
    options: dict[str, int], least_macs: float, most_macs: float, least_params: float, most_params: float
) -> None:
    with torch.device("meta"):
        space = nasbench201(**options)
    additions = options.get("num_classes", 10)
    flops, params = FlopsProfiler(space), NumParamsProfiler(space)
    assert flops.min() + additions == round(least_macs * 1e6)
    assert flops.max() + additions == round(most_macs * 1e6)
    assert params.min() == round(least_params * 1e6)
    assert params.max() == round(most_params * 1e6)
    assert set(flops.maximum().architecture.values()) == {"nor_conv_3x3"}


def test_counts_of_the_published_member_agree_with_a_rebuilt_network() -> None:
    with torch.device("meta"):
        space = nasbench201()
        flops, params = FlopsProfiler(space), NumParamsProfiler(space)
        for architecture in samples(space, 2):
            theirs = count(
                Rebuilt(architecture, image=3, classes=10, widths=[16, 32, 64], cells=5), space.example_inputs
            )
            assert (flops.profile(architecture), params.profile(architecture)) == (theirs.macs, theirs.params)


def test_counts_and_outputs_agree(space: NASBench201Space) -> None:
    for architecture in samples(space, 6):
        assert_counts_agree(space, architecture)
        assert_frozen_agrees(space, architecture)


def test_a_frozen_network_is_the_papers(space: NASBench201Space) -> None:
    for architecture in samples(space, 10):
        frozen = space.freeze(architecture)
        theirs = Rebuilt(architecture, image=1, classes=10, widths=[8, 16], cells=2).eval()
        x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        for own, layer in zip(layers_in_order(frozen, x), layers_in_order(theirs, x), strict=True):
            layer.load_state_dict(own.state_dict())
        with torch.no_grad():
            torch.testing.assert_close(frozen(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_a_frozen_network_has_the_supernets_weights(space: NASBench201Space) -> None:
    architecture = space.from_string(BEST)
    operations = list(architecture.values())
    weights = space.module.state_dict()
    for name, tensor in space.freeze(architecture).state_dict().items():
        own = re.sub(r"edges\.(\d)", lambda edge: f"edges.{edge[1]}.{operations[int(edge[1])]}", name)
        assert torch.equal(tensor, weights[own]), name


def test_all_cells_follow_one_choice(space: NASBench201Space) -> None:
    frozen = space.freeze(dict.fromkeys([choice.name for choice in space.space.choices], "nor_conv_1x1"))
    kernels = [m.kernel_size for name, m in frozen.named_modules() if isinstance(m, nn.Conv2d) and "edges" in name]
    assert kernels == [(1, 1)] * 6 * 4  # two stages of two cells


def test_a_string_is_an_architecture_and_back(space: NASBench201Space) -> None:
    architecture = space.from_string(BEST)
    assert dict(architecture) == {
        "edge_1_0": "nor_conv_3x3",
        "edge_2_0": "nor_conv_3x3",
        "edge_2_1": "avg_pool_3x3",
        "edge_3_0": "skip_connect",
        "edge_3_1": "nor_conv_3x3",
        "edge_3_2": "nor_conv_1x1",
    }
    assert space.to_string(architecture) == BEST
    assert space.from_string(f" {BEST}\n") == architecture


def test_every_architecture_has_its_own_string(space: NASBench201Space) -> None:
    strings = {space.to_string(architecture): architecture for architecture in space.space.enumerate()}
    assert len(strings) == 15_625
    for string in list(strings)[::97]:
        assert space.from_string(string) == strings[string]


@pytest.mark.parametrize(
    ("string", "message"),
    [
        ("", r"has 3 nodes joined by '\+', such as .*; got 1 in ''"),
        ("|none~0|+|none~0|none~1|", r"has 3 nodes .*; got 2 in"),
        (BEST + "+|none~0|", "has 3 nodes .*; got 4 in"),
        (BEST.replace("|+|", "+|", 1), r"node 1 of the string must be written like .*; got '\|nor_conv_3x3~0'"),
        (BEST.replace("avg_pool_3x3~1", "avg_pool_3x3"), "node 2 of the string must be written like"),
        (BEST.replace("avg_pool_3x3~1", "~1"), "node 2 of the string must be written like"),
        (BEST.replace("avg_pool_3x3~1", "|avg_pool_3x3~1"), "node 2 of the string must be written like"),
        (BEST.replace("avg_pool_3x3~1", "avg_pool_3x3~2"), "node 2 of the string .* in the order ~0, ~1; got"),
        (BEST.replace("avg_pool_3x3~1|", ""), "node 2 of the string must have one operation on each node before it"),
        ("|none~0|+|none~1|none~0|+|none~0|none~1|none~2|", "node 2 of the string .* in the order ~0, ~1; got"),
        (BEST.replace("nor_conv_1x1", "nor_conv_5x5"), "node 3 of the string: unknown operation 'nor_conv_5x5'; the"),
        (BEST.replace("skip_connect", "Skip_connect"), "unknown operation 'Skip_connect'; the space has none, skip_"),
        (BEST.replace("skip_connect~0", "skip_connect ~0"), "unknown operation 'skip_connect '"),
    ],
)
def test_a_wrong_string_is_explained(space: NASBench201Space, string: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        space.from_string(string)


@given(st.text(alphabet="|~+012 none_skip", max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused(space: NASBench201Space, text: str) -> None:
    try:
        architecture = space.from_string(text)
    except ArchitectureError:
        return
    assert space.to_string(architecture) == text.strip()


def test_an_architecture_of_another_space_has_no_string(space: NASBench201Space) -> None:
    with pytest.raises(ArchitectureError, match="edge_3_2"):
        space.to_string(dict.fromkeys(list(space.from_string(BEST))[:-1], "none"))


@pytest.mark.parametrize("name", ["nasbench201_8", "nasbench201_28"])
def test_small_members_train(name: str) -> None:
    assert name in FAMILIES
    space = family(name)
    assert isinstance(space, NASBench201Space)
    assert_trains(space, space.from_string(BEST))


@pytest.mark.parametrize("string", [BEST, "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"])
def test_a_file_agrees(string: str, tmp_path: Path) -> None:
    space = tiny()
    assert_file_agrees(space, space.from_string(string), tmp_path)


def test_fewer_operations_are_a_smaller_space() -> None:
    space = family("nasbench201_8", operations=["nor_conv_3x3", "skip_connect"])
    assert space.space.size == 2**6
    assert space.space.choice("edge_3_2").options == ("nor_conv_3x3", "skip_connect")
    assert isinstance(space, NASBench201Space)
    with pytest.raises(ArchitectureError, match="unknown operation 'avg_pool_3x3'; the space has nor_conv_3x3, skip_"):
        space.from_string(BEST)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_channels": 0}, "in_channels must be at least 1; got 0"),
        ({"num_cells": 0}, "num_cells must be at least 1; got 0"),
        ({"widths": (16, -1, 64)}, "every width must be at least 1; got -1"),
        ({"widths": ()}, "every width must be at least 1; got 0"),
        ({"resolution": 30}, "resolution must be a multiple of 4, since 2 residual blocks halve it; got 30"),
        ({"operations": ("none", "conv_3x3")}, r"different ones of none, skip_.*; got \['none', 'conv_3x3'\]"),
        ({"operations": ()}, r"operations must be different ones of .*, at least one; got \[\]"),
        ({"operations": ("none", "none")}, r"operations must be different ones of .*; got \['none', 'none'\]"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        nasbench201(**options)  # type: ignore[arg-type]
