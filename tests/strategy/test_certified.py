import numpy as np
import pytest

from hwnas.cost import Budget
from hwnas.errors import ConfigError, InfeasibleError
from hwnas.strategy import Certified, Outcome
from tests.strategy.planted import PlantedEvaluator, best_feasible, budget_at, planted_space, random_table, run

SPACE = planted_space(2)
UTILITY = random_table(SPACE, 1, positive=False)
LATENCY = random_table(SPACE, 2, positive=True)
MACS = random_table(SPACE, 3, positive=True)


@pytest.mark.parametrize("explore", ["batch", "full"])
@pytest.mark.parametrize("share", [0.15, 0.4, 0.8])
def test_finds_the_planted_optimum_with_a_proof(share, explore):
    budget = budget_at(SPACE, LATENCY, share)
    strategy = Certified(SPACE, [budget], priors={"macs": MACS}, explore=explore, num_samples=150, seed=0)
    evaluate = PlantedEvaluator(UTILITY)
    run(strategy, evaluate)
    derived = strategy.derive([budget])
    _, value = best_feasible(SPACE, UTILITY, [budget])
    assert budget.holds(derived.architecture)
    assert UTILITY.value(derived.architecture) >= value - 0.75
    assert derived.certificate.status == "optimal"
    assert derived.certificate.gap == 0.0
    kept = [budget.holds(p.architecture) for p in evaluate.proposals if p.fidelity != "batch" or explore == "full"]
    assert all(kept)
    assert (len(kept) == len(evaluate.proposals)) == (explore == "full")


def test_batches_explore_a_little_over_the_budget():
    budget = budget_at(SPACE, LATENCY, 0.5)
    evaluate = PlantedEvaluator(UTILITY)
    run(Certified(SPACE, [budget], explore="batch", num_samples=100, seed=0), evaluate)
    shares = [LATENCY.value(p.architecture) / budget.limit for p in evaluate.proposals if p.fidelity == "batch"]
    assert len(shares) == 100
    assert 0.6 <= min(shares) < 1.0 < max(shares) <= 1.1


def test_where_all_are_evaluated_in_full_none_is_twice_and_the_additive_optimum_is_exact():
    budget = budget_at(SPACE, LATENCY, 0.5)
    strategy = Certified(SPACE, [budget], num_samples=60, num_held_out=10, seed=0)
    proposals = []

    def evaluate(proposal):
        proposals.append(proposal)
        return Outcome(score=UTILITY.value(proposal.architecture))

    run(strategy, evaluate)
    proposed = [p.architecture for p in proposals]
    assert {p.fidelity for p in proposals} == {"full"}
    assert len(set(proposed)) == len(proposed)
    derived = strategy.derive([budget])
    assert derived.architecture == best_feasible(SPACE, UTILITY, [budget])[0]
    assert derived.architecture in proposed
    quality = strategy.quality(derived)
    assert quality.num_held_out == 10
    assert quality.num_samples == len(proposed)
    assert quality.kendall_tau == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("num", [1, 2, 30])
def test_budgets_that_leave_few_are_tried_out(num):
    # By brute force: the limit is the num-th smallest cost, and what is derived the best within it.
    limit = sorted(LATENCY.values(SPACE.enumerate_codes()).tolist())[num - 1]
    budget = Budget("latency", limit, "ms", LATENCY)
    strategy = Certified(SPACE, [budget], num_samples=60, seed=0)
    assert run(strategy, PlantedEvaluator(UTILITY)) == num  # of 30 one is left out in 1 % of all seeds
    derived = strategy.derive([budget])
    assert derived.architecture == best_feasible(SPACE, UTILITY, [budget])[0]
    quality = strategy.quality(derived)
    assert (quality is None) == (num == 1)
    assert quality is None or (quality.num_held_out, quality.kendall_tau, quality.num_samples) == (0, 0.0, num)


def test_certificate_is_of_the_estimated_utility():
    budget = budget_at(SPACE, LATENCY, 0.5)
    strategy = Certified(SPACE, [budget], num_samples=60, seed=1)
    run(strategy, PlantedEvaluator(UTILITY))
    derived = strategy.derive([budget])
    _, best = best_feasible(SPACE, strategy.utility().table, [budget])
    assert derived.certificate.objective == pytest.approx(best)


def test_quality_says_how_good_the_estimate_is():
    budget = budget_at(SPACE, LATENCY, 0.5)
    strategy = Certified(SPACE, [budget], priors={"macs": MACS}, num_samples=200, num_held_out=30, seed=0)
    run(strategy, PlantedEvaluator(UTILITY, noise=0.2))
    quality = strategy.quality(strategy.derive([budget]))
    assert quality.kendall_tau > 0.8
    assert 0.0 < quality.kendall_tau_standard_error < 0.2
    assert set(quality.kendall_tau_of_priors) == {"macs"}
    assert 0.0 <= quality.probability_best <= 1.0
    assert 0.0 < quality.standard_error < 5.0


