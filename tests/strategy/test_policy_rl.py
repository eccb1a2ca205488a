"""REINFORCE over a softmax for each choice."""

import numpy as np
import pytest

from hwnas.cost import Budget
from hwnas.errors import ConfigError, InfeasibleError
from hwnas.space import Choice, Space
from hwnas.strategy import Outcome, PolicyBasedRL, Proposal, Random
from tests.strategy.planted import PlantedEvaluator, best_feasible, budget_at, planted_space, random_table, run


def flat_space(num_choices: int = 3) -> Space:
    return Space([Choice(f"c{number}", ("a", "b", "c")) for number in range(num_choices)])


def test_the_good_options_become_likely() -> None:
    """Two options are worth a point each, the third choice nothing: its policy stays about uniform."""
    strategy = PolicyBasedRL(flat_space(), learning_rate=0.1, entropy_weight=0.05, seed=0)
    assert all(p == pytest.approx(np.full(3, 1 / 3)) for p in strategy.probabilities().values())
    run(strategy, lambda p: Outcome(score=(p.architecture["c0"] == "b") + (p.architecture["c1"] == "c")), 400)
    learnt = strategy.probabilities()
    assert learnt["c0"][1] > 0.9
    assert learnt["c1"][2] > 0.9
    assert learnt["c2"].max() < 0.8


def test_a_step_is_that_of_torch() -> None:
    """Automatic differentiation of Williams' loss and torch's Adam, without budgets."""
    import torch

    space = flat_space(2)
    strategy = PolicyBasedRL(space, learning_rate=0.07, entropy_weight=0.3, baseline_decay=0.5, batch_size=4, seed=1)
    logits = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([logits], lr=0.07)
    mean = variance = None
    rng = np.random.default_rng(0)
    for _ in range(5):
        proposals = strategy.ask(4)
        rewards = rng.normal(3.0, 2.0, 4)
        for proposal, reward in zip(proposals, rewards, strict=True):
            strategy.tell(proposal, Outcome(score=float(reward)))
        mean, variance = (rewards.mean(), rewards.var()) if mean is None else (mean, variance)
        above = rewards - mean
        mean, variance = 0.5 * mean + 0.5 * rewards.mean(), 0.5 * variance + 0.5 * (above**2).mean()
        logs = logits.log_softmax(dim=1)
        codes = torch.from_numpy(space.encode([proposal.architecture for proposal in proposals]).astype(np.int64))
        of_samples = logs[0, codes[:, 0]] + logs[1, codes[:, 1]]
        entropy = -(logs.exp() * logs).sum()
        loss = -(of_samples * torch.from_numpy(above / np.sqrt(variance))).mean() - 0.3 * entropy
        adam.zero_grad()
        loss.backward()
        adam.step()
    for position, probabilities in enumerate(strategy.probabilities().values()):
        assert probabilities == pytest.approx(logits.softmax(dim=1)[position].detach().numpy(), rel=1e-9)


def test_masked_gradients_are_those_of_torch() -> None:
    """Under a budget the policy is a product of masked softmaxes, given the earlier options (here by brute force)."""
    import torch

    space = flat_space(2)
    cost = random_table(space, 0, positive=True)
    budget = budget_at(space, cost, 0.5)
    strategy = PolicyBasedRL(space, [budget], learning_rate=0.07, entropy_weight=0.0, batch_size=6, seed=2)
    proposals = strategy.ask(6)
    rewards = np.arange(6.0)
    for proposal, reward in zip(proposals, rewards, strict=True):
        strategy.tell(proposal, Outcome(score=reward))
    logits = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    codes = space.encode([proposal.architecture for proposal in proposals])
    kept = space.encode([architecture for architecture in space.enumerate() if budget.holds(architecture)])
    adam, loss = torch.optim.Adam([logits], lr=0.07), torch.zeros((), dtype=torch.float64)
    for row, reward in zip(codes, (rewards - rewards.mean()) / rewards.std(), strict=True):
        first = torch.tensor(np.isin(range(3), kept[:, 0]))
        second = torch.tensor(np.isin(range(3), kept[kept[:, 0] == row[0], 1]))
        for position, allowed in ((0, first), (1, second)):
            logs = logits[position].masked_fill(~allowed, -torch.inf).log_softmax(dim=0)
            loss = loss - logs[int(row[position])] * reward / 6
    loss.backward()
    adam.step()
    assert 0 < len(kept) < 9
    for position, probabilities in enumerate(strategy.probabilities().values()):
        assert probabilities == pytest.approx(logits.softmax(dim=1)[position].detach().numpy(), rel=1e-9)


