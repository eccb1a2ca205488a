"""ProxylessNAS: gradients against brute force over pairs and over architectures, and what a step keeps."""

import copy
import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwnas.cost import CostTable
from hwnas.errors import CheckpointError, ConfigError, InfeasibleError, StrategyError
from hwnas.nn import ElasticLinear, LayerChoice, ModelSpace, Paths, Repeat, Selection
from hwnas.profiler import FlopsProfiler
from hwnas.space import Architecture, Space
from hwnas.strategy import ExpectationProfilerPenalty, ProxylessNAS, RangeProfilerFilter, SampleProfilerPenalty
from hwnas.testing.planted_search import moments, planted_space, run
from tests.strategy.mixed_space import Table, expected_by_enumeration, mixed_space, moment_of, softmax

Logits = Mapping[str, np.ndarray]
Pairs = dict[str, tuple[int, ...]]


def spread(strategy: ProxylessNAS, seed: int = 1) -> ProxylessNAS:
    """The strategy, with logits that are far from equal."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for logits in strategy.logits.parameters:
            logits.copy_(torch.randn(logits.shape, generator=generator, dtype=torch.float64))
    return strategy


def differences(function: Any, logits: Logits, eps: float = 1e-5) -> dict[str, np.ndarray]:
    """The gradient of a function of logits by central differences."""
    gradient = {name: np.zeros(len(values)) for name, values in logits.items()}
    for name, values in logits.items():
        for code in range(len(values)):
            sides = []
            for sign in (1, -1):
                shifted = {key: value.copy() for key, value in logits.items()}
                shifted[name][code] += sign * eps
                sides.append(function(shifted))
            gradient[name][code] = (sides[0] - sides[1]) / (2 * eps)
    return gradient


def assert_gradients(found: Logits, expected: Logits, *, rel: float = 1e-5) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=rel, atol=1e-8, err_msg=name)


class Chain(nn.Module):
    """A layer and a depth; the blocks have no choices, so that brute force stays small."""

    def __init__(self) -> None:
        super().__init__()
        self.op = LayerChoice([nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Tanh()), nn.Identity()], label="op")
        self.body = Repeat(lambda _: nn.Sequential(nn.Linear(4, 4), nn.Tanh()), (0, 2), label="depth")
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(self.op(x)))
        return out


def chain_space() -> ModelSpace:
    torch.manual_seed(2)
    return ModelSpace(Chain().double(), torch.zeros(2, 4, dtype=torch.float64))


def chain_output(net: Chain, x: Tensor, op: np.ndarray, depth: np.ndarray) -> Tensor:
    """The output for weights of the options, in plain PyTorch."""
    after = [candidate(x) for candidate in net.op.children()]
    x = sum(weight * out for weight, out in zip(op, after, strict=True))
    outs = [x]
    for block in net.body.blocks:
        outs.append(block(outs[-1]))
    return net.head(sum(weight * out for weight, out in zip(depth, outs, strict=True)))


def all_draws(logits: Logits) -> Iterator[tuple[Pairs, dict[str, int], float]]:
    """Every pair and every gate of it, with their probability: two options without replacement, then one of the two."""
    names = list(logits)
    probabilities = {name: softmax(values) for name, values in logits.items()}
    per_choice = []
    for name in names:
        p = probabilities[name]
        pairs = itertools.combinations(range(len(p)), 2)
        per_choice.append(
            [
                ((i, j), code, p[i] * p[j] * (1 / (1 - p[i]) + 1 / (1 - p[j])) * p[code] / (p[i] + p[j]))
                for i, j in pairs
                for code in (i, j)
            ]
        )
    for draw in itertools.product(*per_choice):
        pairs_of = {name: pair for name, (pair, _, _) in zip(names, draw, strict=True)}
        codes = {name: code for name, (_, code, _) in zip(names, draw, strict=True)}
        yield pairs_of, codes, math.prod(probability for _, _, probability in draw)


def architecture_of(space: Space, codes: Mapping[str, int]) -> Architecture:
    """The options with these codes, for the choices that are active."""
    row: list[int] = []
    for position, choice in enumerate(space.choices):
        row.append(codes[choice.name] if space.is_active(position, row) else -1)
    return space.decode([row])[0]


def test_the_expected_gradient_is_that_of_the_expected_loss_over_all_pairs() -> None:
    """The two-path gradient, averaged over all pairs and gates with their probabilities.

    Its target: with the probabilities of pairs fixed, sum_pairs P sum_gates q L(o_gate + sum_j (q_j(alpha) - q_j) o_j),
    in plain PyTorch and by finite differences; L is a cross-entropy, and two choices follow each other.
    """
    space = chain_space()
    moment = moment_of(space)
    strategy = spread(ProxylessNAS(space))
    logits = strategy.logits.numpy()
    generator = torch.Generator().manual_seed(9)
    x = torch.randn(12, 4, generator=generator, dtype=torch.float64)
    y = torch.randint(2, (12,), generator=generator)
    moment = dataclasses.replace(
        moment, validation_loss=lambda selection: nn.functional.cross_entropy(space(x, selection), y)
    )
    found = {name: np.zeros(len(values)) for name, values in logits.items()}
    draws = list(all_draws(logits))
    assert sum(probability for *_, probability in draws) == pytest.approx(1)
    for pairs, codes, probability in draws:
        loss = strategy.two_path_loss(moment, pairs, architecture_of(space.space, codes))
        gradients = torch.autograd.grad(loss, strategy.logits.parameters)
        for name, gradient in zip(logits, gradients, strict=True):
            found[name] += probability * gradient.numpy()

    def weights(shifted: Logits, pairs: Pairs, codes: Mapping[str, int], name: str) -> np.ndarray:
        gates = np.zeros(len(logits[name]))
        gates[codes[name]] = 1.0
        pair = list(pairs[name])
        gates[pair] += softmax(shifted[name][pair]) - softmax(logits[name][pair])
        return gates

    @torch.no_grad()
    def target(shifted: Logits) -> float:
        total = 0.0
        for pairs, codes, probability in draws:
            op, depth = (weights(shifted, pairs, codes, name) for name in ("op", "depth"))
            out = chain_output(space.module, x, op, depth)  # type: ignore[arg-type]
            total += probability * nn.functional.cross_entropy(out, y).item()
        return total

    assert_gradients(found, differences(target, logits))
    assert min(np.abs(values).max() for values in found.values()) > 1e-3


def test_of_a_linear_loss_it_is_the_derivative_of_the_expected_loss_itself() -> None:
    """Then nothing is approximated: of a pair the gradient is that of sum_k q_k(alpha) L(o_k)."""
    space = ModelSpace(nn.Sequential(chain_space().module.op), torch.zeros(2, 4, dtype=torch.float64))  # type: ignore[union-attr]
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moment = moment_of(space, validation_loss=lambda selection: (space(x, selection) * x.cos()).sum())
    strategy = spread(ProxylessNAS(space))
    logits = strategy.logits.numpy()
    found = {"op": np.zeros(3)}
    for pairs, codes, probability in all_draws(logits):
        loss = strategy.two_path_loss(moment, pairs, architecture_of(space.space, codes))
        found["op"] += probability * torch.autograd.grad(loss, strategy.logits.parameters)[0].numpy()
    with torch.no_grad():
        losses = [moment.validation_loss({"op": option}).item() for option in range(3)]

    def expected_loss(shifted: Logits) -> float:
        p, total = softmax(logits["op"]), 0.0
        for i, j in itertools.combinations(range(3), 2):
            q = softmax(shifted["op"][[i, j]])
            total += p[i] * p[j] * (1 / (1 - p[i]) + 1 / (1 - p[j])) * (q[0] * losses[i] + q[1] * losses[j])
        return total

    assert_gradients(found, differences(expected_loss, logits))


@pytest.mark.parametrize("kind", ["mul#log", "add#linear"])
def test_the_cost_is_of_all_options_and_its_gradient_along_the_step(kind: Any) -> None:
    """Finite differences of the expectation by enumeration: the pair's mass is divided anew, all others stay."""
    space = mixed_space()
    cost = (FlopsProfiler(space).cost * 0.1).with_unit("ms")
    reference = 0.5 * (cost.minimum().value + cost.maximum().value)
    strategy = spread(ProxylessNAS(space, profiler=Table(cost), reference_latency=reference, grad_reg_loss_type=kind))
    logits = strategy.logits.numpy()
    moment = moment_of(space, validation_loss=lambda selection: torch.tensor(1.7))
    pairs: Pairs = {choice.name: (choice.num_options - 1, 0) for choice in space.space.choices}
    loss = strategy.two_path_loss(moment, pairs, architecture_of(space.space, dict.fromkeys(pairs, 0)))
    gradients = torch.autograd.grad(loss, strategy.logits.parameters)

    def objective(shifted: Logits) -> float:
        probabilities = {}
        for name, values in logits.items():
            pair = list(pairs[name])
            probabilities[name] = softmax(values)
            probabilities[name][pair] = probabilities[name][pair].sum() * softmax(shifted[name][pair])
        expected = expected_by_enumeration(cost, probabilities)
        if kind == "add#linear":
            return 1.7 + 0.1 * (expected - reference) / reference
        return 1.7 * 0.2 * (math.log(expected) / math.log(reference)) ** 0.3

    assert loss.item() == pytest.approx(objective(logits))
    found = {name: gradient.numpy() for name, gradient in zip(logits, gradients, strict=True)}
    assert_gradients(found, differences(objective, logits))
    assert np.abs(found["depth"]).max() > 1e-4


