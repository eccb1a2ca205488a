import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwnas.cost import Budget, CostTable, Term
from hwnas.errors import BadInputError, CheckpointError, ConfigError, InfeasibleError, TrainingError
from hwnas.nn import InputChoice, LayerChoice, ModelSpace
from hwnas.profiler import FlopsProfiler
from hwnas.strategy import ENAS, ExpectationProfilerPenalty, RangeProfilerFilter, SampleProfilerPenalty
from hwnas.strategy.completion import BudgetMasks
from hwnas.strategy.one_shot import OneShot
from hwnas.testing.planted_search import moments, planted_data, planted_space, run

QUICK = {
    "controller_learning_rate": 0.01,
    "lstm_size": 16,
    "num_samples": 8,
    "steps_per_controller_step": 1,
    "num_warmup_epochs": 2.0,
    "num_derived_samples": 5,
    "scoring_share": 0.05,
}
AT_ONCE = {**QUICK, "num_warmup_epochs": 0.0, "scoring_share": 0.0}


class Skips(nn.Module):
    """Any subset of three layers' outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.skips = InputChoice(3, n_chosen=None, label="skip")
        self.head = LayerChoice({"a": nn.Linear(4, 2), "b": nn.Linear(4, 2)}, label="head")

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.skips([layer(x) for layer in self.layers]))


def skip_space() -> ModelSpace:
    torch.manual_seed(0)
    return ModelSpace(Skips(), torch.zeros(1, 4))


def random_cost(space: ModelSpace, seed: int) -> CostTable:
    """A positive cost of every option and of pairs of neighbours."""
    rng = np.random.default_rng(seed)
    choices = space.space.choices
    terms = [Term((c.name,), np.append(rng.uniform(1, 5, c.num_options), 0.0)) for c in choices]
    for a, b in itertools.pairwise(choices):
        terms.append(Term((a.name, b.name), rng.uniform(0, 2, (a.num_options + 1, b.num_options + 1))))
    return CostTable(space.space, 1.0, terms, unit="ms")


def budget_at(name: str, cost: CostTable, quantile: float) -> Budget:
    """The limit that this share of all architectures keeps."""
    values = cost.values(cost.space.enumerate_codes())
    return Budget(name, float(np.quantile(values, quantile, method="higher")), "ms", cost)


def watch(strategy: ENAS, space: ModelSpace, *, num_steps: int, **changes) -> tuple[list, list, list]:
    """Search, the weights' gradient clipped; the trained paths, the scored ones, and the losses."""
    trained, scored, losses = [], [], []
    optimizer = torch.optim.SGD(space.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    for moment in moments(space, optimizer, num_steps=num_steps):

        def training_loss(path, moment=moment):
            trained.append(path)
            return moment.training_loss(path)

        def validation_scores(path, moment=moment):
            scored.append(path)
            return moment.validation_scores(path)

        watched = {"training_loss": training_loss, "validation_scores": validation_scores, **changes}
        losses.append(float(strategy.step(dataclasses.replace(moment, **watched))))
        nn.utils.clip_grad_norm_(space.parameters(), 5.0)
        optimizer.step()
    return trained, scored, losses


def expected_score(strategy: ENAS, space: ModelSpace) -> float:
    """The mean accuracy of the controller's samples, on new data, with the supernet's weights as they are."""
    with torch.no_grad():
        codes = strategy.controller.sample(100, BudgetMasks(space.space, ()), np.random.default_rng(0)).codes
        points, labels = planted_data(256, 3)
        scores = {a: float((space(points, a).argmax(1) == labels).float().mean()) for a in space.space.enumerate()}
    return float(np.mean([scores[a] for a in space.space.decode(codes)]))


@pytest.mark.parametrize("with_depth", [False, True])
def test_the_planted_optimum_is_found_by_the_trained_controller(with_depth):
    space = planted_space(with_depth=with_depth)
    strategy = ENAS(space, **QUICK)
    untrained = ENAS(space, **QUICK)
    assert isinstance(strategy, OneShot)
    *_, losses = watch(strategy, space, num_steps=160)
    derived = strategy.derive(())
    outer = (space.space.names[0], space.space.names[-1])  # the middle of the deep one is residual
    assert [derived.architecture[name] for name in outer] == ["linear", "linear"]
    assert all(strategy.distribution()[name][1] > 0.8 for name in outer)
    assert np.mean(losses[-20:]) < np.mean(losses[:20]) - 0.2
    # With the same weights: what the controller has learned is worth it. A blind one plants 1 of 9.
    assert expected_score(strategy, space) > expected_score(untrained, space) + 0.2
    assert "samples of the controller on 8 validation batches" in derived.note  # 5 % of 160 steps


def test_derivation_depends_on_the_controller_that_was_trained():
    space = planted_space()
    strategy = ENAS(space, **{**QUICK, "scoring_share": 0.0})
    untrained = strategy.derive(()).architecture
    run(strategy, space, num_steps=150)
    derived = strategy.derive(())
    assert dict(derived.architecture) == {"1": "linear", "3": "linear"}
    assert derived.architecture != untrained
    assert "most likely architecture" in derived.note  # nothing was scored


def test_the_best_of_the_scored_samples_that_keep_the_budgets_is_derived():
    space = planted_space()
    cost = CostTable.from_options(space.space, {"1": {"zero": 1, "linear": 3, "wide": 2}}, unit="ms")
    strategy = ENAS(space, **QUICK)
    run(strategy, space, num_steps=40)
    state = dict(strategy.state())
    rows = [{"1": "linear", "3": "linear"}, {"1": "zero", "3": "wide"}, {"1": "wide", "3": "linear"}] * 2
    state["candidates"] = torch.from_numpy(space.space.encode(rows[:5])).long()
    state["candidate_totals"] = torch.tensor([9.0, 3.0, 5.0, 9.0, 3.0], dtype=torch.float64)
    state["num_scored"] = torch.tensor(10)
    strategy.load_state(state)
    for limit, expected in ((3.0, 0), (2.0, 2), (1.0, 1)):
        derived = strategy.derive([Budget("latency", limit, "ms", cost)])
        assert dict(derived.architecture) == rows[expected]
    assert derived.note == "the best of 1 samples of the controller on 10 validation batches: 0.3"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_nothing_over_a_budget_is_ever_run_or_derived(seed, share):
    space = planted_space(with_depth=True)
    budgets = [budget_at("latency", random_cost(space, 2 * seed), 0.4)]
    kept = [a for a in space.space.enumerate() if budgets[0].holds(a)]
    other = random_cost(space, 2 * seed + 1)
    # Of those that keep the first budget a share keeps the second: tight together, so that masks run into dead ends.
    limit = float(np.quantile([other.value(a) for a in kept], share, method="higher"))
    budgets.append(Budget("energy", limit, "ms", other))
    feasible = {a for a in kept if budgets[1].holds(a)}
    strategy = ENAS(space, budgets, **{**QUICK, "num_warmup_epochs": 0.0}, seed=seed)
    trained, scored, _ = watch(strategy, space, num_steps=12)
    assert len(trained) == 12
    assert {*trained, *scored} <= feasible
    for tighter in (1.0, 0.97, 0.9):
        tight = [dataclasses.replace(budget, limit=tighter * budget.limit) for budget in budgets]
        if any(all(budget.holds(a) for budget in tight) for a in feasible):
            derived = strategy.derive(tight).architecture
            assert all(budget.holds(derived) for budget in tight)
        else:
            with pytest.raises(InfeasibleError, match=r"latency|energy"):
                strategy.derive(tight)


def test_unsampled_candidates_are_bit_identical_after_a_step():
    space = planted_space()
    names = {id(p): n for n, p in space.named_parameters()}
    strategy = ENAS(space, **AT_ONCE)
    optimizer = torch.optim.SGD(space.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
    num_moved = 0
    for moment in moments(space, optimizer, num_steps=12):
        before = [p.detach().clone() for p in space.parameters()]
        ran = []

        def training_loss(path, moment=moment, ran=ran):
            ran.append(path)
            return moment.training_loss(path)

        strategy.step(dataclasses.replace(moment, training_loss=training_loss))
        optimizer.step()
        for parameter, old in zip(space.parameters(), before, strict=True):
            layer = names[id(parameter)].split(".")
            in_choice = [choice for choice in ("1", "3") if choice in layer]
            if in_choice and ran[0][in_choice[0]] != "linear":
                assert torch.equal(parameter, old)
            elif in_choice:
                num_moved += not torch.equal(parameter, old)
    assert num_moved > 0


def test_the_first_controller_step_by_hand():
    space = skip_space()
    profiler = FlopsProfiler(space)
    penalty = SampleProfilerPenalty(profiler, profiler.max(), -0.5)
    strategy = ENAS(space, **AT_ONCE, entropy_weight=0.1, baseline_decay=0.9, penalty=penalty, gradient_clip=None)
    copy = ENAS(space, **AT_ONCE)
    optimizer = torch.optim.SGD(space.parameters(), lr=0.0)
    (moment,) = moments(space, optimizer, num_steps=1)
    rng = np.random.default_rng([0, 0])
    for _ in range(2):  # the batches of training and validation come from the same generator
        rng.integers(256, size=16)
    strategy.step(moment)

    masks = BudgetMasks(space.space, ())
    copy.controller.sample(1, masks, rng)  # the path of the weights
    samples = copy.controller.sample(8, masks, rng)
    rewards = []
    for path, entropy in zip(space.space.decode(samples.codes), samples.entropies.tolist(), strict=True):
        score = float(moment.validation_scores(path).mean())
        rewards.append(score - 0.5 * (profiler.profile(path) / profiler.max() - 1) + 0.1 * entropy)
    mean = float(np.mean(rewards))
    loss = 0.0
    for row, reward in enumerate(rewards):
        loss = loss - samples.log_probabilities[row] * (reward - mean) / 8 + 0.8 * samples.divergences[row] / 8
    gradients = torch.autograd.grad(loss, list(copy.controller.parameters()), allow_unused=True)
    for parameter, gradient in zip(strategy.controller.parameters(), gradients, strict=True):
        if gradient is None:
            assert parameter.grad is None
        else:
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)
    baseline = mean
    for reward in rewards:
        baseline = 0.9 * baseline + 0.1 * reward
    assert float(strategy.state()["baseline"]) == pytest.approx(baseline, rel=1e-12)
    assert int(strategy.state()["num_rewards"]) == 8


def test_rewards_are_means_over_the_processes():
    space = planted_space()
    strategy = ENAS(space, **AT_ONCE, entropy_weight=0.0)
    before = [p.detach().clone() for p in strategy.controller.parameters()]
    watch(strategy, space, num_steps=3, mean=lambda value: torch.full_like(value, 0.25))
    assert float(strategy.state()["baseline"]) == 0.25
    assert all(torch.equal(p, old) for p, old in zip(strategy.controller.parameters(), before, strict=True))


def test_the_gradient_of_the_controller_is_clipped():
    space = planted_space()
    strategy = ENAS(space, **AT_ONCE, gradient_clip=1e-3)
    watch(strategy, space, num_steps=2)
    norms = [p.grad.norm() for p in strategy.controller.parameters() if p.grad is not None]
    assert float(torch.stack(norms).norm()) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("num_steps", "every", "warmup", "expected"), [(20, 4, 0.0, 5), (20, 4, 1.0, 3), (20, 1, 0.0, 20)]
)
def test_how_often_the_controller_learns(num_steps, every, warmup, expected):
    space = planted_space()
    strategy = ENAS(space, **{**AT_ONCE, "steps_per_controller_step": every, "num_warmup_epochs": warmup})
    run(strategy, space, num_steps=num_steps)
    assert int(strategy.state()["num_rewards"]) == 8 * expected  # an epoch has 10 steps


