"""DARTS: gradients against finite differences and double backward, derivation against brute force."""

import copy
import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from hwnas.errors import CheckpointError, ConfigError, InfeasibleError, StrategyError
from hwnas.nn import LayerChoice, ModelSpace, Node, Repeat
from hwnas.profiler import FlopsProfiler
from hwnas.strategy import DARTS, ExpectationProfilerPenalty, RangeProfilerFilter, SampleProfilerPenalty
from hwnas.strategy.darts import unrolled_gradient
from hwnas.strategy.logits import Logits, paths
from hwnas.strategy.one_shot import Moment
from hwnas.testing.planted_search import moments, planted_space, run

OPTIONS = ("linear", "tanh", "skip")


def edge(width: int = 6) -> dict[str, nn.Module]:
    return {
        "linear": nn.Linear(width, width),
        "tanh": nn.Sequential(nn.Linear(width, width, bias=False), nn.Tanh()),
        "skip": nn.Identity(),
    }


class NodeNet(nn.Module):
    """Two nodes like those of a cell; batch norm before all choices."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 6)
        self.norm = nn.BatchNorm1d(6)
        self.first = Node([LayerChoice(edge()) for _ in range(3)], 2)
        self.second = Node([LayerChoice(edge()) for _ in range(4)], 2)
        self.head = nn.Linear(6, 2)

    def states(self, x: Tensor) -> list[Tensor]:
        x = self.norm(self.stem(x))
        return [x, torch.sin(x), torch.cos(x)]

    def forward(self, x: Tensor) -> Tensor:
        states = self.states(x)
        states.append(self.first(states))
        return self.head(self.second(states))


def node_space(seed: int = 0, *, double: bool = True) -> ModelSpace:
    torch.manual_seed(seed)
    space = ModelSpace(NodeNet(), torch.zeros(2, 4))
    if double:
        space.double()
        space.example_inputs = (torch.zeros(2, 4, dtype=torch.float64),)
    return space


def chain_space() -> ModelSpace:
    """A layer and a depth, in double precision."""
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Linear(4, 6),
        nn.BatchNorm1d(6),
        LayerChoice(edge()),
        Repeat(lambda _: nn.Sequential(nn.Linear(6, 6), nn.Tanh()), (0, 2), label="depth"),
        nn.Linear(6, 2),
    )
    return ModelSpace(net.double(), torch.zeros(2, 4, dtype=torch.float64))


def batches(seed: int = 5) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(2, 12, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(2, (2, 12), generator=generator)
    return (points[0], labels[0]), (points[1], labels[1])


def moment_of(space: ModelSpace, optimizer: torch.optim.Optimizer | None = None, *, seed: int = 5) -> Moment:
    """A moment in double precision."""
    (x, y), (x_val, y_val) = batches(seed)
    optimizer = optimizer or torch.optim.SGD(space.parameters(), lr=0.1)
    template = next(moments(planted_space(), optimizer, num_steps=1))
    training = lambda selection: functional.cross_entropy(space(x, selection), y)  # noqa: E731
    return dataclasses.replace(
        template,
        training_loss=training,
        unwrapped_training_loss=training,
        validation_loss=lambda selection: functional.cross_entropy(space(x_val, selection), y_val),
        weights=list(space.parameters()),
    )


def spread(strategy: DARTS, seed: int = 1) -> DARTS:
    """The strategy, with logits that are far from equal."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for logits in strategy.logits.parameters:
            logits.copy_(torch.randn(logits.shape, generator=generator, dtype=torch.float64))
    return strategy


def relaxed_output(net: NodeNet, logits: dict[str, Tensor], x: Tensor) -> Tensor:
    """Equation 2 and the sum over all edges, in plain PyTorch; `none` is the last logit."""
    states = net.states(x)
    for name, node in (("first", net.first), ("second", net.second)):
        total = torch.zeros_like(states[0])
        for position, choice in enumerate(node.edges):
            shares = logits[f"{name}.{position}"].softmax(0)
            for share, option in zip(shares, OPTIONS, strict=False):
                total = total + share * choice.get_submodule(option)(states[position])
        states.append(total)
    return net.head(states[-1])