def test_a_step_moves_probability_between_two_options_only() -> None:
    space = mixed_space()
    profiler = FlopsProfiler(space)
    strategy = spread(
        ProxylessNAS(
            space,
            profiler=profiler,
            reference_latency=(profiler.min() + profiler.max()) / 2,
            grad_reg_loss_type="add#linear",
            architecture_learning_rate=0.3,
        )
    )
    num_moved = 0
    for seed in range(5):
        logits, before = strategy.logits.numpy(), strategy.distribution()
        strategy.step(moment_of(space, seed=seed))
        for name, values in strategy.logits.numpy().items():
            stays = values == logits[name]
            assert (~stays).sum() in (0, 2), name  # 0 where the two paths give the same
            np.testing.assert_allclose(strategy.distribution()[name][stays], before[name][stays], rtol=1e-12)
            num_moved += np.abs(strategy.distribution()[name] - before[name]).max() > 1e-3
    assert num_moved > 15  # of 25


def test_pairs_are_two_options_without_replacement_and_gates_renormalised() -> None:
    """Frequencies of 4,000 steps' selections against the closed form; four standard errors."""
    space = ModelSpace(nn.Sequential(chain_space().module.op), torch.zeros(2, 4, dtype=torch.float64))  # type: ignore[union-attr]
    strategy = spread(ProxylessNAS(space, architecture_learning_rate=1e-12))
    logits = strategy.logits.numpy()
    seen: dict[tuple[frozenset[int], int], int] = {}

    def validation_loss(selection: Selection) -> Tensor:
        path = selection["op"]
        assert isinstance(path, Paths)
        assert path.options is not None
        weights = path.weights.tolist()
        assert sorted(weights) == [0.0, 0.0, 1.0]
        key = (frozenset(path.options), weights.index(1.0))
        seen[key] = seen.get(key, 0) + 1
        return path.weights.sum()

    num = 4000
    moment = moment_of(space, validation_loss=validation_loss)
    moment = dataclasses.replace(moment, training_loss=lambda _: torch.zeros((), requires_grad=True))
    for _ in range(num):
        strategy.step(moment)
    expected = {(frozenset(pairs["op"]), codes["op"]): probability for pairs, codes, probability in all_draws(logits)}
    assert seen.keys() == expected.keys()
    for key, probability in expected.items():
        assert abs(seen[key] / num - probability) < 4 * math.sqrt(probability * (1 - probability) / num)