def test_the_same_seed_gives_the_same_search_also_from_a_state():
    def search(num_steps, first=0, state=None, space=None):
        space = space or planted_space(with_depth=True)
        strategy = ENAS(space, **{**QUICK, "num_warmup_epochs": 0.0, "scoring_share": 0.3}, seed=3)
        if state is not None:
            strategy.load_state(state)
        optimizer = torch.optim.SGD(space.parameters(), lr=0.1)
        for moment in moments(space, optimizer, num_steps=20, first=first):
            if moment.step == num_steps:
                break
            strategy.step(moment)
            optimizer.step()
        return strategy, space

    whole, space = search(20)
    again, other = search(20)
    assert all(torch.equal(a, b) for a, b in zip(space.parameters(), other.parameters(), strict=True))
    for stop in (9, 17):  # before the candidates are drawn, and after
        half, trained = search(stop)
        resumed, _ = search(20, first=stop, state=half.state(), space=trained)
        for one in (again, resumed):
            assert one.state().keys() == whole.state().keys()
            assert all(torch.equal(value, one.state()[name]) for name, value in whole.state().items())
            assert one.derive(()) == whole.derive(())
            assert one.distribution() == whole.distribution()
    different = ENAS(planted_space(with_depth=True), **QUICK, seed=4)
    assert not torch.equal(different.controller.start, ENAS(other, **QUICK, seed=3).controller.start)