def finite_differences(function, logits: list[Tensor], step: float = 1e-5) -> list[Tensor]:
    """Central differences of a function of no arguments in every entry."""
    slopes = []
    for tensor in logits:
        slope = torch.zeros_like(tensor)
        for index in range(len(tensor)):
            values = []
            for sign in (1, -1):
                with torch.no_grad():
                    tensor[index] += sign * step
                values.append(float(function().detach()))
                with torch.no_grad():
                    tensor[index] -= sign * step
            slope[index] = (values[0] - values[1]) / (2 * step)
        slopes.append(slope)
    return slopes


# The first order


def test_first_order_gradient_in_a_node_is_that_of_the_papers_relaxation():
    """Expected: finite differences of the mixture written out in plain PyTorch."""
    space = node_space()
    strategy = spread(DARTS(space))
    before = strategy.logits.numpy()
    _, (x_val, y_val) = batches()
    strategy.step(moment_of(space))
    gradients = [logits.grad for logits in strategy.logits.parameters]
    values = {name: torch.from_numpy(value) for name, value in before.items()}
    expected = finite_differences(
        lambda: functional.cross_entropy(relaxed_output(space.module, values, x_val), y_val), list(values.values())
    )
    assert len(gradients) == 7  # one an edge, none for the inputs
    for gradient, slope in zip(gradients, expected, strict=True):
        assert gradient.shape == (4,)
        torch.testing.assert_close(gradient, slope, rtol=1e-6, atol=1e-9)


def test_first_order_gradient_of_layers_and_depths():
    space = chain_space()
    strategy = spread(DARTS(space, none=False))
    moment = moment_of(space)
    twin = Logits(space.space)
    for name, logits in twin.values.items():
        logits.data.copy_(strategy.logits.values[name])
    strategy.step(moment)
    expected = finite_differences(
        lambda: moment.validation_loss(paths(twin.probabilities(), torch.device("cpu"))), twin.parameters
    )
    for logits, slope in zip(strategy.logits.parameters, expected, strict=True):
        torch.testing.assert_close(logits.grad, slope, rtol=1e-6, atol=1e-9)