def lookup_moment(space: ModelSpace, losses: Mapping[Architecture, float], **options: Any) -> Any:
    """A moment whose validation loss is a table."""
    moment = moment_of(space, **options)
    return dataclasses.replace(
        moment,
        validation_loss=lambda architecture: torch.tensor(losses[architecture], dtype=torch.float64),
        training_loss=lambda _: torch.zeros((), requires_grad=True),
    )


@pytest.mark.parametrize("penalty", [None, "sample"])
def test_reinforce_is_on_average_the_gradient_of_the_expected_objective(penalty: str | None) -> None:
    """Of a random loss for every architecture, times the cost's factor; exact by enumeration; four standard errors."""
    space = mixed_space()
    cost = (FlopsProfiler(space).cost * 0.1).with_unit("ms")
    reference = 0.5 * (cost.minimum().value + cost.maximum().value)
    options: dict[str, Any] = (
        {"profiler": Table(cost), "reference_latency": reference, "grad_reg_loss_type": "mul#log"}
        if penalty is None
        else {"penalty": SampleProfilerPenalty(Table(cost), reference, 0.5)}
    )
    num = 1500
    strategy = spread(ProxylessNAS(space, method="reinforce", num_samples=num, **options))
    logits = strategy.logits.numpy()
    rng = np.random.default_rng(0)
    of_option = {choice.name: rng.random(choice.num_options) for choice in space.space.choices}
    losses = {
        a: 1 + sum(of_option[name][space.space.choice(name).index(option)] for name, option in a.items())
        for a in space.space.enumerate()
    }

    def probability(shifted: Logits, architecture: Architecture) -> float:
        return math.prod(
            softmax(shifted[name])[space.space.choice(name).index(option)] for name, option in architecture.items()
        )

    def objective(shifted: Logits) -> float:
        probabilities = {name: softmax(values) for name, values in shifted.items()}
        if penalty is None:
            loss = sum(probability(shifted, a) * loss for a, loss in losses.items())
            factor = (math.log(expected_by_enumeration(cost, probabilities)) / math.log(reference)) ** 0.3
            return loss * 0.2 * factor
        return sum(
            probability(shifted, a) * (loss + 0.5 * (cost.value(a) / reference - 1)) for a, loss in losses.items()
        )

    strategy.step(lookup_moment(space, losses))
    found = {name: parameter.grad.numpy() for name, parameter in strategy.logits.values.items()}  # type: ignore[union-attr]
    # Of a sample it is (L - baseline) (delta - p), times some 0.2 with the cost's factor; delta - p is below 1.
    spread_of_losses = np.std(
        [loss + (0.0 if penalty is None else 0.5 * cost.value(a) / reference) for a, loss in losses.items()]
    )
    standard_error = spread_of_losses * (0.25 if penalty is None else 1.0) / math.sqrt(num)
    exact = differences(objective, logits)
    for name, expected in exact.items():
        np.testing.assert_allclose(found[name], expected, atol=4 * standard_error, err_msg=name)
    assert max(np.abs(expected).max() for expected in exact.values()) > 8 * standard_error


