"""The numbers of the convolutions are closed forms; gradients are held against central differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from hwnas.cost import CostTable, Term
from hwnas.errors import BadInputError, ConfigError, SpaceError
from hwnas.nn import LayerChoice, ModelSpace
from hwnas.profiler import FlopsProfiler, PeakMemoryProfiler
from hwnas.space import Architecture, Choice, Distribution, Space
from hwnas.strategy import ExpectationProfilerPenalty, SampleProfilerPenalty
from hwnas.strategy.logits import Logits
from hwnas.strategy.penalties import expected_cost, require_profiler_of
from tests.cost.examples import random_distribution, random_table
from tests.space.examples import random_space

PROBABILITIES = {"conv": torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)}
LOSS = torch.tensor(42.0, dtype=torch.float64)


def convolutions() -> ModelSpace:
    """From 1 to 10 channels on 10x10 images with k 3, 5 and 7: 1,000 k^2 multiply-accumulates."""
    candidates = {f"k{k}": nn.Conv2d(1, 10, k, padding=k // 2, bias=False) for k in (3, 5, 7)}
    return ModelSpace(nn.Sequential(LayerChoice(candidates, label="conv")), torch.zeros(1, 1, 10, 10))


class OwnProfiler:
    """A user's: a function, no table."""

    def __init__(self, value: float) -> None:
        self.value = value

    def profile(self, architecture):
        return self.value


class TableProfiler:
    """A user's with a table."""

    def __init__(self, cost: CostTable) -> None:
        self.cost = cost

    def profile(self, architecture):
        return self.cost.value(architecture)


@pytest.fixture(scope="module")
def model_space():
    return convolutions()


@pytest.fixture(scope="module")
def macs(model_space):
    return FlopsProfiler(model_space)


def test_expected_macs(macs):
    assert expected_cost(macs.cost, PROBABILITIES).item() == 0.2 * 9_000 + 0.3 * 25_000 + 0.5 * 49_000 == 33_800


def test_the_published_penalty(macs):
    penalty = ExpectationProfilerPenalty(macs, 20_000, 2)
    assert penalty(LOSS, probabilities=PROBABILITIES).item() == pytest.approx(42 + 2 * 0.69, abs=1e-12)


def reference(loss, cost, baseline, scale, nonlinear, aggregate):
    """The formulas, with floats."""
    r = cost / baseline - 1
    n = {"linear": r, "positive": max(0.0, r), "negative": min(0.0, r), "absolute": abs(r)}[nonlinear]
    return loss + scale * n if aggregate == "add" else loss * (1 + n) ** scale


@pytest.mark.parametrize("aggregate", ["add", "mul"])
@pytest.mark.parametrize("nonlinear", ["linear", "positive", "negative", "absolute"])
@pytest.mark.parametrize(("baseline", "scale"), [(20_000, 2.0), (50_000, 0.5), (50_000, -0.07)])
def test_every_formula(macs, nonlinear, aggregate, baseline, scale):
    options = {"nonlinear": nonlinear, "aggregate": aggregate}
    expectation = ExpectationProfilerPenalty(macs, baseline, scale, **options)
    sample = SampleProfilerPenalty(macs, baseline, scale, **options)
    architecture = Architecture({"conv": "k5"})
    of_expectation = expectation(LOSS, probabilities=PROBABILITIES, architecture=architecture).item()
    of_sample = sample(LOSS, probabilities=PROBABILITIES, architecture=architecture).item()
    assert of_expectation == pytest.approx(reference(42, 33_800, baseline, scale, nonlinear, aggregate), rel=1e-12)
    assert of_sample == pytest.approx(reference(42, 25_000, baseline, scale, nonlinear, aggregate), rel=1e-12)