def test_scoring_leaves_the_statistics_of_batch_norm_as_they_were():
    torch.manual_seed(0)
    layers = [nn.Linear(4, 8), nn.BatchNorm1d(8), LayerChoice({"a": nn.Linear(8, 2), "b": nn.Linear(8, 2)})]
    space = ModelSpace(nn.Sequential(*layers), torch.zeros(2, 4))
    space.train()
    strategy = ENAS(space, **{**AT_ONCE, "scoring_share": 0.5})
    optimizer = torch.optim.SGD(space.parameters(), lr=0.1)
    for moment in moments(space, optimizer, num_steps=4):
        buffers = []

        def training_loss(path, moment=moment, buffers=buffers):
            loss = moment.training_loss(path)
            buffers.extend(b.clone() for b in space.buffers())
            return loss

        strategy.step(dataclasses.replace(moment, training_loss=training_loss))
        assert all(torch.equal(b, c) for b, c in zip(space.buffers(), buffers, strict=True))


def test_distribution_counts_the_controllers_samples_under_the_masks():
    space = planted_space(with_depth=True)
    depths = CostTable.from_options(space.space, {"depth": {1: 1, 2: 2, 3: 3}}, unit="ms")
    strategy = ENAS(space, [Budget("latency", 2.0, "ms", depths)], **QUICK)
    with torch.no_grad():
        for parameter in strategy.controller.parameters():
            parameter *= 5
        samples = strategy.controller.sample(20000, strategy._masks, np.random.default_rng(1))
    distribution = strategy.distribution()
    for choice, column in zip(space.space.choices, samples.codes.T, strict=True):
        if (column >= 0).any():
            expected = np.bincount(column[column >= 0], minlength=choice.num_options) / (column >= 0).sum()
            # five standard errors of 256 samples, of which a conditional choice sees a part
            error = 5 * np.sqrt(0.25 / (256 * (column >= 0).mean()))
            np.testing.assert_allclose(distribution[choice.name], expected, atol=error)
    assert distribution["depth"][2] == 0.0
    assert distribution["3.2.inner"].tolist() == [1 / 3] * 3  # never active
    assert strategy.distribution() == distribution


