"""What holds for every space of stages of searched blocks: those of ProxylessNAS and FBNet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from hwnas.device import connect, onnx_difference
from hwnas.errors import SpaceError
from hwnas.export import export_onnx
from hwnas.nn import ModelSpace, Paths, count
from hwnas.nn.families import family
from hwnas.profiler import FlopsProfiler, NumParamsProfiler

from .test_architecture_string import randomise

SMALL = ("proxylessnas_28", "proxylessnas_8", "fbnet22_28", "fbnet22_8")
small = pytest.mark.parametrize("name", SMALL)


def make(name: str) -> ModelSpace:
    space = family(name).eval()
    randomise(space)
    return space


def images(space: ModelSpace, num: int = 2) -> torch.Tensor:
    (example,) = space.example_inputs
    return torch.randn(num, *example.shape[1:], generator=torch.Generator().manual_seed(1))


def path(choice: str) -> str:
    """Where the module of a choice is: `stage2.0` for `stage2.block1`."""
    stage, block = choice.split(".block")
    return f"{stage}.{int(block) - 1}"


def macs(network: nn.Module, x: torch.Tensor) -> int:
    """Multiply-accumulates by torch's own counter."""
    with FlopCounterMode(display=False) as counter:
        network.to("meta")(x.to("meta"))
    return int(counter.get_total_flops()) // 2


@pytest.mark.parametrize("name", [*SMALL, "proxylessnas", "fbnet22"])
def test_profilers_count_what_a_frozen_network_has(name: str) -> None:
    with torch.device("meta"):
        space = family(name)
    flops, params = FlopsProfiler(space), NumParamsProfiler(space)
    for seed in range(2):
        architecture = space.space.sample(np.random.default_rng(seed))
        frozen = space.freeze(architecture)
        (example,) = space.example_inputs
        counted = count(frozen, example)
        assert flops.profile(architecture) == counted.macs == macs(frozen, example)
        assert params.profile(architecture) == counted.params == sum(p.numel() for p in frozen.parameters())


@small
def test_a_frozen_network_gives_what_the_supernet_gives(name: str) -> None:
    space = make(name)
    x = images(space)
    for seed in range(10):
        architecture = space.space.sample(np.random.default_rng(seed))
        with torch.no_grad():
            torch.testing.assert_close(space.freeze(architecture)(x), space(x, architecture), rtol=1e-5, atol=1e-5)


@small
def test_a_frozen_network_inherits_the_weights_of_its_options(name: str) -> None:
    space = make(name)
    architecture = space.space.sample(np.random.default_rng(3))
    frozen = space.freeze(architecture)
    inherited = 0
    for choice, option in architecture.items():
        ours = frozen.get_submodule(path(choice)).state_dict()
        theirs = space.module.get_submodule(f"{path(choice)}.{option}").state_dict()
        assert list(ours) == list(theirs)
        for key, tensor in ours.items():
            assert torch.equal(tensor, theirs[key])
            assert tensor.data_ptr() != theirs[key].data_ptr()
            inherited += 1
    assert inherited > 0


@small
def test_training_one_path_learns_and_leaves_the_others_alone(name: str) -> None:
    torch.manual_seed(0)
    space = family(name)
    architecture = space.space.sample(np.random.default_rng(1))
    x, labels = images(space, 16), torch.arange(16) % 10
    own = tuple(f"module.{path(choice)}.{option}." for choice, option in architecture.items())
    before = {key: parameter.detach().clone() for key, parameter in space.named_parameters()}
    optimizer = torch.optim.SGD(space.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    losses = []
    for _ in range(8):
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(space(x, architecture), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for key, parameter in space.named_parameters():
        is_own = not key.startswith("module.stage") or key.startswith(own)
        assert torch.equal(parameter, before[key]) != is_own, key


@small
def test_all_options_of_a_block_can_be_added_up(name: str) -> None:
    space = make(name)
    x = images(space)
    weights = {choice.name: torch.full((choice.num_options,), 1 / choice.num_options) for choice in space.space.choices}
    for weight in weights.values():
        weight.requires_grad_()
    space(x, {choice: Paths(weight) for choice, weight in weights.items()}).square().sum().backward()
    assert all(weight.grad is not None and bool(weight.grad.all()) for weight in weights.values())
    sole = {}
    for choice in space.space.choices:
        sole[choice.name] = Paths(functional.one_hot(torch.tensor(choice.num_options - 1), choice.num_options).float())
    last = {choice.name: choice.options[-1] for choice in space.space.choices}
    with torch.no_grad():
        torch.testing.assert_close(space(x, sole), space(x, last))


@pytest.mark.parametrize("name", ["proxylessnas_8", "fbnet22_8"])
def test_an_exported_network_gives_the_same(name: str, tmp_path: Path) -> None:
    space = make(name)
    last = {choice.name: choice.options[-1] for choice in space.space.choices}
    architecture = last | {"stage1.block1": "k3_e3", "stage2.block2": "k5_e1_g2" if "fbnet" in name else "k5_e6"}
    frozen, x = space.freeze(architecture), images(space, 1)
    file = export_onnx(frozen, x, tmp_path / "network.onnx")
    assert onnx_difference(file, frozen, x, connect("onnxruntime:cpu")) < 1e-4


@pytest.mark.parametrize("name", ["proxylessnas_8", "fbnet22_8"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 0}, "resolution must be a whole number of at least 1; got 0"),
        ({"in_channels": 0}, "in_channels must be a whole number of at least 1; got 0"),
        ({"num_classes": 0}, "num_classes must be a whole number of at least 1; got 0"),
        ({"head_channels": -1}, "head_channels must be a whole number of at least 1; got -1"),
        ({"stem_channels": 12}, "stem_channels must be a positive multiple of 8; got 12"),
        ({"stem_stride": 3}, "stem_stride must be 1 or 2; got 3"),
        ({"widths": (16, 20)}, "every width must be a positive multiple of 8; got 20"),
        ({"widths": (16, 0)}, "every width must be a positive multiple of 8; got 0"),
        ({"depths": (2, 0)}, "every depth must be a whole number of at least 1; got 0"),
        ({"strides": (2, 3)}, "every stride must be 1 or 2; got 3"),
        ({"strides": (2,)}, "must have one entry for every stage, and there must be a stage; got 2, 1 and 2"),
        ({"widths": (), "strides": (), "depths": ()}, "there must be a stage; got 0, 0 and 0"),
        ({"drop_rate": 1.0}, "drop_rate must be at least 0 and below 1; got 1.0"),
    ],
)
def test_a_wrong_option_is_named(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        family(name, **options)


def test_dropout_and_classes_are_options() -> None:
    space = family("fbnet22_8", drop_rate=0.5, num_classes=3)
    assert space.module.dropout.p == 0.5
    assert space(images(space), space.space.sample(np.random.default_rng(0))).shape == (2, 3)