@pytest.mark.parametrize("aggregate", ["add", "mul"])
@pytest.mark.parametrize("nonlinear", ["linear", "positive", "negative", "absolute"])
def test_the_gradient_reaches_the_logits(model_space, macs, nonlinear, aggregate):
    """Against central differences, through the softmax; NNI's penalty had no gradient at all."""
    logits = Logits(model_space.space, scale=1.0, seed=3)
    penalty = ExpectationProfilerPenalty(macs, 30_000, 1.7, nonlinear=nonlinear, aggregate=aggregate)
    values = logits.values["conv"]

    def loss(given):
        return penalty(LOSS, probabilities={"conv": torch.softmax(given, 0)})

    (gradient,) = torch.autograd.grad(loss(values), [values])
    steps = 1e-5 * torch.eye(3, dtype=torch.float64)
    differences = [(loss(values + step) - loss(values - step)).item() / 2e-5 for step in steps]
    assert gradient.tolist() == pytest.approx(differences, rel=1e-6, abs=1e-8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_the_expectation_on_random_conditional_spaces(seed):
    """Against the sum over all architectures."""
    rng = np.random.default_rng(seed)
    space = random_space(seed)
    cost = random_table(space, rng)
    distribution = random_distribution(space, rng)
    codes = space.enumerate_codes()
    weights = np.ones(len(codes))
    for column, name in zip(codes.T, space.names, strict=True):
        weights *= np.append(distribution[name], 1.0)[column]  # an inactive choice, -1, is certain
    expectation = expected_cost(cost, {name: torch.tensor(distribution[name]) for name in space.names})
    assert expectation.item() == pytest.approx(weights @ cost.values(codes), rel=1e-9, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_the_gradient_on_random_conditional_spaces(seed):
    """Against central differences, through the softmax, since only on the simplex is there one expectation."""
    rng = np.random.default_rng(seed)
    space = random_space(seed)
    cost = random_table(space, rng)
    logits = [torch.tensor(rng.normal(size=choice.num_options), requires_grad=True) for choice in space.choices]

    def expectation(*logits):
        return expected_cost(cost, {name: torch.softmax(x, 0) for name, x in zip(space.names, logits, strict=True)})

    assert torch.autograd.gradcheck(expectation, logits, eps=1e-6, atol=1e-6, rtol=1e-6)


def test_the_gradient_of_depth():
    """A block beyond the depth costs nothing: E = sum over depths of p(d) times the blocks of it."""
    space = Space([Choice("depth", (1, 2, 3))])
    cost = CostTable.from_options(space, {"depth": {1: 2.0, 2: 5.0, 3: 9.0}}, constant=1.0)
    probabilities = {"depth": torch.tensor([0.5, 0.25, 0.25], requires_grad=True)}
    expectation = expected_cost(cost, probabilities)
    (3 * expectation).backward()
    assert expectation.item() == 1 + 0.5 * 2 + 0.25 * 5 + 0.25 * 9
    assert probabilities["depth"].grad.tolist() == [6.0, 15.0, 27.0]
    assert probabilities["depth"].grad.dtype == torch.float32


def test_the_expectation_is_double_and_the_loss_keeps_its_precision(macs):
    single = {"conv": torch.tensor([0.2, 0.3, 0.5])}
    assert expected_cost(macs.cost, single).dtype == torch.float64
    assert not expected_cost(macs.cost, single).requires_grad
    penalised = ExpectationProfilerPenalty(macs, 20_000, 2)(torch.tensor(42.0), probabilities=single)
    assert penalised.dtype == torch.float32
    losses = torch.tensor([1.0, 2.0])  # one for every image
    assert ExpectationProfilerPenalty(macs, 33_800)(losses, probabilities=single).tolist() == pytest.approx([1.0, 2.0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_probabilities_on_a_gpu(macs):
    probabilities = {"conv": torch.tensor([0.2, 0.3, 0.5], device="cuda", requires_grad=True)}
    loss = ExpectationProfilerPenalty(macs, 20_000, 2)(torch.tensor(42.0, device="cuda"), probabilities=probabilities)
    loss.backward()
    assert loss.device.type == probabilities["conv"].grad.device.type == "cuda"
    assert probabilities["conv"].grad.tolist() == pytest.approx([0.9, 2.5, 4.9])


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["linear", "positive", "negative", "absolute"]),
    st.sampled_from(["add", "mul"]),
    st.floats(-2, 2),
    st.floats(0.1, 10),
)
def test_changing_ms_to_seconds_changes_no_result(nonlinear, aggregate, scale, baseline_ms):
    space = Space([Choice("a", (0, 1)), Choice("b", (0, 1, 2))])
    rng = np.random.default_rng(0)
    ms = CostTable(space, 0.5, [Term(("a", "b"), rng.uniform(0.1, 3, (3, 4)))], unit="ms")
    seconds = (ms * 1e-3).with_unit("s")
    results = []
    for cost, baseline in ((ms, baseline_ms), (seconds, baseline_ms * 1e-3)):
        probabilities = {
            name: torch.tensor(values, requires_grad=True)
            for name, values in Distribution.from_logits(space, {"a": [0, 1], "b": [0, 1, -1]}).items()
        }
        options = {"nonlinear": nonlinear, "aggregate": aggregate}
        penalty = ExpectationProfilerPenalty(TableProfiler(cost), baseline, scale, **options)
        loss = penalty(LOSS, probabilities=probabilities)
        loss.backward()
        sample = SampleProfilerPenalty(TableProfiler(cost), baseline, scale, **options)
        of_sample = sample(LOSS, probabilities={}, architecture={"a": 1, "b": 2})
        results.append([loss.item(), of_sample.item(), *(x for p in probabilities.values() for x in p.grad.tolist())])
    assert results[0] == pytest.approx(results[1], rel=1e-9, abs=1e-9)


def test_a_probability_that_is_missing(macs):
    with pytest.raises(SpaceError, match=r"missing \['conv'\]"):
        expected_cost(macs.cost, {})


@pytest.mark.parametrize(
    ("values", "message"),
    [([0.5, 0.5], r"must have the shape \(3,\)"), ([0.5, 0.5, 0.5], "sum to 1"), ([math.nan, 0.5, 0.5], "sum to 1")],
)
def test_probabilities_that_are_none(macs, values, message):
    with pytest.raises(SpaceError, match=message):
        expected_cost(macs.cost, {"conv": torch.tensor(values)})


def test_peak_memory_has_no_expectation_but_a_sample_has_one(model_space):
    memory = PeakMemoryProfiler(model_space)
    with pytest.raises(ConfigError, match=r"PeakMemoryProfiler is MaxTable. Use SampleProfilerPenalty"):
        ExpectationProfilerPenalty(memory, 1_000)
    architecture = Architecture({"conv": "k3"})
    penalised = SampleProfilerPenalty(memory, memory.profile(architecture) / 2)(
        LOSS, probabilities={}, architecture=architecture
    )
    assert penalised.item() == 43.0  # twice the baseline: r = 1


def test_a_user_s_own_profiler_for_samples_only(model_space):
    with pytest.raises(ConfigError, match="OwnProfiler is NoneType"):
        ExpectationProfilerPenalty(OwnProfiler(3.0), 1.0)
    penalty = SampleProfilerPenalty(OwnProfiler(3.0), 1.5, 4.0)
    penalty.check(model_space.space, "enas")  # does not say whose it is
    assert penalty(LOSS, probabilities={}, architecture={}).item() == 46.0


def test_no_profiler():
    for wrong in (5, OwnProfiler):
        with pytest.raises(ConfigError, match=r"`profiler` of a SampleProfilerPenalty must be a profiler, .*; got "):
            SampleProfilerPenalty(wrong, 1.0)


@pytest.mark.parametrize("penalty", [ExpectationProfilerPenalty, SampleProfilerPenalty])
@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0,), {}, "`baseline` must be a finite number above 0, in the profiler's unit; got 0"),
        ((-5.0,), {}, "`baseline` must be a finite number above 0.*got -5.0"),
        ((math.inf,), {}, "`baseline` .*got inf"),
        ((math.nan,), {}, "`baseline` .*got nan"),
        (("5ms",), {}, "`baseline` .*got '5ms'"),
        ((True,), {}, "`baseline` .*got True"),
        ((1.0, math.nan), {}, "`scale` must be a finite number; got nan"),
        ((1.0,), {"nonlinear": "square"}, "`nonlinear` must be one of linear, positive, negative, absolute; .*square"),
        ((1.0,), {"aggregate": "sum"}, "`aggregate` must be one of add, mul; got 'sum'"),
    ],
)
def test_arguments_out_of_range(macs, penalty, arguments, options, message):
    with pytest.raises(ConfigError, match=message):
        penalty(macs, *arguments, **options)


