import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from hwnas.cost import Budget, MaxTable
from hwnas.errors import CheckpointError, ConfigError, InfeasibleError, StrategyError
from hwnas.nn import LayerChoice, ModelSpace
from hwnas.space import Distribution
from hwnas.strategy import ExpectationProfilerPenalty, HardCoReNAS, RangeProfilerFilter, SampleProfilerPenalty
from hwnas.testing.planted_search import moments, planted_space, run
from tests.strategy.planted import budget_at, planted_space as abstract_space, random_table


@dataclasses.dataclass(frozen=True)
class Tabled:
    """A profiler of a table."""

    cost: object
    name: str = "latency"
    unit: str = "ms"

    def profile(self, architecture):
        return self.cost.value(architecture)


def random_point(space, rng, concentration=1.0):
    return {choice.name: rng.dirichlet(np.full(choice.num_options, concentration)) for choice in space.space.choices}


def put(strategy, point):
    """Go on from a point, without momentum."""
    state = {name: torch.zeros_like(tensor) for name, tensor in strategy.state().items()}
    strategy.load_state(state | {f"probabilities.{name}": torch.tensor(values) for name, values in point.items()})


def one_moment(space, batch_size):
    optimizer = torch.optim.SGD(space.parameters(), lr=0.1)
    return next(iter(moments(space, optimizer, num_steps=1, batch_size=batch_size)))


def weights(space):
    return {name: tensor.detach().clone() for name, tensor in space.state_dict().items()}


def expected_value(space, architectures, values, point):
    """The sum of values times probabilities, without regard to these summing to 1."""
    chances = [np.prod([point[n][space.space.choice(n).index(o)] for n, o in a.items()]) for a in architectures]
    return float(np.dot(chances, values))


def derivative(function, point, name, option):
    """In the direction from the middle of the simplex to the option; exact, as the function is linear in a choice."""
    direction = np.eye(len(point[name]))[option] - 1 / len(point[name])
    sides = [function(point | {name: point[name] + sign * 0.01 * direction}) for sign in (1, -1)]
    return (sides[0] - sides[1]) / 0.02


@pytest.mark.parametrize(
    ("penalty", "with_depth"),
    [(None, False), (None, True), ("expectation add", True), ("expectation mul", False), ("sample", False)],
)
def test_the_gradient_is_unbiased(penalty, with_depth):
    """Against the expected loss by enumeration of all 9 or 351 networks, at a point with options of probability 0.

    The mean of many estimates is within 4.5 of its standard errors, and these are small beside the largest slope.
    """
    space = planted_space(with_depth=with_depth)
    run(HardCoReNAS(space, train_weights=True), space, num_steps=100)  # then an option is worth what others make of it
    cost = random_table(space.space, 3, positive=True)
    made = {
        None: None,
        "expectation add": ExpectationProfilerPenalty(Tabled(cost), 20.0, 0.7),
        "expectation mul": ExpectationProfilerPenalty(Tabled(cost), 20.0, 2.0, aggregate="mul"),
        "sample": SampleProfilerPenalty(Tabled(cost), 20.0, 0.7, nonlinear="positive"),
    }[penalty]
    strategy = HardCoReNAS(space, momentum=0.0, penalty=made)
    rng = np.random.default_rng(1)
    point = random_point(space, rng, concentration=0.5)
    point[space.space.names[0]] = np.array([0.0, 0.9, 0.1])
    moment = one_moment(space, batch_size=256)

    sums = {name: [np.zeros(len(values)), np.zeros(len(values)), 0] for name, values in point.items()}
    for draw in range(120 if with_depth else 240):
        put(strategy, point)
        strategy.step(dataclasses.replace(moment, rng=np.random.default_rng([7, draw])))
        for name, entry in sums.items():
            estimate = strategy.state()[f"momentum.{name}"].numpy()
            if estimate.any():  # the coin chose its block
                centred = estimate - estimate.mean()
                entry[0] += centred
                entry[1] += centred**2
                entry[2] += 1

    architectures = list(space.space.enumerate())
    with torch.no_grad():
        losses = np.array([float(moment.validation_loss(a)) for a in architectures])
    costs = np.array([cost.value(a) for a in architectures])

    def exact(point):
        if penalty == "sample":
            return expected_value(space, architectures, losses + 0.7 * np.maximum(0, costs / 20 - 1), point)
        loss, mean = (expected_value(space, architectures, values, point) for values in (losses, costs))
        return {
            None: loss,
            "expectation add": loss + 0.7 * (mean / 20 - 1),
            "expectation mul": loss * (mean / 20) ** 2.0,
        }[penalty]

    slopes, errors = [], []
    for name, (total, squares, num) in sums.items():
        assert num > 50
        mean = total / num
        error = np.sqrt((squares / num - mean**2) / (num - 1))
        wanted = [derivative(exact, point, name, option) for option in range(len(mean))]
        assert (abs(mean - wanted) < 4.5 * error).all(), name
        slopes += wanted
        errors += list(error)
    assert np.median(errors) < 0.05 * max(map(abs, slopes))


