"""FBNet: gradients against finite differences, the same draw in cost and loss, and searches on a planted task."""

import copy
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from hwnas.errors import CheckpointError, ConfigError, InfeasibleError, StrategyError
from hwnas.nn import ElasticLinear, ModelSpace, Paths, Selection
from hwnas.profiler import FlopsProfiler
from hwnas.strategy import ExpectationProfilerPenalty, FBNet, OneShot, RangeProfilerFilter, SampleProfilerPenalty
from hwnas.testing.planted_search import moments, planted_space, run
from tests.strategy.mixed_space import Table, expected_by_enumeration, mixed_space, moment_of, softmax

SEED = 5


def spread(strategy: FBNet) -> FBNet:
    """The strategy, with logits that are far from equal."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for logits in strategy.logits.parameters:
            logits.copy_(torch.randn(logits.shape, generator=generator, dtype=torch.float64))
    return strategy


def loss_with_cost(loss: float, cost: float, reference: float, mode: str, published: bool) -> float:
    """The table in the docstring of FBNet, with alpha 0.25 and beta 0.6; costs in ms."""
    if published:
        return loss * 0.25 * math.log(cost) ** 0.6 if mode == "mul" else loss + 0.25 * cost**0.6
    if mode == "mul":
        return loss * 0.25 * math.log(1 + (math.e - 1) * cost / reference) ** 0.6
    return loss + 0.25 * (cost / reference) ** 0.6


@pytest.mark.parametrize("mode", ["mul", "add"])
@pytest.mark.parametrize("published", [False, True])
def test_gradients_are_finite_differences_with_the_cost_of_the_same_draw(mode: Any, published: bool) -> None:
    """Of every logit, those of depths and of choices under conditions included; costs by enumeration."""
    space = mixed_space()
    cost = (FlopsProfiler(space).cost * 0.1).with_unit("ms")
    reference = 0.5 * (cost.minimum().value + cost.maximum().value)
    strategy = FBNet(
        space,
        profiler=Table(cost),
        mode=mode,
        published_loss=published,
        reference=None if published else reference,
        penalty=ExpectationProfilerPenalty(Table(cost), baseline=reference, scale=0.3),
    )
    logits = spread(strategy).logits.numpy()
    moment = moment_of(space, seed=SEED, epoch=53.5)
    temperature = 5.0 * math.exp(-0.045) ** 3
    rng = np.random.default_rng(SEED)
    noise = {name: rng.gumbel(size=len(values)) for name, values in logits.items()}
    state = copy.deepcopy(space.state_dict())
    strategy.step(moment)

    def objective(shifted: Mapping[str, np.ndarray]) -> float:
        masks = {name: softmax((shifted[name] + noise[name]) / temperature) for name in shifted}
        space.load_state_dict(state)
        with torch.no_grad():
            loss = moment.validation_loss({name: Paths(torch.from_numpy(mask)) for name, mask in masks.items()})
        expected = expected_by_enumeration(cost, masks)
        return loss_with_cost(loss.item(), expected, reference, mode, published) + 0.3 * (expected / reference - 1)

    eps = 1e-5
    for name, parameter in strategy.logits.values.items():
        assert parameter.grad is not None
        for code in range(len(logits[name])):
            sides = []
            for sign in (1, -1):
                shifted = copy.deepcopy(logits)
                shifted[name][code] += sign * eps
                sides.append(objective(shifted))
            assert parameter.grad[code].item() == pytest.approx((sides[0] - sides[1]) / (2 * eps), rel=1e-5, abs=1e-9)
    assert strategy.logits.values["depth"].grad.abs().min() > 1e-6  # type: ignore[union-attr]


def test_numbers_of_the_losses() -> None:
    """By hand: two equal architectures of 20 ms, so that every expectation is 20 ms."""
    space = planted_space()
    cost = (FlopsProfiler(space).cost * 0.0 + 20.0).with_unit("ms")
    even = {choice.name: torch.full((3,), 1 / 3, dtype=torch.float64) for choice in space.space.choices}
    two = torch.tensor(2.0)
    assert FBNet(space, profiler=Table(cost)).loss(two, even).item() == pytest.approx(2 * 0.25)
    assert FBNet(space, profiler=Table(cost), mode="add").loss(two, even).item() == pytest.approx(2.25)
    published = FBNet(space, profiler=Table(cost), published_loss=True)
    assert published.loss(two, even).item() == pytest.approx(2 * 0.25 * 1.931532, rel=1e-6)  # ln(20) ** 0.6
    added = FBNet(space, profiler=Table(cost), published_loss=True, mode="add")
    assert added.loss(two, even).item() == pytest.approx(2 + 0.25 * 6.034176, rel=1e-6)  # 20 ** 0.6
    assert FBNet(space).loss(two, even).item() == 2.0


def test_the_temperature_falls_once_an_epoch_after_the_start() -> None:
    strategy = FBNet(planted_space())
    assert [strategy.temperature(epoch) for epoch in (0.0, 49.9, 50.0, 50.99)] == [5.0] * 4
    assert strategy.temperature(51.0) == pytest.approx(5 * 0.955997, rel=1e-6)  # exp(-0.045)
    assert strategy.temperature(299.5) == pytest.approx(5 * math.exp(-0.045 * 249))


def test_masks_have_noise_only_where_they_are_drawn() -> None:
    strategy = spread(FBNet(planted_space()))
    for name, mask in strategy.masks(2.0).items():
        np.testing.assert_allclose(mask.detach().numpy(), softmax(strategy.logits.numpy()[name] / 2), rtol=1e-12)
    rng = np.random.default_rng(0)
    drawn = np.mean([strategy.masks(0.01, rng)["1"].detach().numpy() for _ in range(4000)], axis=0)
    # At a low temperature a mask is one-hot, with the probabilities of the softmax (the Gumbel-max trick).
    np.testing.assert_allclose(drawn, strategy.distribution()["1"], atol=0.03)  # over 3 standard errors


def test_weights_learn_in_the_relaxed_supernet_from_training_images_only() -> None:
    space = mixed_space()
    strategy = spread(FBNet(space))
    moment = moment_of(space, seed=SEED)
    seen: list[Selection] = []
    before = copy.deepcopy(space.state_dict())

    def training_loss(selection: Selection) -> torch.Tensor:
        for name, value in space.state_dict().items():  # the architecture step has left nothing behind
            assert torch.equal(value, before[name]), name
        assert all(parameter.grad is None for parameter in space.parameters())
        seen.append(selection)
        return moment.training_loss(selection)

    loss = strategy.step(dataclasses.replace(moment, training_loss=training_loss))
    assert not loss.requires_grad
    assert all(parameter.grad is not None for parameter in space.parameters())
    (selection,) = seen
    rng = np.random.default_rng(SEED)
    strategy.masks(1.0, rng)  # the architecture's draw; the logits have moved since
    expected = strategy.masks(strategy.temperature(moment.epoch), rng)
    for name, mask in expected.items():
        path = selection[name]
        assert isinstance(path, Paths)
        assert not path.weights.requires_grad
        torch.testing.assert_close(path.weights, mask.detach())


def test_in_the_warm_up_the_architecture_stays() -> None:
    space = mixed_space()
    strategy = FBNet(space, start_epoch=10)
    before = strategy.logits.numpy()
    strategy.step(moment_of(space, epoch=9.99))
    assert all((before[name] == values).all() for name, values in strategy.logits.numpy().items())
    strategy.step(moment_of(space, epoch=10))
    assert all((before[name] != values).all() for name, values in strategy.logits.numpy().items())


def planted(space: ModelSpace, **options: Any) -> OneShot:
    return FBNet(space, start_epoch=2, nas_lr=0.05, **options)


def test_it_finds_the_planted_optimum() -> None:
    space = planted_space(with_depth=True)
    strategy = planted(space)
    run(strategy, space, num_steps=100)
    found = strategy.derive(()).architecture
    assert (found["1"], found["4"]) == ("linear", "linear")
    least = FlopsProfiler(space).min()
    assert FlopsProfiler(space).profile(strategy.derive([FlopsProfiler(space).at_most(least)]).architecture) == least


def test_a_cost_pulls_towards_cheap_architectures() -> None:
    def expected(**options: Any) -> float:
        space = planted_space(with_depth=True)
        strategy = planted(space, **options)
        run(strategy, space, num_steps=40)
        return FlopsProfiler(space).expected(strategy.distribution())

    assert expected(profiler=FlopsProfiler(planted_space(with_depth=True))) < 0.8 * expected()


def test_the_same_seed_gives_the_same_search_and_a_state_goes_on() -> None:
    def search(resume_at: int | None) -> FBNet:
        space = planted_space(with_depth=True)
        profiler = FlopsProfiler(space)
        strategy = FBNet(space, start_epoch=1, profiler=profiler, seed=3)
        optimizer = torch.optim.SGD(space.parameters(), lr=0.1, momentum=0.9)
        for moment in moments(space, optimizer, num_steps=20):
            if moment.step == resume_at:
                state = strategy.state()
                strategy = FBNet(space, start_epoch=1, profiler=profiler, seed=4)
                strategy.load_state(state)
            strategy.step(moment)
            optimizer.step()
        return strategy

    one, again, resumed = search(None).state(), search(None).state(), search(15).state()
    assert {"logits.depth", "optimizer.0/exp_avg", "optimizer.0/exp_avg_sq", "optimizer.0/step"} <= set(one)
    for other in (again, resumed):
        assert one.keys() == other.keys()
        assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("options", [{}, {"mode": "add"}, {"published_loss": True}])
def test_milliseconds_or_seconds_change_nothing(options: dict[str, Any]) -> None:
    def search(factor: float, unit: str) -> dict[str, np.ndarray]:
        space = planted_space()
        cost = (FlopsProfiler(space).cost * factor).with_unit(unit)
        strategy = FBNet(space, start_epoch=0, profiler=Table(cost), **options)
        run(strategy, space, num_steps=12)
        return strategy.logits.numpy()

    milliseconds, seconds = search(1.0, "ms"), search(1e-3, "s")
    for name, values in milliseconds.items():
        np.testing.assert_allclose(seconds[name], values, rtol=1e-9)


def test_the_derivation_keeps_the_filter() -> None:
    space = planted_space()
    profiler = FlopsProfiler(space)
    one_linear = (profiler.min() + profiler.max()) / 2
    strategy = FBNet(space, filter=RangeProfilerFilter(profiler, one_linear, one_linear))
    assert profiler.profile(strategy.derive(()).architecture) == one_linear
    strategy = FBNet(space, filter=lambda architecture: architecture["1"] == "wide")
    assert strategy.derive(()).architecture["1"] == "wide"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "max"}, "`mode` must be one of mul, add; got 'max'"),
        ({"alpha": 0.0}, "`alpha` must be a finite number above 0; got 0.0"),
        ({"beta": math.inf}, "`beta` must be a finite number above 0; got inf"),
        ({"nas_lr": -1}, "`nas_lr` must be a finite number above 0; got -1"),
        ({"init_temperature": math.nan}, "`init_temperature` must be a finite number above 0; got nan"),
        ({"nas_weight_decay": -1}, "`nas_weight_decay` must be a finite number of at least 0; got -1"),
        ({"start_epoch": -0.5}, "`start_epoch` must be a finite number of at least 0; got -0.5"),
        ({"exp_anneal_rate": 1.1}, "`exp_anneal_rate` must be a finite number above 0 and at most 1; got 1.1"),
        ({"reference": 5.0}, "`reference` and `published_loss` are about the cost of `profiler`; give one"),
        ({"published_loss": True}, "`reference` and `published_loss` are about the cost of `profiler`; give one"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FBNet(planted_space(), **options)


def test_errors() -> None:
    space = planted_space()
    profiler = FlopsProfiler(space)
    with pytest.raises(ConfigError, match="The published loss has no `reference`; got 100"):
        FBNet(space, profiler=profiler, published_loss=True, reference=100)
    with pytest.raises(
        ConfigError, match=r"`reference` must be a cost that the space can have, in macs: from 48 to 176"
    ):
        FBNet(space, profiler=profiler, reference=1.0)
    with pytest.raises(ConfigError, match=r"The cost must be above 1 M MACs .* Use published_loss=False or mode"):
        FBNet(space, profiler=profiler, published_loss=True)
    with pytest.raises(ConfigError, match="needs an architecture that was sampled, and this strategy samples none"):
        FBNet(space, penalty=SampleProfilerPenalty(profiler, 100))
    with pytest.raises(ConfigError, match="The penalty of fbnet must have a profiler of the space"):
        FBNet(space, penalty=ExpectationProfilerPenalty(FlopsProfiler(planted_space(with_depth=True)), 100))
    with pytest.raises(InfeasibleError):
        FBNet(space, filter=RangeProfilerFilter(profiler, 1, 2))
    with pytest.raises(InfeasibleError):
        FBNet(space, [profiler.at_most(1)])
    elastic = ModelSpace(torch.nn.Sequential(ElasticLinear(4, [2, 3])), torch.zeros(1, 4))
    with pytest.raises(StrategyError, match=r"fbnet mixes the options of every choice, and those of '0.out_features'"):
        FBNet(elastic)
    with pytest.raises(ConfigError, match="`start_epoch` must be below the epochs of the search, 20, for the architec"):
        FBNet(space).step(moment_of(mixed_space(), num_epochs=20))
    with pytest.raises(CheckpointError, match=r"does not fit the strategy: logits\.1 is nothing there"):
        FBNet(space).load_state({})
