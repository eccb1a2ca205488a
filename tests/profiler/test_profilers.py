"""Tables of profilers against counting frozen networks, and against enumeration."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwnas.cost import Calibration, LatencyTable, MaxTable
from hwnas.errors import ArchitectureError, BadInputError, BudgetError, TraceError
from hwnas.nn import ElasticConv2d, InputChoice, LayerChoice, ModelSpace, Repeat, count
from hwnas.nn.families.mobilenet_v3 import mobilenet_v3
from hwnas.profiler import (
    CostProfiler,
    FlopsProfiler,
    LatencyProfiler,
    NumParamsProfiler,
    PeakMemoryProfiler,
    Profiler,
    SizeProfiler,
)
from hwnas.space import Choice, Distribution, Option
from tests.fingerprints import FINGERPRINT
from tests.nn.odd_models import ODD_MODELS


def compare(space: ModelSpace, *, num: int) -> None:
    """Table values of random architectures are what counting the frozen network gives."""
    macs, params, memory = FlopsProfiler(space), NumParamsProfiler(space), PeakMemoryProfiler(space)
    size = SizeProfiler(space)
    rng = np.random.default_rng(1)
    for _ in range(num):
        architecture = space.space.sample(rng)
        frozen = space.freeze(architecture)
        counts = count(frozen, space.example_inputs)
        assert macs.profile(architecture) == counts.macs
        assert params.profile(architecture) == counts.params
        tensors = [*frozen.parameters(), *(b for b in frozen.buffers() if b.is_floating_point())]
        assert size.profile(architecture) == sum(t.numel() * t.element_size() for t in tensors)
        if memory.exact:
            assert memory.profile(architecture) == counts.peak_memory_bytes
        else:
            assert memory.profile(architecture) >= counts.peak_memory_bytes


@pytest.mark.parametrize("name", ODD_MODELS)
def test_odd_models(name: str) -> None:
    torch.manual_seed(0)
    space = ModelSpace(*ODD_MODELS[name]())
    compare(space, num=12)
    assert PeakMemoryProfiler(space).exact == (name != "attention")


def test_mobilenet_v3() -> None:
    """Extremes as in algorithms 1.1."""
    space = mobilenet_v3()
    macs, params = FlopsProfiler(space), NumParamsProfiler(space)
    assert (macs.min(), macs.max()) == (136_826_032, 520_947_808)
    assert (params.min(), params.max()) == (3_246_072, 8_949_984)
    assert PeakMemoryProfiler(space).exact
    compare(space, num=3)


def conv3(width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, width, 3, padding=1), nn.Conv2d(width, 4, 1))


class Dense(nn.Module):
    """Long skips, of which choices decide whether they are used, and early results that live long."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 1)
        self.blocks = Repeat(lambda i: LayerChoice([conv3(3 + i), conv3(40), nn.Identity()]), (0, 2), label="depth")
        self.middle = nn.ModuleList(LayerChoice([conv3(5), nn.Identity(), nn.ReLU(inplace=True)]) for _ in range(2))
        self.skip = InputChoice(3, label="skip")
        self.some = InputChoice(4, n_chosen=2, reduction="concat", label="some")
        width = Choice("width", (1, 30))
        self.wide, self.narrow = ElasticConv2d(8, width, 1), ElasticConv2d(width, 4, [1, 3], padding="same")

    def forward(self, x: Tensor) -> Tensor:
        first = self.stem(x)
        second = self.blocks(first)
        third = self.middle[0](second * 1)
        fourth = self.middle[1](third + 0) + self.skip([first, second, third])
        return self.narrow(self.wide(self.some([first, second, third, fourth]))) + third.mean()


def test_peak_memory_where_choices_decide_what_lives() -> None:
    space = ModelSpace(Dense(), torch.randn(1, 1, 6, 6))
    memory = PeakMemoryProfiler(space)
    assert memory.exact
    compare(space, num=60)
    assert memory.min() == min(memory.profile_many(space.space.enumerate_codes()))
    assert memory.max() == max(memory.profile_many(space.space.enumerate_codes()))