def test_every_point_keeps_every_budget_in_expectation():
    space = planted_space(with_depth=True)
    tables = [random_table(space.space, seed, positive=True) for seed in (1, 2)]
    budgets = [budget_at(space.space, tables[0], 0.25), budget_at(space.space, tables[1], 0.3)]
    strategy = HardCoReNAS(space, budgets, step_size=0.2)
    optimizer = torch.optim.SGD(space.parameters(), lr=0.1)
    before = strategy.distribution()
    for moment in moments(space, optimizer, num_steps=60):
        strategy.step(moment)
        now = strategy.distribution()
        assert all(budget.cost.expected(now) <= budget.limit * (1 + 1e-9) for budget in budgets)
        assert all(abs(values.sum() - 1) < 1e-12 and (values >= 0).all() for values in now.values())
    assert max(abs(now[name] - before[name]).max() for name in now) > 0.3


@pytest.mark.parametrize("share", [None, 0.6])
def test_the_planted_optimum_is_found(share):
    space = planted_space(with_depth=True)
    budgets = [] if share is None else [budget_at(space.space, random_table(space.space, 1, positive=True), share)]
    strategy = HardCoReNAS(space, budgets, step_size=0.02, train_weights=True, num_warmup_epochs=10)
    run(strategy, space, num_steps=300)
    derived = strategy.derive(budgets)
    ends = [space.space.names[0], space.space.names[-1]]
    assert [derived.architecture[name] for name in ends] == ["linear", "linear"]
    assert all(budget.holds(derived.architecture) for budget in budgets)
    assert derived.certificate.gap == 0.0


def test_without_budgets_it_is_the_argmax():
    space = planted_space(with_depth=True)
    strategy = HardCoReNAS(space)
    rng = np.random.default_rng(0)
    for _ in range(10):
        point = random_point(space, rng)
        put(strategy, point)
        architecture = strategy.derive(()).architecture
        assert all(o == space.space.choice(n).options[int(point[n].argmax())] for n, o in architecture.items())


def test_the_published_argmax_breaks_budgets_and_the_solver_never():
    space = planted_space(with_depth=True)
    rng = np.random.default_rng(0)
    num_broken = 0
    for seed in range(40):
        budget = budget_at(space.space, random_table(space.space, seed, positive=True), 0.1 + 0.01 * seed)
        point = random_point(space, rng)
        published, ours = (HardCoReNAS(space, [budget], argmax=argmax) for argmax in (True, False))
        put(published, point)
        put(ours, point)
        assert budget.holds(ours.derive([budget]).architecture)
        derived = published.derive([budget])
        assert budget.holds(derived.architecture) == ("breaks" not in derived.note)
        num_broken += not budget.holds(derived.architecture)
    assert 0 < num_broken < 40


def test_a_tighter_budget_is_kept_and_an_impossible_one_refused():
    space = planted_space(with_depth=True)
    cost = random_table(space.space, 1, positive=True)
    for argmax in (False, True):
        strategy = HardCoReNAS(space, [budget_at(space.space, cost, 0.5)], argmax=argmax)
        assert strategy.derive([budget_at(space.space, cost, 0.0)]).architecture == cost.minimum().architecture
        with pytest.raises(InfeasibleError, match="No architecture of the space keeps latency"):
            strategy.derive([budget_at(space.space, cost, -0.01)])


def test_a_filter_binds_in_expectation_and_in_the_derivation():
    space = planted_space(with_depth=True)
    cost = random_table(space.space, 1, positive=True)
    low, high = cost.minimum().value, cost.maximum().value
    limits = low + 0.8 * (high - low), low + 0.9 * (high - low)
    strategy = HardCoReNAS(space, filter=RangeProfilerFilter(Tabled(cost), *limits))
    assert limits[0] * (1 - 1e-9) <= cost.expected(strategy.distribution()) <= limits[1] * (1 + 1e-9)
    assert limits[0] <= cost.value(strategy.derive(()).architecture) <= limits[1]


def test_a_budget_on_a_maximum_is_kept_by_the_derivation():
    space = planted_space(with_depth=True)
    peak = MaxTable([random_table(space.space, 1, positive=True), random_table(space.space, 2, positive=True)])
    budget = Budget("memory", 0.5 * (peak.minimum().value + peak.maximum().value), "bytes", peak)
    strategy = HardCoReNAS(space, [budget])
    rng = np.random.default_rng(0)
    for _ in range(10):
        put(strategy, random_point(space, rng))
        assert budget.holds(strategy.derive([budget]).architecture)


