"""ENAS's micro space: sizes, counts, and its networks against ones computed without hwnas."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwnas.errors import SpaceError, StrategyError
from hwnas.nn import ModelSpace
from hwnas.nn.families import enas_micro, family
from hwnas.profiler import FlopsProfiler, NumParamsProfiler
from hwnas.space import Architecture, Option
from hwnas.strategy import DARTS, ENAS

from .agreement import assert_counts_agree, assert_file_agrees, assert_frozen_agrees, assert_trains
from .test_architecture_string import randomise

OPERATIONS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "identity")
MERGES = ("loose_end", "all")


def tiny(merge: str = "loose_end") -> ModelSpace:
    torch.manual_seed(0)
    options = {"channels": 4, "num_cells": 3, "num_nodes": 3, "merge": merge, "dropout": 0.0}
    space = enas_micro(resolution=8, in_channels=1, **options).eval()  # type: ignore[arg-type]
    randomise(space)
    return space


def architectures(space: ModelSpace, number: int) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [space.space.sample(rng) for _ in range(number)]


def cell_size(num_nodes: int) -> int:
    """A node has two operations, each one of five on any of the states before it."""
    return math.prod((states * 5) ** 2 for states in range(2, 2 + num_nodes))


@pytest.mark.parametrize("merge", MERGES)
def test_the_size_of_the_space(merge: str) -> None:
    with torch.device("meta"):
        space = enas_micro(merge=merge).space  # type: ignore[arg-type]
    assert space.size == cell_size(5) ** 2 == (math.factorial(6) ** 2 * 5**10) ** 2
    assert f"{space.size:.1e}" == "2.6e+25"
    assert len(space.choices) == 2 * 5 * 4


def test_the_size_is_that_of_an_enumeration() -> None:
    with torch.device("meta"):
        space = enas_micro(num_nodes=1).space
    assert len({architecture.uid for architecture in space.enumerate()}) == space.size == 100**2 == cell_size(1) ** 2
    assert family("enas_micro_8").space.size == cell_size(2) ** 2


def test_the_choices_of_a_cell() -> None:
    space = tiny().space
    names = [f"{what}_{node}_{k}" for node in (2, 3, 4) for k in (0, 1) for what in ("input", "op")]
    assert set(space.names) == {f"{kind}/{name}" for kind in ("normal", "reduce") for name in names}
    assert space.choice("normal/input_4_1").options == (0, 1, 2, 3)
    assert space.choice("reduce/op_3_0").options == OPERATIONS


def test_one_architecture_fits_every_number_of_cells() -> None:
    with torch.device("meta"):
        spaces = [enas_micro(num_cells=number, channels=2) for number in (3, 5, 6, 15)]
    assert len({space.space.uid for space in spaces}) == 1
    kinds = [[cell.reduces for cell in space.module.cells] for space in spaces]
    assert [[i for i, reduces in enumerate(cells) if reduces] for cells in kinds] == [[1, 3], [1, 3], [2, 5], [5, 11]]


def written(weights: Mapping[str, Tensor], architecture: Mapping[str, Option], merge: str, x: Tensor) -> Tensor:
    """The network of five cells as the paper and its program's search have it, by functions alone."""

    def conv(name: str, x: Tensor, *, groups: int = 1) -> Tensor:
        weight = weights[f"{name}.weight"]
        return functional.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=groups)

    def norm(name: str, x: Tensor) -> Tensor:
        mean, variance, scale, shift = (
            weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, scale, shift)

    def halve(name: str, x: Tensor) -> Tensor:
        halves = [conv(f"{name}.even", x[:, :, ::2, ::2]), conv(f"{name}.odd", x[:, :, 1::2, 1::2])]
        return norm(f"{name}.norm", torch.cat(halves, 1))

    def project(name: str, x: Tensor) -> Tensor:
        return norm(f"{name}.2", conv(f"{name}.1", x.relu())) if f"{name}.1.weight" in weights else x

    def operate(name: str, operation: Option, x: Tensor) -> Tensor:
        match operation:
            case "avg_pool_3x3":
                return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
            case "max_pool_3x3":
                return functional.max_pool2d(x, 3, 1, 1)
            case "identity":
                return x
        for first in (0, 4):
            x = conv(f"{name}.{first + 1}", x.relu(), groups=x.shape[1])
            x = norm(f"{name}.{first + 3}", conv(f"{name}.{first + 2}", x))
        return x

    before = last = norm("stem.1", conv("stem.0", x))
    for i, kind in enumerate(("normal", "reduce", "normal", "reduce", "normal")):
        cell = f"cells.{i}"
        if kind == "reduce":
            before, last = halve(f"{cell}.before", last.relu()), halve(f"{cell}.halve", last)
            states = [before, last]
        else:
            states = [project(f"{cell}.before", before), project(f"{cell}.last", last)]
        used = set()
        for node in (2, 3, 4):
            total = torch.zeros(())
            for k in (0, 1):
                source = architecture[f"{kind}/input_{node}_{k}"]
                operation = architecture[f"{kind}/op_{node}_{k}"]
                total = total + operate(f"{cell}.nodes.{node - 2}.operations.{k}", operation, states[source])
                used.add(source)
            states.append(total)
        ends = [node for node in (2, 3, 4) if merge == "all" or node not in used]
        if merge == "all":
            weight = weights[f"{cell}.output.convolution.weight"]
        else:
            weight = torch.cat([weights[f"{cell}.output.{node - 2}.1.weight"] for node in ends], 1)
        output = functional.conv2d(torch.cat([states[node] for node in ends], 1).relu(), weight)
        before, last = last, norm(f"{cell}.norm", output)
    features = last.relu().mean((2, 3))
    return functional.linear(features, weights["classifier.weight"], weights["classifier.bias"])