def test_it_learns_under_a_budget_and_never_proposes_a_masked_option() -> None:
    space = planted_space()
    cost, utility = random_table(space, 1, positive=True), random_table(space, 0, positive=False)
    budget = budget_at(space, cost, 0.4)
    strategy = PolicyBasedRL(space, [budget], seed=0)
    evaluate = PlantedEvaluator(utility)
    run(strategy, evaluate, 300)
    assert all(budget.holds(proposal.architecture) for proposal in evaluate.proposals)
    scores = [utility.value(proposal.architecture) for proposal in evaluate.proposals]
    _, best = best_feasible(space, utility, [budget])
    mean = np.mean(scores[:50])
    assert np.mean(scores[-50:]) > mean + 0.5 * (best - mean)


def test_it_finds_more_than_random_search() -> None:
    """Mean over 3 planted utilities of the best of 150 trials in a space of 16.8 million architectures."""
    space = Space([Choice(f"c{number}", ("a", "b", "c", "d")) for number in range(12)])
    found: dict[type, list[float]] = {PolicyBasedRL: [], Random: []}
    for seed in range(3):
        utility = random_table(space, seed, positive=False)
        low, high = utility.minimum().value, utility.maximum().value
        for strategy, shares in found.items():
            made = strategy(space, seed=seed)
            run(made, PlantedEvaluator(utility), 150)
            shares.append((utility.value(made.derive(()).architecture) - low) / (high - low))
    assert np.mean(found[PolicyBasedRL]) > np.mean(found[Random]) + 0.05


def test_inactive_choices_are_not_learnt() -> None:
    """The policy of a choice below the depth moves only by architectures in which it is active."""
    space = planted_space(1)
    strategy = PolicyBasedRL(space, batch_size=2, entropy_weight=0.0)
    shallow = [{"s0.depth": 1, "s0.b0": option} for option in ("small", "large")]
    for number, options in enumerate(shallow):
        strategy.tell(Proposal(architecture=space.validate(options)), Outcome(score=float(number)))
    learnt = strategy.probabilities()
    assert learnt["s0.b0"][2] > learnt["s0.b0"][0]
    assert learnt["s0.b1"] == pytest.approx(np.full(3, 1 / 3))
    assert learnt["s0.b2"] == pytest.approx(np.full(3, 1 / 3))


def test_over_a_limit_is_no_better_than_the_worst_and_failures_are_not_learnt() -> None:
    strategy = PolicyBasedRL(flat_space(1), batch_size=3)
    [a, b, c] = [Proposal(architecture=architecture) for architecture in flat_space(1).enumerate()]
    strategy.tell(a, Outcome(score=0.0))
    strategy.tell(b, Outcome(score=1.0))
    strategy.tell(c, Outcome(score=float("nan"), failed=True))
    assert strategy.probabilities()["c0"] == pytest.approx(np.full(3, 1 / 3))  # not yet three
    strategy.tell(c, Outcome(score=100.0, violation=0.1))
    learnt = strategy.probabilities()["c0"]
    assert learnt[1] > learnt[0]
    assert learnt[2] == pytest.approx(learnt[0])


def test_equal_rewards_move_nothing() -> None:
    strategy = PolicyBasedRL(flat_space(), entropy_weight=0.0)
    run(strategy, lambda proposal: Outcome(score=7.0), 50)
    assert all(p == pytest.approx(np.full(3, 1 / 3)) for p in strategy.probabilities().values())


def test_bad_arguments() -> None:
    for arguments, text in [
        ({"learning_rate": 0.0}, r"`learning_rate` must be a finite number above 0; got 0\.0"),
        ({"entropy_weight": -1.0}, r"`entropy_weight` must be a finite number of at least 0; got -1\.0"),
        ({"baseline_decay": 1.0}, r"`baseline_decay` must be a finite number of at least 0 and below 1; got 1\.0"),
        ({"batch_size": 0}, "`batch_size` must be a whole number of at least 1; got 0"),
    ]:
        with pytest.raises(ConfigError, match=text):
            PolicyBasedRL(flat_space(), **arguments)


def test_impossible_budgets_are_refused_when_it_is_made() -> None:
    cost = random_table(flat_space(), 0, positive=True)
    with pytest.raises(InfeasibleError, match="latency"):
        PolicyBasedRL(flat_space(), [Budget("latency", 0.5 * cost.minimum().value, "ms", cost)])