def test_reinforce_has_a_moving_baseline() -> None:
    space = planted_space()
    strategy = ProxylessNAS(space, method="reinforce", num_samples=2)
    assert strategy.state()["baseline"].isnan()
    one, three = (dict.fromkeys(space.space.enumerate(), value) for value in (1.0, 3.0))
    strategy.step(lookup_moment(space, one))
    assert strategy.state()["baseline"].item() == 1.0
    # Equal losses are no better than their mean.
    assert all(not gradient.any() for gradient in (p.grad for p in strategy.logits.parameters) if gradient is not None)
    strategy.step(lookup_moment(space, three))
    assert strategy.state()["baseline"].item() == pytest.approx(0.99 * 1 + 0.01 * 3)


@pytest.mark.parametrize("method", ["gradient", "reinforce"])
def test_what_is_not_sampled_stays_bit_identical(method: Any) -> None:
    """Weights, momentum and statistics; the architecture's step leaves nothing behind at all."""
    space = mixed_space()
    strategy = spread(ProxylessNAS(space, method=method, num_samples=2))
    optimizer = torch.optim.SGD(space.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for seed in range(6):
        moment = moment_of(space, seed=seed)
        before = copy.deepcopy(space.state_dict())
        seen: list[Selection] = []

        def training_loss(selection: Selection) -> Tensor:
            for name, value in space.state_dict().items():
                assert torch.equal(value, before[name]), name  # noqa: B023
            assert all(parameter.grad is None for parameter in space.parameters())
            seen.append(selection)  # noqa: B023
            return moment.training_loss(selection)  # noqa: B023

        loss = strategy.step(dataclasses.replace(moment, training_loss=training_loss))
        assert not loss.requires_grad
        optimizer.step()
        optimizer.zero_grad()
        (architecture,) = seen
        used = {id(tensor) for tensor in space.view(architecture).state_dict(keep_vars=True).values()}
        for name, tensor in space.state_dict(keep_vars=True).items():
            assert id(tensor) in used or torch.equal(tensor, before[name]), name
        assert not torch.equal(space.state_dict()["module.head.weight"], before["module.head.weight"])


def test_in_the_warm_up_paths_are_uniform_and_the_architecture_stays() -> None:
    space = planted_space()
    strategy = spread(ProxylessNAS(space, num_warmup_epochs=10))
    before = strategy.logits.numpy()
    counts = dict.fromkeys(space.space.enumerate(), 0)

    def training_loss(selection: Any) -> Tensor:
        counts[selection] += 1
        return torch.zeros((), requires_grad=True)

    moment = dataclasses.replace(moment_of(space, epoch=9.9), training_loss=training_loss)
    for _ in range(900):
        strategy.step(moment)
    assert all((before[name] == values).all() for name, values in strategy.logits.numpy().items())
    assert all(abs(count - 100) < 4 * math.sqrt(900 * 8 / 81) for count in counts.values())  # binomial, 1 in 9


@pytest.mark.parametrize("method", ["gradient", "reinforce"])
def test_it_finds_the_planted_optimum(method: Any) -> None:
    space = planted_space()
    profiler = FlopsProfiler(space)
    strategy = ProxylessNAS(space, method=method, num_warmup_epochs=2, architecture_learning_rate=0.05, num_samples=4)
    run(strategy, space, num_steps=120)
    assert set(strategy.derive(()).architecture.values()) == {"linear"}
    assert profiler.profile(strategy.derive([profiler.at_most(profiler.min())]).architecture) == profiler.min()


@pytest.mark.parametrize("method", ["gradient", "reinforce"])
def test_a_cost_and_a_penalty_pull_towards_cheap_architectures(method: Any) -> None:
    def expected(**options: Any) -> float:
        space = mixed_space()
        strategy = ProxylessNAS(space, method=method, architecture_learning_rate=0.1, num_samples=2, **options)
        for seed in range(20):
            strategy.step(moment_of(space, seed=seed))
        return FlopsProfiler(space).expected(strategy.distribution())

    profiler = FlopsProfiler(mixed_space())
    reference = (profiler.min() + profiler.max()) / 2
    linear = {"profiler": profiler, "reference_latency": reference, "grad_reg_loss_type": "add#linear"}
    plain = expected()
    assert expected(**linear, grad_reg_loss_params={"lambda": 5.0}) < 0.95 * plain
    assert expected(penalty=ExpectationProfilerPenalty(profiler, reference, 5.0)) < 0.95 * plain


@pytest.mark.parametrize("method", ["gradient", "reinforce"])
def test_the_same_seed_gives_the_same_search_and_a_state_goes_on(method: Any) -> None:
    def search(resume_at: int | None) -> ProxylessNAS:
        space = planted_space(with_depth=True)
        options: dict[str, Any] = {"num_warmup_epochs": 0.5, "method": method, "num_samples": 2}
        strategy = ProxylessNAS(space, seed=3, **options)
        optimizer = torch.optim.SGD(space.parameters(), lr=0.1, momentum=0.9)
        for moment in moments(space, optimizer, num_steps=20):
            if moment.step == resume_at:
                state = strategy.state()
                strategy = ProxylessNAS(space, seed=4, **options)
                strategy.load_state(state)
            strategy.step(moment)
            optimizer.step()
        return strategy

    one, again, resumed = search(None).state(), search(None).state(), search(15).state()
    assert {"logits.depth", "optimizer.0/exp_avg", "optimizer.0/exp_avg_sq", "baseline"} <= set(one)
    for other in (again, resumed):
        assert one.keys() == other.keys()
        assert all(torch.equal(value, other[name]) or value.isnan().all() for name, value in one.items())


@pytest.mark.parametrize("kind", ["mul#log", "add#linear"])
def test_milliseconds_or_seconds_change_nothing(kind: Any) -> None:
    def search(factor: float, unit: str) -> dict[str, np.ndarray]:
        space = mixed_space()
        cost = (FlopsProfiler(space).cost * factor).with_unit(unit)
        strategy = ProxylessNAS(space, profiler=Table(cost), reference_latency=200, grad_reg_loss_type=kind)
        for seed in range(10):
            strategy.step(moment_of(space, seed=seed))
        return strategy.logits.numpy()

    milliseconds, seconds = search(1.0, "ms"), search(1e-3, "s")
    for name, values in milliseconds.items():
        np.testing.assert_allclose(seconds[name], values, rtol=1e-9)


@pytest.mark.parametrize("method", ["gradient", "reinforce"])
def test_everything_that_is_sampled_is_accepted_by_the_filter(method: Any) -> None:
    """A range that one architecture in some hundred meets, so that samples are repaired."""
    space = mixed_space()
    profiler = FlopsProfiler(space)
    one = profiler.maximum()
    within = RangeProfilerFilter(profiler, one.value, one.value)
    strategy = ProxylessNAS(space, method=method, num_samples=2, num_warmup_epochs=1, filter=within)
    seen: list[Selection] = []
    for epoch in (0, 1, 2):
        moment = moment_of(space, epoch=epoch)

        def training_loss(selection: Selection, moment: Any = moment) -> Tensor:
            seen.append(selection)
            return moment.training_loss(selection)

        def validation_loss(selection: Selection, moment: Any = moment) -> Tensor:
            codes = {name: int(path.weights.argmax()) for name, path in selection.items() if isinstance(path, Paths)}
            seen.append(architecture_of(space.space, codes) if codes else selection)
            return moment.validation_loss(selection)

        strategy.step(dataclasses.replace(moment, training_loss=training_loss, validation_loss=validation_loss))
    assert len(seen) >= 5
    assert all(within(selection) for selection in seen)  # type: ignore[arg-type]
    assert within(strategy.derive(()).architecture)


def test_dummy_input_is_where_costs_are_taken() -> None:
    space = planted_space()
    ProxylessNAS(space, dummy_input=[1, 4])
    for wrong in ((1, 3, 224, 224), 4):
        with pytest.raises(ConfigError, match=r"`dummy_input` must be .* where costs are taken: \(1, 4\); got .*4"):
            ProxylessNAS(space, dummy_input=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "rl"}, "`method` must be one of gradient, reinforce; got 'rl'"),
        ({"num_warmup_epochs": -1}, "`num_warmup_epochs` must be a finite number of at least 0; got -1"),
        ({"architecture_learning_rate": 0}, "`architecture_learning_rate` must be a finite number above 0; got 0"),
        ({"num_samples": 0}, "`num_samples` must be a whole number of at least 1; got 0"),
        ({"num_samples": 2.5}, r"`num_samples` must be a whole number of at least 1; got 2\.5"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ProxylessNAS(planted_space(), **options)


def test_errors() -> None:
    space = planted_space()
    profiler = FlopsProfiler(space)
    with pytest.raises(ConfigError, match="A SampleProfilerPenalty has no gradient to the gates of method 'gradient'"):
        ProxylessNAS(space, penalty=SampleProfilerPenalty(profiler, 100))
    with pytest.raises(ConfigError, match="The penalty of proxylessnas must have a profiler of the space"):
        ProxylessNAS(space, penalty=ExpectationProfilerPenalty(FlopsProfiler(mixed_space()), 100))
    with pytest.raises(InfeasibleError):
        ProxylessNAS(space, filter=RangeProfilerFilter(profiler, 1, 2))
    with pytest.raises(InfeasibleError):
        ProxylessNAS(space, [profiler.at_most(1)])
    elastic = ModelSpace(nn.Sequential(ElasticLinear(4, [2, 3])), torch.zeros(1, 4))
    with pytest.raises(StrategyError, match=r"proxylessnas mixes .* and those of '0.out_features' cannot be mixed"):
        ProxylessNAS(elastic)
    ProxylessNAS(elastic, method="reinforce")  # it runs one path at a time
    with pytest.raises(ConfigError, match="`num_warmup_epochs` must be below the epochs of the search, 20, for the"):
        ProxylessNAS(space).step(moment_of(mixed_space(), num_epochs=20))
    with pytest.raises(CheckpointError, match=r"does not fit the strategy: logits\.1 is nothing there"):
        ProxylessNAS(space).load_state({})
    with pytest.raises(CheckpointError, match="does not fit the strategy: baseline is nothing there"):
        ProxylessNAS(space).load_state(ProxylessNAS(space).logits.state())


def test_a_table_without_any_choice_between_two_has_one_path() -> None:
    """A choice with one option has nothing to compare."""
    space = ModelSpace(
        nn.Sequential(LayerChoice([nn.Linear(4, 4)]), nn.Linear(4, 2)).double(), torch.zeros(2, 4).double()
    )
    strategy = ProxylessNAS(space)
    before = strategy.logits.numpy()
    strategy.step(moment_of(space))
    assert (strategy.logits.numpy()["0"] == before["0"]).all()
    assert CostTable(space.space).value(strategy.derive(()).architecture) == 0
