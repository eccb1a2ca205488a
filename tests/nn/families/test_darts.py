"""DARTS's space: sizes, published counts, and its supernet against frozen and independently built networks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from hwnas.device import connect, onnx_difference
from hwnas.errors import ArchitectureError, SpaceError
from hwnas.export import export_onnx
from hwnas.nn import ModelSpace, Node, Paths
from hwnas.nn.families import DARTS_NETWORKS, WithAuxiliaryHead, darts, family, from_genotype
from hwnas.profiler import FlopsProfiler, NumParamsProfiler

from .test_architecture_string import randomise

Cell = list[list[tuple[str, int]]]
"""For each node its two (operation, source)."""

V2 = {
    "normal": [
        [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)], [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)],
        [("sep_conv_3x3", 1), ("skip_connect", 0)], [("skip_connect", 0), ("dil_conv_3x3", 2)],
    ],
    "reduce": [
        [("max_pool_3x3", 0), ("max_pool_3x3", 1)], [("skip_connect", 2), ("max_pool_3x3", 1)],
        [("max_pool_3x3", 0), ("skip_connect", 2)], [("skip_connect", 2), ("max_pool_3x3", 1)],
    ],
}  # fmt: skip
EVERYTHING = {
    "normal": [
        [("sep_conv_5x5", 0), ("dil_conv_5x5", 1)], [("avg_pool_3x3", 2), ("max_pool_3x3", 0)],
        [("skip_connect", 3), ("skip_connect", 1)], [("dil_conv_3x3", 4), ("sep_conv_3x3", 2)],
    ],
    "reduce": [
        [("sep_conv_5x5", 0), ("dil_conv_5x5", 1)], [("skip_connect", 0), ("avg_pool_3x3", 1)],
        [("dil_conv_3x3", 0), ("sep_conv_3x3", 1)], [("max_pool_3x3", 3), ("sep_conv_5x5", 1)],
    ],
}  # fmt: skip


class Written(nn.Module):
    """The network as the paper's text has it, written without hwnas: layers by name, computed by functions.

    Layers are made in the order in which the frozen network has them.
    """

    def __init__(self, genotype: dict[str, Cell], channels: int, num_cells: int, num_classes: int) -> None:
        super().__init__()
        self.genotype, self.num_cells = genotype, num_cells
        self.layers = nn.ModuleDict()
        self.conv_norm("stem", 3, 3 * channels, 3)
        widths = [3 * channels, 3 * channels]
        for i in range(num_cells):
            kind = "reduce" if self.reduces(i) else "normal"
            channels *= 1 + self.reduces(i)
            if self.reduces(i - 1):
                self.halving(f"{i}.before", widths[-2], channels)
            else:
                self.conv_norm(f"{i}.before", widths[-2], channels, 1)
            self.conv_norm(f"{i}.last", widths[-1], channels, 1)
            for node, edges in enumerate(genotype[kind], start=2):
                for operation, source in sorted(edges, key=lambda edge: edge[1]):
                    name = f"{i}.{node}.{source}"
                    if operation == "skip_connect" and self.reduces(i) and source < 2:
                        self.halving(name, channels, channels)
                    for part in range({"sep": 2, "dil": 1}.get(operation[:3], 0)):
                        kernel = int(operation[-1])
                        self.layer(
                            f"{name}.depth{part}", nn.Conv2d(channels, channels, kernel, groups=channels, bias=False)
                        )
                        self.conv_norm(f"{name}.point{part}", channels, channels, 1)
            widths.append(4 * channels)
        self.layer("classifier", nn.Linear(widths[-1], num_classes))

    def reduces(self, i: int) -> bool:
        return i in (self.num_cells // 3, 2 * self.num_cells // 3)

    def layer(self, name: str, layer: nn.Module) -> None:
        self.layers[name.replace(".", "_")] = layer

    def conv_norm(self, name: str, width: int, out: int, kernel: int) -> None:
        self.layer(name, nn.Conv2d(width, out, kernel, bias=False))
        self.layer(f"{name}.norm", nn.BatchNorm2d(out))

    def halving(self, name: str, width: int, out: int) -> None:
        self.layer(f"{name}.even", nn.Conv2d(width, out // 2, 1, bias=False))
        self.layer(f"{name}.odd", nn.Conv2d(width, out // 2, 1, bias=False))
        self.layer(f"{name}.norm", nn.BatchNorm2d(out))

    def get(self, name: str) -> nn.Module:
        return self.layers[name.replace(".", "_")]

    def apply_conv_norm(self, name: str, x: Tensor, padding: int = 0) -> Tensor:
        return self.get(f"{name}.norm")(functional.conv2d(x, self.get(name).weight, padding=padding))

    def apply_halving(self, name: str, x: Tensor) -> Tensor:
        x = functional.relu(x)
        halves = (x[:, :, ::2, ::2], x[:, :, 1::2, 1::2])
        return self.get(f"{name}.norm")(
            torch.cat([self.get(f"{name}.{k}")(h) for k, h in zip(("even", "odd"), halves, strict=True)], 1)
        )

    def edge(self, i: int, node: int, operation: str, source: int, x: Tensor) -> Tensor:
        name, stride = f"{i}.{node}.{source}", 2 if self.reduces(i) and source < 2 else 1
        match operation[:3]:
            case "max":
                return functional.max_pool2d(x, 3, stride, 1)
            case "avg":
                return functional.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
            case "ski":
                return x if stride == 1 else self.apply_halving(name, x)
        dilation = 2 if operation[:3] == "dil" else 1
        for part in range(3 - dilation):
            weight = self.get(f"{name}.depth{part}").weight
            padding = dilation * (weight.shape[-1] // 2)
            x = functional.conv2d(
                functional.relu(x), weight, None, 1 if part else stride, padding, dilation, groups=len(weight)
            )
            x = self.apply_conv_norm(f"{name}.point{part}", x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        states = [self.apply_conv_norm("stem", x, padding=1)] * 2
        for i in range(self.num_cells):
            halve = self.reduces(i - 1)
            before = self.apply_halving(f"{i}.before", states[-2]) if halve else None
            nodes = [
                self.apply_conv_norm(f"{i}.before", functional.relu(states[-2])) if before is None else before,
                self.apply_conv_norm(f"{i}.last", functional.relu(states[-1])),
            ]
            for node, edges in enumerate(self.genotype["reduce" if self.reduces(i) else "normal"], start=2):
                outputs = [self.edge(i, node, operation, source, nodes[source]) for operation, source in edges]
                nodes.append(outputs[0] + outputs[1])
            states.append(torch.cat(nodes[2:], 1))
        return self.get("classifier")(states[-1].mean((2, 3)))


def architecture_of(genotype: dict[str, Cell]) -> dict[str, object]:
    return dict(from_genotype(**{kind: [edge for node in cell for edge in node] for kind, cell in genotype.items()}))


def counts(network: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    """Parameters, and MACs as PyTorch counts them."""
    network = network.to("meta")
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *shape, device="meta"))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2


@pytest.fixture(scope="module")
def tiny() -> ModelSpace:
    torch.manual_seed(0)
    space = darts(resolution=8, in_channels=1, num_classes=5, channels=2, num_cells=3, num_nodes=2).eval()
    randomise(space)
    return space


def cell_size(num_nodes: int, num_operations: int) -> int:
    return math.prod(math.comb(n, 2) * num_operations**2 for n in range(2, 2 + num_nodes))


def test_the_space_has_the_published_size() -> None:
    """Section 3.1.1: the product over nodes of C(n, 2) * 7^2 for a cell, about 10^9; 10^18 for both."""
    with torch.device("meta"):
        space = darts()
    assert cell_size(4, 7) == 1_037_664_180
    assert space.space.size == 1_037_664_180**2
    assert len(space.space.choices) == 2 * (4 + 14)
    # The size of the search's network that the paper's code logs, 1.930618 MB in its unit.
    assert sum(parameter.numel() for parameter in space.parameters()) == 1_930_618


@pytest.mark.parametrize("num_nodes", [1, 2])
def test_the_size_is_that_of_an_enumeration(num_nodes: int) -> None:
    space = darts(
        resolution=8, channels=1, num_cells=3, num_nodes=num_nodes, operations=("skip_connect", "max_pool_3x3")
    )
    architectures = {architecture.uid for architecture in space.space.enumerate()}
    assert len(architectures) == space.space.size == cell_size(num_nodes, 2) ** 2


def test_the_choices_are_those_of_the_cells_and_only_the_chosen_edges_matter(tiny: ModelSpace) -> None:
    assert set(tiny.space.names) == {
        f"{kind}/{name}"
        for kind in ("normal", "reduce")
        for name in ("inputs_2", "op_2_0", "op_2_1", "inputs_3", "op_3_0", "op_3_1", "op_3_2")
    }
    assert tiny.space.choice("reduce/inputs_3").options == ((0, 1), (0, 2), (1, 2))
    assert tiny.space.choice("normal/op_3_2").options == (
        "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
    )  # fmt: skip
    for seed in range(10):
        architecture = tiny.space.sample(np.random.default_rng(seed))
        for kind in ("normal", "reduce"):
            active = {name for name in architecture if name.startswith(f"{kind}/op_3")}
            assert active == {f"{kind}/op_3_{source}" for source in architecture[f"{kind}/inputs_3"]}


@pytest.mark.parametrize(("name", "num_params"), [("darts-v1", 3_169_414), ("darts-v2", 3_349_342)])
def test_published_networks_have_the_published_number_of_parameters(name: str, num_params: int) -> None:
    """The paper says 3.3 M of both; its code logs 3.349342 of the second (the auxiliary head apart)."""
    with torch.device("meta"):
        network = DARTS_NETWORKS[name].build()
    assert sum(parameter.numel() for parameter in network.parameters()) == num_params


@pytest.mark.parametrize("genotype", [V2, EVERYTHING], ids=["v2", "everything"])
def test_networks_equal_ones_written_without_hwnas(genotype: dict[str, Cell]) -> None:
    """At full size by their counts; at a small size by their outputs, given the same weights."""
    architecture = architecture_of(genotype)
    if genotype is V2:
        assert architecture == DARTS_NETWORKS["darts-v2"].architecture
    with torch.device("meta"):
        frozen = darts(channels=36, num_cells=20, affine=True).freeze(architecture).eval()
        written = Written(genotype, 36, 20, 10)
        assert counts(frozen, (3, 32, 32)) == counts(written, (3, 32, 32))
    frozen = darts(channels=4, num_cells=6, affine=True, resolution=16, num_classes=7).eval().freeze(architecture)
    randomise(frozen)
    written = Written(genotype, 4, 6, 7).eval()
    weights = list(frozen.state_dict().values())
    written.load_state_dict(dict(zip(written.state_dict(), weights, strict=True)))
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(frozen(x), written(x), rtol=1e-5, atol=1e-5)


def test_one_architecture_fits_every_number_of_cells() -> None:
    with torch.device("meta"):
        search, final = darts(num_cells=5, channels=2), darts(num_cells=6, channels=3, affine=True)
    assert search.space == final.space
    architecture = search.space.sample(np.random.default_rng(0))
    assert len(final.freeze(architecture).cells) == 6


def test_batch_norms_are_those_of_the_search_or_of_the_final_training() -> None:
    with torch.device("meta"):
        search, final = darts(num_cells=3), darts(num_cells=3, affine=True)
    norms = {
        affine: [m for m in space.module.cells.modules() if isinstance(m, nn.BatchNorm2d)]
        for affine, space in {False: search, True: final}.items()
    }
    assert all(norm.affine == affine for affine, found in norms.items() for norm in found)
    # Three cells of 14 edges with two poolings each.
    assert len(norms[False]) - len(norms[True]) == 3 * 14 * 2


@pytest.mark.parametrize("affine", [False, True])
def test_counts_of_random_architectures(affine: bool) -> None:
    space = darts(resolution=16, channels=4, num_cells=4, num_nodes=3, affine=affine).eval()
    randomise(space)
    flops, params = FlopsProfiler(space), NumParamsProfiler(space)
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for seed in range(6):
        architecture = space.space.sample(np.random.default_rng(seed))
        frozen = space.freeze(architecture)
        torch.testing.assert_close(space(x, architecture), frozen(x), rtol=1e-5, atol=1e-5)
        assert (params.profile(architecture), flops.profile(architecture)) == counts(frozen, (3, 16, 16))


def test_the_relaxation_is_the_sum_over_all_edges_of_their_mixtures(tiny: ModelSpace) -> None:
    """A reduction node by hand; weights of all choices get a gradient."""
    node = tiny.module.cells[1].nodes[1]
    assert isinstance(node, Node)
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(2, 4, side, side, generator=generator) for side in (8, 8, 4)]
    weights = {
        choice.name: torch.softmax(torch.randn(choice.num_options, generator=generator), 0).requires_grad_()
        for choice in tiny.space.choices
    }
    # An edge is in C(2, 1) of the three pairs.
    selection = {
        name: Paths(torch.full((3,), 1 / 2)) if "inputs_3" in name else Paths(w) for name, w in weights.items()
    }
    selection |= {f"{kind}/inputs_2": (0, 1) for kind in ("normal", "reduce")}
    mixed = tiny.view(selection).cells[1].nodes[1](inputs)
    expected = sum(
        weights[f"reduce/op_3_{source}"][code] * candidate(inputs[source])
        for source, edge in enumerate(node.edges)
        for code, candidate in enumerate(edge.children())
    )
    torch.testing.assert_close(mixed, expected)

    paths = {name: Paths(weight) for name, weight in weights.items()}
    loss = tiny(torch.randn(3, 1, 8, 8, generator=generator), paths).square().sum()
    gradients = torch.autograd.grad(loss, list(weights.values()))
    assert all(bool(gradient.abs().sum() > 0) for gradient in gradients)


@pytest.mark.parametrize("name", ["darts_28", "darts_8"])
def test_the_small_members_train(name: str) -> None:
    torch.manual_seed(0)
    space = family(name)
    optimizer = torch.optim.SGD(space.parameters(), 0.1)
    x = torch.randn(8, *space.example_inputs[0].shape[1:])
    labels = torch.arange(8)
    architecture = space.space.sample(np.random.default_rng(0))
    losses = []
    for _ in range(4):
        loss = functional.cross_entropy(space(x, architecture), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_a_frozen_network_exports(tiny: ModelSpace, tmp_path: Path) -> None:
    genotype = {kind: cell[:2] for kind, cell in EVERYTHING.items()}
    frozen, inputs = tiny.freeze(architecture_of(genotype)), (torch.randn(1, 1, 8, 8),)
    path = export_onnx(frozen, inputs, tmp_path / "net.onnx")
    assert onnx_difference(path, frozen, inputs, connect("onnxruntime:cpu")) < 1e-4


def test_the_auxiliary_head_is_the_published_one_and_no_part_of_the_network() -> None:
    """On 8x8 features: 5x5 average pooling with stride 3, 1x1 convolution to 128, 2x2 to 768, and a classifier."""
    network = darts(channels=2, num_cells=4, affine=True).freeze(architecture_of(V2)).eval()
    randomise(network)
    model = WithAuxiliaryHead(network)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(model.eval()(x), network(x))
    model.train()
    model.network.eval()
    for norm in (model.norm1, model.norm2):
        norm.eval()
    logits, auxiliary = model(x)
    torch.testing.assert_close(logits, network(x))
    cells = network.cells
    states = [network.stem(x)] * 2
    for cell in cells[:3]:  # the second reduction is the third of four cells
        states.append(cell(states[-2], states[-1]))
    y = nn.AvgPool2d(5, 3)(states[-1].relu())
    y = model.norm2(model.gather(model.norm1(model.narrow(y)).relu())).relu()
    assert y.shape == (2, 768, 1, 1)
    torch.testing.assert_close(auxiliary, model.classifier(y.flatten(1)))


@pytest.mark.parametrize("resolution", [8, 12, 28])
def test_the_auxiliary_head_fits_every_resolution(resolution: int) -> None:
    model = WithAuxiliaryHead(darts(resolution=resolution, channels=2, num_cells=3).freeze(architecture_of(V2)))
    logits, auxiliary = model(torch.randn(2, 3, resolution, resolution))
    assert logits.shape == auxiliary.shape == (2, 10)


def test_drop_path_leaves_out_every_path_but_identities() -> None:
    torch.manual_seed(0)
    space = darts(resolution=8, channels=2, num_cells=3, drop_path_rate=0.25)
    assert {module.drop_prob for module in space.modules() if isinstance(module, DropPath)} == {0.25}
    network = space.freeze(architecture_of(V2))
    cell = network.cells[0]
    x = torch.randn(4096, 6, 4, 4)
    states = [cell.before(x), cell.last(x)]
    dropped = cell.nodes[0](states).detach()  # the sum of two separable convolutions
    network.set_drop_path_rate(0.0)
    whole = cell.nodes[0](states).detach()
    # Neither path is dropped of 0.75^2 of the images, which are then 1/0.75 times as large; both of 0.25^2.
    kept = torch.isclose(dropped, whole / 0.75, rtol=1e-4, atol=1e-5).flatten(1).all(1).double().mean()
    none = (dropped == 0).flatten(1).all(1).double().mean()
    deviation = math.sqrt(0.75**2 * (1 - 0.75**2) / 4096)
    assert abs(kept.item() - 0.75**2) < 5 * deviation
    assert abs(none.item() - 0.25**2) < 5 * deviation
    skip = space.module.cells[0].nodes[2].edges[0].get_submodule("skip_connect")
    assert type(skip) is nn.Identity


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 30}, "resolution must be a multiple of 4, at least 8, to be halved twice; got 30"),
        ({"resolution": 4}, "resolution must be a multiple of 4, at least 8, to be halved twice; got 4"),
        ({"num_cells": 2}, "num_cells must be at least 3, for a normal cell and two reductions; got 2"),
        ({"channels": 0}, "channels must be at least 1; got 0"),
        ({"num_nodes": 0}, "num_nodes must be at least 1; got 0"),
        ({"operations": ("none",)}, r"operations must be different ones of max_pool_3x3, .*; got \['none'\]"),
        ({"operations": ()}, r"operations must be different ones of .*; got \[\]"),
        ({"operations": ("skip_connect",) * 2}, "operations must be different ones of"),
        ({"drop_path_rate": 1.0}, "The rate of drop path must be from 0 to below 1; got 1.0"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, object], message: str) -> None:
    with torch.device("meta"), pytest.raises(SpaceError, match=message):
        darts(**options)  # type: ignore[arg-type]


def test_a_genotype_outside_the_space_is_refused(tiny: ModelSpace) -> None:
    pair = [("skip_connect", 0), ("max_pool_3x3", 1)]
    with pytest.raises(ArchitectureError, match="A genotype must have two pairs for each node; `reduce` has 1 pairs"):
        from_genotype(normal=pair, reduce=pair[:1])
    with pytest.raises(ArchitectureError, match="node 3 of `normal` has two operations on node 1"):
        from_genotype(normal=[*pair, ("skip_connect", 1), ("max_pool_3x3", 1)], reduce=pair)
    with pytest.raises(ArchitectureError, match="Choice 'normal/op_3_0' has no option 'none'"):
        tiny.freeze(from_genotype(normal=[*pair, ("none", 0), ("skip_connect", 1)], reduce=[*pair, *pair]))
    with pytest.raises(SpaceError, match=r"WithAuxiliaryHead takes a network .* of the family darts; got Linear"):
        WithAuxiliaryHead(nn.Linear(1, 1))