def test_the_architecture_steps_as_adam_does():
    """Expected: torch's Adam with the paper's numbers, section A.1.1, fed with the same gradients."""
    space = chain_space()
    strategy = spread(DARTS(space))
    twins = [logits.detach().clone() for logits in strategy.logits.parameters]
    adam = torch.optim.Adam(twins, lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
    for seed in range(3):
        strategy.step(moment_of(space, seed=seed))
        for twin, logits in zip(twins, strategy.logits.parameters, strict=True):
            twin.grad = logits.grad.clone()
        adam.step()
    for twin, logits in zip(twins, strategy.logits.parameters, strict=True):
        assert torch.equal(twin, logits)


# The second order


def exact_unrolled_gradient(
    space: ModelSpace, strategy: DARTS, moment: Moment, weights: list[nn.Parameter]
) -> tuple[list[Tensor], list[Tensor]]:
    """Equation 7 by double backward, its two terms; w' and its derivative come from torch's own optimiser step.

    The step is linear in the gradient, so two steps with gradients that differ by 1 give its derivative.
    """
    (x, y), (x_val, y_val) = batches()
    logits = strategy.logits.parameters
    names = {id(parameter): name for name, parameter in space.named_parameters()}
    selection = paths(strategy._weights(), torch.device("cpu"))
    loss = functional.cross_entropy(space(x, selection), y)
    gradients = torch.autograd.grad(loss, weights, create_graph=True)
    stepped = []
    for shift in (0.0, 1.0):
        twins, optimizer = copy.deepcopy((weights, moment.optimizer))
        for twin, gradient in zip(twins, gradients, strict=True):
            twin.grad = gradient.detach() + shift
        optimizer.step()
        stepped.append([twin.detach() for twin in twins])
    virtual = {
        names[id(weight)]: (value + (moved - value) * (gradient - gradient.detach()))
        for weight, value, moved, gradient in zip(weights, *stepped, gradients, strict=True)
    }
    output = functional_call(space, virtual, (x_val, paths(strategy._weights(), torch.device("cpu"))))
    total = torch.autograd.grad(functional.cross_entropy(output, y_val), logits)
    fixed = {name: value.detach() for name, value in virtual.items()}
    output = functional_call(space, fixed, (x_val, paths(strategy._weights(), torch.device("cpu"))))
    direct = torch.autograd.grad(functional.cross_entropy(output, y_val), logits)
    return list(direct), [both - one for both, one in zip(total, direct, strict=True)]


@pytest.mark.parametrize("make_space", [node_space, chain_space])
@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.0},
        {"momentum": 0.9},
        {"momentum": 0.9, "dampening": 0.3},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "num_steps": 0},
        {"momentum": 0.9, "nesterov": True, "num_steps": 0},
    ],
    ids=str,
)
def test_second_order_gradient_is_the_exact_one(make_space, options):
    """With and without momentum buffers, weight decay on one of two groups, learning rates that differ."""
    options = dict(options)
    num_steps = options.pop("num_steps", 2)
    space = make_space()
    weights = list(space.parameters())
    groups = [{"params": weights[:3], "lr": 0.4, "weight_decay": 0.1}, {"params": weights[3:], "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.5, **options)
    strategy = spread(DARTS(space, unrolled=True))
    moment = moment_of(space, optimizer)
    selection = paths({name: value.detach() for name, value in strategy._weights().items()}, torch.device("cpu"))
    for _ in range(num_steps):
        optimizer.zero_grad()
        moment.training_loss(selection).backward()
        optimizer.step()
    optimizer.zero_grad()
    direct, second = exact_unrolled_gradient(space, strategy, moment, weights)
    strategy.step(moment)
    for logits, first_term, second_term in zip(strategy.logits.parameters, direct, second, strict=True):
        # What is left is the error of the finite difference of equation 8.
        torch.testing.assert_close(
            logits.grad - first_term, second_term, rtol=1e-3, atol=2e-3 * float(second_term.abs().max())
        )
    assert max(float(term.abs().max()) for term in second) > 1e-4


def test_second_order_without_a_step_of_the_weights_is_the_first_order():
    """A learning rate of 0, as at the start of a linear warm-up."""
    gradients = []
    for unrolled in (False, True):
        space = node_space()
        strategy = spread(DARTS(space, unrolled=unrolled))
        strategy.step(moment_of(space, torch.optim.SGD(space.parameters(), lr=0.0, momentum=0.9)))
        gradients.append([logits.grad for logits in strategy.logits.parameters])
    for first, second in zip(*gradients, strict=True):
        assert torch.equal(first, second)


def test_second_order_where_no_weight_matters_to_the_validation_loss():
    weight, alpha = nn.Parameter(torch.tensor([2.0])), torch.tensor([3.0], requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    (gradient,) = unrolled_gradient(lambda: (weight * alpha).sum(), lambda: alpha.square().sum(), [alpha], optimizer)
    assert gradient.tolist() == [6.0]
    assert weight.tolist() == [2.0]


def test_second_order_in_closed_form():
    """L_train = alpha w^2 / 2, L_val = w: w' = w - xi alpha w, so that dL_val(w')/dalpha = -xi w."""
    weight, alpha = nn.Parameter(torch.tensor([2.0])), torch.tensor([3.0], requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    (gradient,) = unrolled_gradient(
        lambda: (alpha * weight.square() / 2).sum(), lambda: weight.sum(), [alpha], optimizer
    )
    torch.testing.assert_close(gradient, torch.tensor([-0.2]), rtol=1e-4, atol=0)


def test_second_order_repeats_the_random_numbers_of_dropout():
    space = node_space()
    moment = moment_of(space)
    states = []

    def training_loss(selection):
        states.append(torch.get_rng_state())
        return moment.unwrapped_training_loss(selection) * torch.rand(1).double()

    DARTS(space, unrolled=True).step(dataclasses.replace(moment, unwrapped_training_loss=training_loss))
    assert len(states) == 3
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])


@pytest.mark.parametrize(("unrolled", "num_of_weights", "num_of_logits"), [(False, 0, 1), (True, 2, 3)])
def test_gradients_go_through_the_mean_over_processes(unrolled, num_of_weights, num_of_logits):
    """In the second order those of the weights in both losses, and those of the logits in all three."""
    space = node_space()
    strategy = DARTS(space, unrolled=unrolled)
    shapes = []
    strategy.step(dataclasses.replace(moment_of(space), mean=lambda value: shapes.append(value.shape) or value))
    expected = [parameter.shape for parameter in space.parameters()] * num_of_weights
    expected += [logits.shape for logits in strategy.logits.parameters] * num_of_logits
    assert sorted(shapes) == sorted(expected)


# What a step leaves behind


@pytest.mark.parametrize("unrolled", [False, True])
def test_architecture_step_leaves_no_trace_in_the_supernet(unrolled):
    """Weights, momenta and running statistics are, to the last bit, those of a step that leaves the logits alone.

    The batch norm is before all choices, so that its statistics do not depend on the logits.
    """
    found = []
    for num_warmup_epochs in (0.0, 0.05):
        space = node_space(double=False)
        optimizer = torch.optim.SGD(space.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
        strategy = DARTS(space, unrolled=unrolled, num_warmup_epochs=num_warmup_epochs)
        start = strategy.logits.numpy()
        strategy.step(next(moments(space, optimizer, num_steps=1)))
        changed = {name for name, values in strategy.logits.numpy().items() if (values != start[name]).all()}
        assert changed == (set() if num_warmup_epochs else set(start))
        assert not optimizer.state
        found.append(space.state_dict())
    for name, tensor in found[0].items():
        assert torch.equal(tensor, found[1][name]), name
    assert int(found[0]["module.norm.num_batches_tracked"]) == 1


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_weights_are_put_back_where_a_loss_raises(failing):
    space = node_space(double=False)
    optimizer = torch.optim.SGD(space.parameters(), lr=0.1, momentum=0.9)
    moment = next(moments(space, optimizer, num_steps=1))
    before = {name: tensor.clone() for name, tensor in space.state_dict().items()}
    calls = itertools.count(1)

    def fails(loss):
        def evaluate(selection):
            value = loss(selection)
            if next(calls) == failing:
                raise RuntimeError("out of memory")
            return value

        return evaluate

    moment = dataclasses.replace(
        moment,
        unwrapped_training_loss=fails(moment.unwrapped_training_loss),
        validation_loss=fails(moment.validation_loss),
    )
    with pytest.raises(RuntimeError, match="out of memory"):
        DARTS(space, unrolled=True).step(moment)
    for name, tensor in space.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_warmup_ends_at_its_epoch():
    space = planted_space()
    optimizer = torch.optim.SGD(space.parameters(), lr=0.1)
    strategy = DARTS(space, num_warmup_epochs=0.3)
    changed = []
    for moment in moments(space, optimizer, num_steps=5, steps_per_epoch=10):
        before = strategy.logits.numpy()
        strategy.step(moment)
        changed.append(any((values != before[name]).any() for name, values in strategy.logits.numpy().items()))
    assert changed == [False, False, False, True, True]


# Expected costs and distributions


def strengths_of(strategy: DARTS, name: str, num_edges: int) -> np.ndarray:
    """The largest probability among an edge's operations, `none` being in the sum alone."""
    return np.array(
        [strategy.logits.values[f"{name}.{edge}"].detach().softmax(0)[:3].max() for edge in range(num_edges)]
    )


def test_distribution_is_that_of_the_derivation():
    """Of an operation, its share without `none`; of two inputs, in proportion to the product of their strengths."""
    strategy = spread(DARTS(node_space()))
    distribution = strategy.distribution()
    assert set(distribution) == set(strategy.logits.space.names)
    for name, values in distribution.items():
        assert values.sum() == pytest.approx(1, abs=1e-12)
        if name not in ("first.inputs", "second.inputs"):
            np.testing.assert_allclose(values, strategy.logits.values[name].detach()[:3].softmax(0), rtol=1e-12)
    for name, num_edges in (("first", 3), ("second", 4)):
        strengths = strengths_of(strategy, name, num_edges)
        products = np.array([strengths[a] * strengths[b] for a, b in itertools.combinations(range(num_edges), 2)])
        np.testing.assert_allclose(distribution[f"{name}.inputs"], products / products.sum(), rtol=1e-12)


@pytest.mark.parametrize("make_space", [node_space, chain_space])
@pytest.mark.parametrize("unrolled", [False, True])
def test_gradient_of_the_penalty_reaches_every_logit(make_space, unrolled):
    """Expected: finite differences of the profiler's exact expectation; `add` leaves the rest of the gradient alone."""
    space = make_space()
    profiler = FlopsProfiler(space)
    gradients = []
    for penalty in (None, ExpectationProfilerPenalty(profiler, profiler.max(), 3.0)):
        strategy = spread(DARTS(space, unrolled=unrolled, penalty=penalty))
        strategy.step(moment_of(space))
        gradients.append([logits.grad for logits in strategy.logits.parameters])
    twin = spread(DARTS(space))
    expected = finite_differences(
        lambda: torch.tensor(3.0 * profiler.expected(twin.distribution()) / profiler.max(), dtype=torch.float64),
        twin.logits.parameters,
    )
    for without, with_it, slope in zip(*gradients, expected, strict=True):
        torch.testing.assert_close(with_it - without, slope, rtol=1e-5, atol=1e-8)
    assert max(float(slope.abs().max()) for slope in expected) > 1e-2


def test_penalty_makes_the_derived_network_cheaper():
    costs = []
    for scale in (0.0, 20.0):
        space = planted_space()
        profiler = FlopsProfiler(space)
        penalty = ExpectationProfilerPenalty(profiler, profiler.max(), scale)
        strategy = DARTS(space, penalty=penalty, architecture_learning_rate=0.05)
        run(strategy, space, num_steps=40)
        costs.append(profiler.profile(strategy.derive([]).architecture))
    assert costs[1] == profiler.min() < costs[0]


# Derivation


def utility(strategy: DARTS, architecture) -> float:
    """The sum of the log probabilities of the operations that are kept."""
    total = 0.0
    for name, option in architecture.items():
        if not name.endswith(".inputs"):
            total += float(strategy.logits.values[name].detach().log_softmax(0)[OPTIONS.index(option)])
    return total


@pytest.mark.parametrize("seed", range(5))
def test_derivation_in_a_node_is_the_papers(seed):
    """Section 2.4: the two edges with the strongest operation other than `none`, each with that operation."""
    strategy = spread(DARTS(node_space()), seed)
    expected = {}
    for name, num_edges in (("first", 3), ("second", 4)):
        kept = sorted(np.argsort(strengths_of(strategy, name, num_edges))[-2:])
        expected[f"{name}.inputs"] = tuple(kept)
        for edge in kept:
            expected[f"{name}.{edge}"] = OPTIONS[int(strategy.logits.values[f"{name}.{edge}"][:3].argmax())]
    assert dict(strategy.derive([]).architecture) == expected


def test_edge_whose_strongest_logit_is_none_is_given_up():
    strategy = DARTS(node_space())
    with torch.no_grad():
        for logits in strategy.logits.parameters:
            logits.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        strategy.logits.values["first.1"].copy_(torch.tensor([5.0, 0.0, 0.0, 9.0]))
    assert strategy.derive([]).architecture["first.inputs"] == (0, 2)


@pytest.mark.parametrize("seed", range(3))
def test_budgets_are_kept_at_the_best_utility(seed):
    """Expected: brute force over the 27 * 54 architectures."""
    space = node_space()
    strategy = spread(DARTS(space), seed)
    profiler = FlopsProfiler(space)
    architectures = list(space.space.enumerate())
    assert len(architectures) == 27 * 54
    for share in (0.2, 0.5, 0.8):
        limit = profiler.min() + share * (profiler.max() - profiler.min())
        derived = strategy.derive([profiler.at_most(limit)])
        assert profiler.profile(derived.architecture) <= limit
        best = max(utility(strategy, a) for a in architectures if profiler.profile(a) <= limit)
        assert utility(strategy, derived.architecture) == pytest.approx(best, abs=1e-9)
        assert derived.certificate is not None


def test_a_node_that_may_be_left_out_is_not_left_out_for_having_nodes_beside():
    """Without a budget a chain of nodes is as deep as its own logits say."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.node = Node([LayerChoice(edge()) for _ in range(2)], 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.node([x, torch.sin(x)])

    torch.manual_seed(0)
    space = ModelSpace(Repeat(lambda _: Block(), (0, 2), label="depth"), torch.zeros(2, 6))
    strategy = DARTS(space)
    for depth in range(3):
        with torch.no_grad():
            strategy.logits.values["depth"].copy_(torch.eye(3)[depth])
        assert strategy.derive([]).architecture["depth"] == depth


def test_filters_are_kept():
    space = node_space()
    profiler = FlopsProfiler(space)
    middle = (profiler.min() + profiler.max()) // 2
    strategy = spread(DARTS(space, filter=RangeProfilerFilter(profiler, middle - 50, middle)))
    assert middle - 50 <= profiler.profile(strategy.derive([]).architecture) <= middle
    best = spread(DARTS(space)).derive([]).architecture
    strategy = spread(DARTS(space, filter=lambda architecture: architecture != best))
    second = strategy.derive([]).architecture
    others = (a for a in space.space.enumerate() if a != best)
    assert utility(strategy, second) == pytest.approx(max(utility(strategy, a) for a in others), abs=1e-9)


def test_budgets_that_nothing_keeps():
    space = node_space()
    profiler = FlopsProfiler(space)
    impossible = profiler.at_most(profiler.min() - 1)
    with pytest.raises(InfeasibleError, match="macs"):
        DARTS(space, [impossible])
    with pytest.raises(InfeasibleError, match="macs"):
        DARTS(space).derive([impossible])


@pytest.mark.parametrize("unrolled", [False, True])
@pytest.mark.parametrize("with_depth", [False, True])
def test_planted_optimum_is_found(unrolled, with_depth):
    space = planted_space(with_depth=with_depth)
    strategy = DARTS(space, unrolled=unrolled, architecture_learning_rate=0.02)
    run(strategy, space, num_steps=80)
    architecture = strategy.derive([]).architecture
    assert architecture["1"] == "linear"
    assert architecture["4" if with_depth else "3"] == "linear"


# State and bad input


def test_state_goes_on_where_it_was():
    """Logits and Adam's moments: the same logits as without the interruption, to the last bit."""
    whole, halves = planted_space(), planted_space()
    uninterrupted = DARTS(whole, unrolled=True)
    run(uninterrupted, whole, num_steps=8)
    first, second = DARTS(halves, unrolled=True), DARTS(halves, unrolled=True, seed=1)
    optimizer = torch.optim.SGD(halves.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    for moment in moments(halves, optimizer, num_steps=8):
        strategy = first if moment.step < 4 else second
        if moment.step == 4:
            second.load_state(first.state())
        strategy.step(moment)
        optimizer.step()
    for name, values in uninterrupted.logits.numpy().items():
        assert np.array_equal(values, second.logits.numpy()[name])


def test_state_of_another_space():
    with pytest.raises(CheckpointError, match=r"logits\.first\.0 is nothing there and \(4,\) here"):
        DARTS(node_space()).load_state(DARTS(planted_space()).state())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture_learning_rate": 0.0}, "`architecture_learning_rate` must be a finite number above 0; got 0.0"),
        (
            {"architecture_learning_rate": math.nan},
            "`architecture_learning_rate` must be a finite number above 0; got nan",
        ),
        (
            {"architecture_weight_decay": -1.0},
            "`architecture_weight_decay` must be a finite number of at least 0; got -1.0",
        ),
        ({"num_warmup_epochs": -0.5}, "`num_warmup_epochs` must be a finite number of at least 0; got -0.5"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        DARTS(planted_space(), **options)


def test_a_warmup_that_never_ends():
    space = planted_space()
    with pytest.raises(ConfigError, match=r"`num_warmup_epochs` must be below the epochs of the search, 0\.4, for"):
        run(DARTS(space, num_warmup_epochs=0.4), space, num_steps=4)


def test_penalties_and_filters_that_do_not_fit():
    space, other = planted_space(), FlopsProfiler(node_space())
    with pytest.raises(ConfigError, match="penalty of darts must have a profiler of the space"):
        DARTS(space, penalty=ExpectationProfilerPenalty(other, 100.0))
    with pytest.raises(ConfigError, match="filter of darts must have a profiler of the space"):
        DARTS(space, filter=RangeProfilerFilter(other, max=100.0))
    with pytest.raises(ConfigError, match="needs an architecture that was sampled, and this strategy samples none"):
        DARTS(space, penalty=SampleProfilerPenalty(FlopsProfiler(space), 100.0))


def test_second_order_needs_sgd():
    space = planted_space()
    optimizer = torch.optim.AdamW(space.parameters(), lr=0.1)
    (moment,) = moments(space, optimizer, num_steps=1)
    with pytest.raises(ConfigError, match="takes a virtual step of the weights as SGD does; the optimiser is AdamW"):
        DARTS(space, unrolled=True).step(moment)
    DARTS(space).step(moment)


def test_spaces_that_cannot_be_mixed():
    net = nn.Sequential(LayerChoice([nn.Linear(4, 3), nn.Linear(4, 5)]))
    with pytest.raises(StrategyError, match="darts mixes the options of every choice, and those of '0' cannot"):
        DARTS(ModelSpace(net, torch.zeros(2, 4)))


def test_the_second_order_needs_float32():
    space = planted_space()
    strategy = DARTS(space, unrolled=True)
    optimizer = torch.optim.SGD(space.parameters(), lr=0.1)
    for moment in moments(space, optimizer, num_steps=1):
        with pytest.raises(ConfigError, match="differences of gradients, which are lost in bfloat16"):
            strategy.step(dataclasses.replace(moment, precision="bfloat16"))