def test_skips_are_kept_near_their_target_where_rewards_do_not_care():
    space = skip_space()
    strategy = ENAS(space, **AT_ONCE, skip_target=0.2)
    with torch.no_grad():
        for name in ("skip/0", "skip/1", "skip/2"):
            strategy.controller.heads[space.space.position(name)].weight.mul_(40)

    def off():
        chances = [strategy.distribution()[f"skip/{i}"][1] for i in range(3)]
        return float(np.abs(np.array(chances) - 0.2).max())

    before = off()
    watch(strategy, space, num_steps=60, mean=lambda value: torch.full_like(value, 0.5))
    assert before > 0.15
    assert off() < 0.1  # four standard errors of 256 samples


def test_a_range_filter_is_kept_as_a_mask_and_a_function_by_drawing_again():
    space = planted_space(with_depth=True)
    macs = FlopsProfiler(space)
    middle = (macs.min() + macs.max()) / 2
    trained, scored, _ = watch(
        ENAS(space, **AT_ONCE, filter=RangeProfilerFilter(macs, min=middle)), space, num_steps=10
    )
    assert min(macs.profile(a) for a in {*trained, *scored}) >= middle

    def no_wide(architecture):
        return "wide" not in architecture.values()

    strategy = ENAS(space, **QUICK, filter=no_wide)
    trained, scored, _ = watch(strategy, space, num_steps=40)
    assert all(map(no_wide, {*trained, *scored}))
    assert no_wide(strategy.derive(()).architecture)
    nothing = ENAS(space, **AT_ONCE, filter=lambda architecture: False)
    with pytest.raises(ConfigError, match="filter must accept"):
        nothing.derive(())