class Identities(nn.Module):
    """A chain in which each result may be any earlier one."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(LayerChoice([nn.Linear(6, 6), nn.Identity()]) for _ in range(length))
        self.mix = nn.ModuleList(InputChoice(i + 1) for i in range(length))

    def forward(self, x: Tensor) -> Tensor:
        states = [x * 1]
        for layer, mix in zip(self.layers, self.mix, strict=True):
            states.append(layer(mix(states)))
        return states[-1] @ states[-1].t()


@pytest.mark.parametrize("length", [3, 8])
def test_peak_memory_is_a_bound_where_too_much_decides(length: int) -> None:
    space = ModelSpace(Identities(length), torch.randn(5, 6))
    assert PeakMemoryProfiler(space).exact == (length == 3)
    compare(space, num=25)


@pytest.mark.parametrize(
    "layer", [nn.GRU(6, 6, batch_first=True), nn.MultiheadAttention(6, 2, batch_first=True)], ids=["gru", "attention"]
)
def test_peak_memory_is_a_bound_where_a_device_may_run_one_kernel(layer: nn.Module) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = LayerChoice([nn.Linear(6, 6), nn.Identity()])
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            return self.layer(x)[0] if isinstance(self.layer, nn.GRU) else self.layer(x, x, x)[0]

    assert not PeakMemoryProfiler(ModelSpace(Net(), torch.randn(1, 5, 6))).exact


@pytest.fixture
def space() -> ModelSpace:
    model = nn.Sequential(
        LayerChoice({"conv": nn.Conv2d(3, 4, 3, padding=1), "wide": nn.Conv2d(3, 4, 5, padding=2)}, label="layer1"),
        Repeat(lambda i: LayerChoice([nn.Conv2d(4, 4, k) for k in (1, 3)]), (0, 2), label="depth"),
    )
    return ModelSpace(model, torch.zeros(1, 3, 8, 8))


def test_both_forms_of_the_constructor_and_the_old_toolkits_call(space: ModelSpace) -> None:
    net = nn.Sequential(LayerChoice({"conv": nn.Conv2d(1, 10, 3), "pool": nn.AvgPool2d(3)}, label="layer1"))
    profiler = FlopsProfiler(net, torch.randn(1, 1, 12, 12))
    assert profiler.profile({"layer1": "conv"}) == 9_000
    assert profiler.profile({"layer1": "pool"}) == 0
    assert isinstance(profiler.profile({"layer1": "conv"}), int)
    assert FlopsProfiler(ModelSpace(net, torch.randn(1, 1, 12, 12))).max() == 9_000
    with pytest.raises(ArchitectureError, match="layer1"):
        profiler.profile({"layer1": "cnv"})
    with pytest.raises(BadInputError, match="needs the example inputs of a Sequential"):
        NumParamsProfiler(net)
    mine = ModelSpace(net, torch.randn(1, 1, 12, 12))
    assert FlopsProfiler(mine, torch.randn(2, 1, 22, 22)).max() == 2 * 20 * 20 * 90
    assert FlopsProfiler(mine).max() == 9_000  # the space is as it was
    assert NumParamsProfiler(mine, torch.randn(2, 1, 22, 22)).max() == 100


def test_an_operator_of_ones_own() -> None:
    class Svd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.svdvals(x)

    net = nn.Sequential(LayerChoice([nn.Linear(4, 4), nn.Identity()], label="a"), Svd())
    with pytest.raises(TraceError, match=r"Module '1': Nobody knows .*aten::_linalg_svd"):
        FlopsProfiler(net, torch.zeros(3, 4))
    operators = {"aten::_linalg_svd": lambda args, out: args[0].numel()}
    assert FlopsProfiler(net, torch.zeros(3, 4), operators=operators).profile({"a": 1}) == 12
    assert PeakMemoryProfiler(net, torch.zeros(3, 4), operators={"aten::_linalg_svd": 0}).max() > 0


def test_expectation_and_extremes_are_those_of_enumeration(space: ModelSpace) -> None:
    rng = np.random.default_rng(0)
    distribution = Distribution(
        space.space, {choice.name: rng.dirichlet(np.ones(choice.num_options)) for choice in space.space.choices}
    )
    codes = space.space.enumerate_codes()
    probabilities = [
        np.prod([distribution[n][c] for n, c in zip(space.space.names, row, strict=True) if c >= 0]) for row in codes
    ]
    for profiler in (FlopsProfiler(space), NumParamsProfiler(space), SizeProfiler(space)):
        values = profiler.profile_many(codes)
        assert profiler.expected(distribution) == pytest.approx(np.dot(values, probabilities))
        assert profiler.expected_and_gradient(distribution)[0] == pytest.approx(np.dot(values, probabilities))
        assert (profiler.min(), profiler.max()) == (values.min(), values.max())
        assert profiler.profile(profiler.minimum().architecture) == profiler.min()
        assert profiler.profile(profiler.maximum().architecture) == profiler.max()
        architectures = space.space.decode(codes)
        assert list(values) == list(profiler.profile_many(architectures)) == [*map(profiler.profile, architectures)]


def test_the_example_of_three_kernels() -> None:
    """algorithms 4: kernels 3, 5 and 7 cost 9,000, 25,000 and 49,000; under (0.2, 0.3, 0.5) that is 33,800."""
    net = nn.Sequential(LayerChoice([nn.Conv2d(1, 10, k, padding=k // 2) for k in (3, 5, 7)], label="kernel"))
    profiler = FlopsProfiler(net, torch.zeros(1, 1, 10, 10))
    assert profiler.expected(Distribution(profiler.space, {"kernel": [0.2, 0.3, 0.5]})) == pytest.approx(33_800)


def test_peak_memory_has_no_expectation(space: ModelSpace) -> None:
    profiler = PeakMemoryProfiler(space)
    assert isinstance(profiler.cost, MaxTable)
    for expected in (profiler.expected, profiler.expected_and_gradient):
        with pytest.raises(BadInputError, match="not additive"):
            expected(Distribution.uniform(space.space))


def test_budgets_are_in_the_profilers_unit(space: ModelSpace) -> None:
    units = {FlopsProfiler: "macs", NumParamsProfiler: "params", PeakMemoryProfiler: "bytes", SizeProfiler: "bytes"}
    for kind, unit in units.items():
        profiler: CostProfiler = kind(space)
        budget = profiler.at_most(1e9)
        assert (budget.profiler, budget.unit, budget.limit) == (profiler.name, unit, 1e9)
        assert budget.holds(profiler.maximum().architecture)
        assert not profiler.at_most(profiler.max() - 1).holds(profiler.maximum().architecture)
    with pytest.raises(BudgetError, match="finite"):
        FlopsProfiler(space).at_most(float("inf"))
    assert repr(FlopsProfiler(space)) == "FlopsProfiler(macs in macs, 4 choices)"


def latency_table(space: ModelSpace, **changes: object) -> LatencyTable:
    keys = list(dict.fromkeys(block.key for block in space.trace().blocks))
    table = LatencyTable(
        milliseconds={key: 1.0 + i for i, key in enumerate(keys)},
        standard_errors_ms=dict.fromkeys(keys, 0.25),
        fingerprint=FINGERPRINT,
        baseline_ms=1.0,
        reference="reference",
        noise_floor=0.01,
    )
    return dataclasses.replace(table, **changes)  # type: ignore[arg-type]


def test_latency_is_the_sum_over_the_blocks_of_a_network(space: ModelSpace) -> None:
    table = latency_table(space)
    latency, cautious = LatencyProfiler(space, table), LatencyProfiler(space, table, z=2.0)
    blocks = space.trace().blocks
    assert len(blocks) == 2 + 2 * 2 + 2  # the second convolution comes after 8x8 or 6x6
    for architecture in space.space.enumerate():
        codes = dict(zip(space.space.names, space.space.encode([architecture])[0], strict=True))
        running = [
            block
            for block in blocks
            if any(all(codes[name] in allowed for name, allowed in box) for box in block.guard.boxes)
        ]
        depth = architecture["depth"]
        assert len(running) == 1 + int(depth)  # type: ignore[arg-type]
        expected = sum(table.milliseconds[block.key] for block in running)
        assert latency.profile(architecture) == pytest.approx(expected)
        assert cautious.profile(architecture) == pytest.approx(expected + 0.5 * len(running))
    fit = Calibration(intercept_ms=0.5, slope=2.0, r2=1.0, max_relative_error=0.0, num_networks=10)
    calibrated = LatencyProfiler(space, latency_table(space, calibration=fit))
    assert calibrated.max() == pytest.approx(0.5 + 2 * latency.max())
    assert latency.at_most(5.0).unit == "ms"


def test_a_block_that_is_not_in_the_table_is_an_error_that_names_it(space: ModelSpace) -> None:
    table = latency_table(space)
    missing = dict(itertools.islice(table.milliseconds.items(), 1, None))
    partial = dataclasses.replace(table, milliseconds=missing, standard_errors_ms=dict.fromkeys(missing, 0.0))
    with pytest.raises(
        BadInputError, match=r"table of onnxruntime:cpu has no block for '0.conv' where layer1 in \[0\] \(key "
    ):
        LatencyProfiler(space, partial)
    with pytest.raises(BadInputError, match="`z` must be at least 0"):
        LatencyProfiler(space, table, z=-1.0)


def test_any_object_with_profile_is_a_profiler(space: ModelSpace) -> None:
    class Mine:
        def profile(self, architecture: Mapping[str, Option]) -> float:
            return float(len(architecture))

    assert isinstance(Mine(), Profiler)
    assert isinstance(FlopsProfiler(space), Profiler)