def test_budgets_that_leave_one_architecture_leave_no_rank_correlation():
    cheapest = LATENCY.minimum()
    budget = Budget("latency", cheapest.value, "ms", LATENCY)
    strategy = Certified(SPACE, [budget], explore="batch", num_samples=30, num_held_out=8, seed=0)
    run(strategy, PlantedEvaluator(UTILITY))
    derived = strategy.derive([budget])
    quality = strategy.quality(derived)
    assert derived.architecture == cheapest.architecture
    assert (quality.num_held_out, quality.kendall_tau_standard_error, quality.probability_best) == (1, None, None)


def test_same_seed_same_proposals_and_replay_restores_the_state():
    budget = budget_at(SPACE, LATENCY, 0.5)
    first, second = PlantedEvaluator(UTILITY), PlantedEvaluator(UTILITY)
    run(Certified(SPACE, [budget], num_samples=30, num_finalists=3, seed=7), first)
    half = len(first.proposals) // 2
    run(Certified(SPACE, [budget], num_samples=30, num_finalists=3, seed=7), second, max_trials=half)
    resumed, rest = Certified(SPACE, [budget], num_samples=30, num_finalists=3, seed=7), PlantedEvaluator(UTILITY)
    run(resumed, PlantedEvaluator(UTILITY), max_trials=half)
    run(resumed, rest)
    assert second.proposals + rest.proposals == first.proposals


def test_finalists_contain_the_feasible_network_with_the_most_macs():
    budget = budget_at(SPACE, LATENCY, 0.5)
    evaluate = PlantedEvaluator(UTILITY)
    run(Certified(SPACE, [budget], priors={"macs": MACS}, num_samples=30, num_finalists=3, seed=0), evaluate)
    trained = [p.architecture for p in evaluate.proposals if p.fidelity == "trained"]
    heaviest, _ = best_feasible(SPACE, MACS, [budget])
    assert len(trained) == 3
    assert MACS.value(heaviest) == pytest.approx(max(MACS.value(a) for a in trained))


def test_an_evaluated_architecture_that_is_better_beyond_doubt_is_handed_on():
    budget = budget_at(SPACE, LATENCY, 0.5)
    strategy = Certified(SPACE, [budget], num_samples=60, num_finalists=2, seed=0)
    rng = np.random.default_rng(0)
    right = rng.uniform(size=1000) < 0.5
    better = right | (rng.uniform(size=1000) < 0.2)
    planted, finalists = PlantedEvaluator(UTILITY), []

    def evaluate(proposal):
        if proposal.fidelity != "trained":
            return planted(proposal)
        correct = better if finalists else right
        finalists.append(proposal.architecture)
        return Outcome(score=float(correct.mean()), loss=0.0, scores=correct.astype(np.float32))

    run(strategy, evaluate)
    _, other = finalists
    derived = strategy.derive([budget])
    assert derived.architecture == other
    assert derived.certificate is not None
    assert "rank 2 of 2" in derived.note


@pytest.mark.parametrize("seed", [14, 35, 36, 55])
def test_it_ends_when_the_optimum_has_been_scored(seed):
    """Seeds with which the scores of a round that knew the optimum move it: from so few, so noisy ones."""
    space = planted_space(3)
    utility, latency = random_table(space, 2, positive=False), random_table(space, 1, positive=True)
    budget = budget_at(space, latency, 0.5)
    strategy = Certified(space, [budget], num_samples=20, num_held_out=6, max_rounds=20, seed=seed)
    scored = []

    def evaluate(proposal):
        scored.append(proposal.architecture)
        noise = np.random.default_rng([seed, len(scored)]).normal(scale=2.0)
        return Outcome(score=utility.value(proposal.architecture) + noise)

    run(strategy, evaluate)
    assert strategy.derive([budget]).architecture in scored


def test_tighter_budgets_are_kept():
    budget = budget_at(SPACE, LATENCY, 0.6)
    strategy = Certified(SPACE, [budget], num_samples=40, seed=0)
    run(strategy, PlantedEvaluator(UTILITY))
    for share in (0.4, 0.2, 0.0):
        tighter = budget_at(SPACE, LATENCY, share)
        assert tighter.holds(strategy.derive([tighter]).architecture)


def test_infeasible_budgets_are_named():
    impossible = Budget("latency", LATENCY.minimum().value * 0.9, "ms", LATENCY)
    with pytest.raises(InfeasibleError, match="latency") as caught:
        Certified(SPACE, [impossible], num_samples=10).ask()
    assert caught.value.least["latency"] == pytest.approx(LATENCY.minimum().value)


def test_another_way_to_explore():
    with pytest.raises(ConfigError, match="`explore` must be 'full' or 'batch'; got 'quick'"):
        Certified(SPACE, explore="quick")


@pytest.mark.parametrize(
    ("option", "value"),
    [("num_samples", 7), ("num_held_out", 3), ("num_candidates", 0), ("max_rounds", 0), ("num_finalists", -1)],
)
def test_numbers_out_of_range(option, value):
    with pytest.raises(ConfigError, match=f"`{option}` must be a whole number of at least"):
        Certified(SPACE, **{option: value})