def test_a_penalty_pulls_to_cheap_architectures():
    space = planted_space()
    cost = CostTable.from_options(space.space, {"1": {"zero": 1, "linear": 3, "wide": 2}}, constant=1.0, unit="ms")

    class Latency:
        name, unit, space = "latency", "ms", cost.space

        def profile(self, architecture):
            return cost.value(architecture)

    strategy = ENAS(space, **QUICK, penalty=SampleProfilerPenalty(Latency(), 2.0, -5.0))
    run(strategy, space, num_steps=100)
    assert strategy.derive(()).architecture["1"] == "zero"


WRONG = {
    "controller_learning_rate": 0.0,
    "lstm_size": 0,
    "lstm_num_layers": 1.5,
    "tanh_constant": 0.0,
    "temperature": -1.0,
    "entropy_weight": float("nan"),
    "skip_target": 1.0,
    "skip_weight": -0.1,
    "baseline_decay": 1.0,
    "num_samples": 0,
    "steps_per_controller_step": 0,
    "num_warmup_epochs": float("inf"),
    "num_derived_samples": 0,
    "scoring_share": 1.0,
    "gradient_clip": 0.0,
}


@pytest.mark.parametrize("name", WRONG)
def test_options_out_of_range(name):
    with pytest.raises(ConfigError, match=f"`{name}` must be .*; got {WRONG[name]}"):
        ENAS(planted_space(), **{name: WRONG[name]})


def test_penalties_that_cannot_be():
    space = planted_space()
    macs = FlopsProfiler(space)
    with pytest.raises(ConfigError, match="must be on sampled architectures"):
        ENAS(space, penalty=ExpectationProfilerPenalty(macs, 100.0))
    with pytest.raises(ConfigError, match=r"must not be above 0.*got 2. Use -2"):
        ENAS(space, penalty=SampleProfilerPenalty(macs, 100.0, 2.0))
    foreign = FlopsProfiler(planted_space(with_depth=True))
    with pytest.raises(ConfigError, match="of another one"):
        ENAS(space, penalty=SampleProfilerPenalty(foreign, 100.0, -2.0))
    with pytest.raises(ConfigError, match="of another one"):
        ENAS(space, filter=RangeProfilerFilter(foreign, max=100.0))


def test_budgets_that_cannot_be_kept():
    space = planted_space()
    cost = random_cost(space, 0)
    over = Budget("latency", cost.minimum().value * 0.9, "ms", cost)
    with pytest.raises(InfeasibleError, match="latency"):
        ENAS(space, [over])
    with pytest.raises(InfeasibleError, match="latency"):
        ENAS(space).derive([over])
    elsewhere = random_cost(planted_space(with_depth=True), 0)
    with pytest.raises(BadInputError, match="over one space"):
        ENAS(space, [Budget("latency", 1e9, "ms", elsewhere)])


def test_a_warmup_that_leaves_nothing_to_the_controller():
    space = planted_space()
    with pytest.raises(ConfigError, match=r"`num_warmup_epochs` must be below 1\.9"):
        run(ENAS(space, **QUICK), space, num_steps=20)


def test_scores_that_are_not_finite():
    space = planted_space()
    with pytest.raises(TrainingError, match="must be finite"):
        watch(ENAS(space, **AT_ONCE), space, num_steps=1, validation_scores=lambda path: torch.full((16,), torch.nan))


def test_a_checkpoint_of_another_controller():
    space = planted_space()
    state = ENAS(space, lstm_size=8).state()
    with pytest.raises(CheckpointError, match="does not fit"):
        ENAS(space, lstm_size=16).load_state(state)
    with pytest.raises(CheckpointError, match="nothing there"):
        ENAS(space, lstm_size=8).load_state({})