def test_weights_stay_as_they_are_unless_they_are_to_train():
    space = planted_space()
    before = weights(space)
    strategy = HardCoReNAS(space, num_warmup_epochs=0)
    run(strategy, space, num_steps=5)
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(space).items())
    warm = HardCoReNAS(space, num_warmup_epochs=0.5)  # of ten steps an epoch
    start = warm.distribution()
    run(warm, space, num_steps=5)
    assert any(not torch.equal(before[name], tensor) for name, tensor in weights(space).items())
    assert warm.distribution() == start


def test_candidates_that_no_image_takes_are_untouched():
    """Momentum and decay included: two images a step, so that many steps leave a candidate out."""
    space = planted_space(with_depth=True)
    strategy = HardCoReNAS(space, train_weights=True)
    optimizer = torch.optim.SGD(space.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    num_untouched = 0
    for moment in moments(space, optimizer, num_steps=30, batch_size=2):
        before = {name: (p, p.detach().clone()) for name, p in space.named_parameters() if ".linear." in name}
        strategy.step(moment)
        unused = [name for name, (parameter, _) in before.items() if parameter.grad is None]
        optimizer.step()
        assert all(torch.equal(*before[name]) for name in unused)
        assert any(not torch.equal(*before[name]) for name in before if name not in unused) or len(unused) == len(
            before
        )
        num_untouched += len(unused)
    assert num_untouched > 0


def test_validation_gives_weights_no_gradient():
    space = planted_space()
    strategy = HardCoReNAS(space)
    moment = one_moment(space, batch_size=4)
    strategy.step(moment)
    assert all(parameter.grad is None for parameter in space.parameters())


def test_same_seed_same_result_and_the_state_goes_on():
    results = []
    for interrupted in (False, False, True):
        space = planted_space(with_depth=True)
        budget = budget_at(space.space, random_table(space.space, 1, positive=True), 0.3)
        strategy = HardCoReNAS(space, [budget], step_size=0.05)
        if interrupted:
            run(strategy, space, num_steps=12)
            state = dict(strategy.state())
            run(strategy, space, num_steps=14, first=12)  # what comes after does not change the state taken
            strategy = HardCoReNAS(space, [budget], step_size=0.05)
            strategy.load_state(state)
        run(strategy, space, num_steps=24, first=12 if interrupted else 0)
        results.append(strategy.distribution())
    assert results[0] == results[1] == results[2]


def test_a_loss_that_is_not_finite_is_reported_and_moves_nothing():
    space = planted_space()
    strategy = HardCoReNAS(space)
    before = strategy.distribution()
    with torch.no_grad():
        next(iter(space.parameters())).fill_(torch.nan)
    assert torch.isnan(strategy.step(one_moment(space, batch_size=4)))
    assert strategy.distribution() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_size": 0.0}, "`step_size` must be a finite number above 0 and at most 1; got 0.0"),
        ({"momentum": 1.0}, "`momentum` must be a finite number of at least 0 and below 1; got 1.0"),
        ({"num_warmup_epochs": -1.0}, "`num_warmup_epochs` must be a finite number of at least 0; got -1.0"),
        ({"filter": lambda architecture: True}, "keeps a filter as budgets on expected costs"),
        ({"filter": 3}, "The filter of HardCoReNAS must be"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        HardCoReNAS(planted_space(), **options)


def test_what_does_not_fit_the_space_is_refused():
    space = planted_space()
    elsewhere = Tabled(random_table(abstract_space(1), 1, positive=True))
    with pytest.raises(ConfigError, match="of hardcorenas must have a profiler of the space"):
        HardCoReNAS(space, penalty=ExpectationProfilerPenalty(elsewhere, 20.0))
    unlike = ModelSpace(
        nn.Sequential(LayerChoice({"two": nn.Linear(4, 2), "three": nn.Linear(4, 3)})), torch.zeros(1, 4)
    )
    with pytest.raises(StrategyError, match="hardcorenas mixes the options of every choice"):
        HardCoReNAS(unlike)
    cost = random_table(space.space, 1, positive=True)
    with pytest.raises(InfeasibleError, match="No architecture of the space keeps latency"):
        HardCoReNAS(space, [budget_at(space.space, cost, -0.1)])


def test_the_state_of_another_search():
    with pytest.raises(CheckpointError, match=r"does not fit the strategy: probabilities\.depth is nothing there"):
        HardCoReNAS(planted_space(with_depth=True)).load_state(HardCoReNAS(planted_space()).state())


def test_the_distribution_is_uniform_at_first():
    space = planted_space(with_depth=True)
    assert HardCoReNAS(space).distribution() == Distribution.uniform(space.space)