@pytest.mark.parametrize("merge", MERGES)
def test_networks_compute_what_is_written_without_hwnas(merge: str) -> None:
    space = tiny(merge)
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    met = set()
    for architecture in architectures(space, 8):
        met |= {option for name, option in architecture.items() if "/op_" in name}
        frozen = space.freeze(architecture)
        with torch.no_grad():
            torch.testing.assert_close(
                frozen(x), written(frozen.state_dict(), architecture, merge, x), rtol=1e-5, atol=1e-5
            )
    assert met == set(OPERATIONS)


@pytest.mark.parametrize("options", [{}, {"merge": "all"}, {"affine": False}], ids=str)
def test_counts_of_random_architectures(options: dict[str, str | bool]) -> None:
    space = enas_micro(resolution=16, channels=4, num_cells=4, num_nodes=3, **options)  # type: ignore[arg-type]
    for architecture in architectures(space, 3):
        assert_counts_agree(space, architecture)


def test_costs_of_the_full_space() -> None:
    """Its cells are traced end by end: 518,400 combinations of inputs, of which no table is made."""
    space = enas_micro()
    architecture = architectures(space, 1)[0]
    assert_counts_agree(space, architecture)
    loose = {kind: {2, 3, 4, 5, 6} for kind in ("normal", "reduce")}
    for name, option in architecture.items():
        kind, choice = name.split("/")
        if choice.startswith("input"):
            loose[kind].discard(int(option))
    shared = dict(architecture)
    shared |= {f"normal/input_{node}_{k}": node - 1 for node in (3, 4, 5, 6) for k in (0, 1)}  # only node 6 is loose
    # A normal cell at each resolution, two of each; a loose end is a 1x1 convolution at 20, 40 and 80 channels.
    profiler = FlopsProfiler(space)
    per_end = 2 * (20 * 20 * 32 * 32 + 40 * 40 * 16 * 16 + 80 * 80 * 8 * 8)
    difference = profiler.profile(architecture) - profiler.profile(shared)
    assert len(loose["normal"]) > 1
    assert difference == per_end * (len(loose["normal"]) - 1)
    assert NumParamsProfiler(space).cost.minimum().value < NumParamsProfiler(space).cost.maximum().value


@pytest.mark.parametrize("merge", MERGES)
def test_the_supernet_computes_what_the_frozen_network_does(merge: str) -> None:
    space = tiny(merge)
    for architecture in architectures(space, 4):
        assert_frozen_agrees(space, architecture)


@pytest.mark.parametrize("merge", MERGES)
def test_a_training_step_reaches_what_the_architecture_runs(merge: str) -> None:
    torch.manual_seed(0)
    space = family("enas_micro_28", merge=merge, dropout=0.0)
    assert_trains(space, architectures(space, 1)[0])


def test_batch_norms_and_dropout() -> None:
    with torch.device("meta"):
        plain, default = enas_micro(affine=False, dropout=0.0), enas_micro()
    norms = {}
    for space, affine, dropout in ((plain, False, 0.0), (default, True, 0.1)):
        norms[affine] = [module for module in space.modules() if isinstance(module, nn.BatchNorm2d)]
        assert all(norm.affine == affine for norm in norms[affine])
        assert [module.p for module in space.modules() if isinstance(module, nn.Dropout)] == [dropout]
    # Eight cells of ten operations with two poolings each.
    assert len(norms[False]) - len(norms[True]) == 8 * 10 * 2


@pytest.mark.parametrize("merge", MERGES)
def test_a_frozen_network_exports(merge: str, tmp_path: Path) -> None:
    space = tiny(merge)
    assert_file_agrees(space, architectures(space, 1)[0], tmp_path)


def test_which_strategies_search_it() -> None:
    """Loose ends are for those that sample, all nodes also for those that mix."""
    ENAS(family("enas_micro_8"))
    DARTS(family("enas_micro_8", merge="all"))
    with pytest.raises(StrategyError, match=r"those of 'normal/input_3_0' cannot be mixed: .* all nodes as the output"):
        DARTS(family("enas_micro_8"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 30}, "resolution must be a multiple of 4, at least 8, to be halved twice; got 30"),
        ({"resolution": 4}, "resolution must be a multiple of 4, at least 8, to be halved twice; got 4"),
        ({"channels": 0}, "channels must be at least 1; got 0"),
        ({"num_cells": 2}, "num_cells must be at least 3, for one before each reduction and one after; got 2"),
        ({"num_nodes": 0}, "num_nodes must be at least 1; got 0"),
        ({"in_channels": 0}, "in_channels must be at least 1; got 0"),
        ({"num_classes": 0}, "num_classes must be at least 1; got 0"),
        ({"merge": "sum"}, "merge must be one of loose_end, all; got 'sum'"),
        ({"dropout": -0.1}, "dropout must be from 0 to below 1; got -0.1"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, object], message: str) -> None:
    with torch.device("meta"), pytest.raises(SpaceError, match=message):
        enas_micro(**options)  # type: ignore[arg-type]