def test_a_strategy_that_samples_nothing(macs):
    with pytest.raises(ConfigError, match=r"samples none. Use ExpectationProfilerPenalty"):
        SampleProfilerPenalty(macs, 1.0)(LOSS, probabilities=PROBABILITIES, architecture=None)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_cost_that_is_no_number(value):
    with pytest.raises(BadInputError, match=f"must be a finite number; the profiler gave {value}"):
        SampleProfilerPenalty(OwnProfiler(value), 1.0)(LOSS, probabilities={}, architecture={})


def test_a_product_with_a_cost_of_zero():
    penalty = SampleProfilerPenalty(OwnProfiler(0.0), 1.0, -0.07, aggregate="mul")
    with pytest.raises(BadInputError, match=r"cost must be over 0; it is 0. Use `aggregate` add"):
        penalty(LOSS, probabilities={}, architecture={})


@pytest.mark.parametrize("penalty", [ExpectationProfilerPenalty, SampleProfilerPenalty])
def test_the_profiler_of_another_space(macs, model_space, penalty):
    penalty(macs, 1.0).check(model_space.space, "darts")
    other = Space([Choice("other", (1, 2))])
    with pytest.raises(ConfigError, match=r"penalty of darts.*FlopsProfiler.*only one of the two has 'conv', 'other'"):
        penalty(macs, 1.0).check(other, "darts")


def test_a_table_of_another_space_without_another_name(model_space):
    table = CostTable(Space([Choice("conv", ("k3", "k5"))]), 1.0)
    with pytest.raises(ConfigError, match=r"TableProfiler is of another one. Make the profiler"):
        require_profiler_of(TableProfiler(table), model_space.space, what="filter", strategy="enas")
