"""NSGA-II against the exact front of a small space; what it shares with all strategies is in the contract suite."""

import numpy as np
import pytest

from hwnas.errors import ConfigError, StrategyError
from hwnas.strategy import NSGA2, Outcome, Random
from tests.strategy.planted import budget_at, planted_space, random_table, run

SPACE = planted_space(3)
UTILITY = random_table(SPACE, 1, positive=False)
COST = random_table(SPACE, 2, positive=True)
LOW, HIGH = COST.minimum().value, COST.maximum().value


def two_objectives(proposal):
    score, cost = UTILITY.value(proposal.architecture), COST.value(proposal.architecture)
    return Outcome(score=score, objectives=(score, -cost))


def dominated_area(outcomes):
    """The area between a front and the worst point, (least utility, highest cost)."""
    area, best = 0.0, UTILITY.minimum().value
    for utility, minus_cost in sorted((outcome.objectives for outcome in outcomes), key=lambda o: -o[1]):
        area += max(0.0, utility - best) * (minus_cost + HIGH)
        best = max(best, utility)
    return area


def test_it_covers_more_of_the_front_than_random_search_and_most_of_it():
    """After 500 of 59,319 architectures; the exact front by brute force."""
    codes = SPACE.enumerate_codes()
    both = np.stack([UTILITY.values(codes), -COST.values(codes)], axis=1).tolist()
    exact = dominated_area([Outcome(score=u, objectives=(u, c)) for u, c in both])
    for seed in range(3):
        areas = []
        for strategy in (NSGA2(SPACE, population_size=20, seed=seed), Random(SPACE, seed=seed)):
            told = []
            run(strategy, lambda p, told=told: told.append(two_objectives(p)) or told[-1], max_trials=500)
            areas.append(dominated_area(told))
        assert areas[0] > areas[1]
        assert areas[0] > 0.9 * exact


def test_what_is_handed_on_is_the_best_score_within_the_budgets():
    strategy, told = NSGA2(SPACE, population_size=8), {}

    def evaluate(proposal):
        told[proposal.architecture] = two_objectives(proposal)
        return told[proposal.architecture]

    run(strategy, evaluate, max_trials=80)
    assert told[strategy.derive(()).architecture].score == max(outcome.score for outcome in told.values())
    budget = budget_at(SPACE, COST, 0.4)
    kept = {a: o.score for a, o in told.items() if budget.holds(a)}
    assert strategy.derive([budget]).architecture == max(kept, key=kept.__getitem__)


def test_measured_limits_are_kept_in_the_end():
    """Constrained domination: a limit that a tenth of the space keeps, known from outcomes only."""
    limit = float(np.quantile(COST.values(SPACE.enumerate_codes()), 0.1))

    def evaluate(proposal):
        score, cost = UTILITY.value(proposal.architecture), COST.value(proposal.architecture)
        return Outcome(score=score, objectives=(score,), violation=max(0.0, cost / limit - 1.0))

    strategy, violations = NSGA2(SPACE, population_size=16, seed=1), []
    run(strategy, lambda p: violations.append(evaluate(p).violation) or evaluate(p), max_trials=320)
    assert violations[:16].count(0.0) < 6
    assert violations[-64:].count(0.0) > 19  # three times what chance gives
    assert COST.value(strategy.derive(()).architecture) <= limit


def test_parents_are_chosen_with_the_last_outcome_of_a_generation_and_asking_never_waits():
    """In whatever order they come; until then proposals are random, as if nothing had been told."""
    random = [proposal.architecture for proposal in NSGA2(SPACE, population_size=4, seed=2).ask(20)]
    strategy = NSGA2(SPACE, population_size=4, seed=2)
    first = strategy.ask(6)
    for proposal in (first[5], first[1], first[4]):
        strategy.tell(proposal, two_objectives(proposal))
    strategy.tell(first[0], Outcome(score=0.0, failed=True))
    assert [proposal.architecture for proposal in strategy.ask(4)] == random[6:10]
    strategy.tell(first[2], two_objectives(first[2]))
    children = strategy.ask(10)
    assert len(children) == 10
    assert not {proposal.architecture for proposal in children} & set(random)


def test_nothing_is_proposed_twice_in_a_large_space():
    strategy, proposed = NSGA2(SPACE, population_size=10), []
    run(strategy, lambda p: proposed.append(p.architecture) or two_objectives(p), max_trials=300)
    assert len(set(proposed)) == 300


def test_another_number_of_objectives():
    strategy = NSGA2(SPACE)
    first, second = strategy.ask(2)
    strategy.tell(first, Outcome(score=1.0, objectives=(1.0, 2.0)))
    with pytest.raises(StrategyError, match="must have the same objectives: 2 until now; got 1"):
        strategy.tell(second, Outcome(score=1.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population_size": 1}, "`population_size` must be a whole number of at least 2; got 1"),
        ({"crossover_prob": 1.5}, "`crossover_prob` must be a finite number of at least 0 and at most 1; got 1.5"),
        ({"mutation_prob": 0.0}, "`mutation_prob` must be a finite number above 0 and at most 1, or None; got 0.0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        NSGA2(SPACE, **options)
