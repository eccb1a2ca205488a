"""Local search against its definition; what it shares with all strategies is in the contract suite."""

import numpy as np
import pytest

from hwnas.space import Choice, Space
from hwnas.strategy import LocalSearch, Outcome
from tests.strategy.planted import budget_at, planted_space, random_table

FLAT = Space([Choice(f"c{number}", range(4)) for number in range(4)])
BUMPS = dict(zip(FLAT.enumerate(), np.random.default_rng(3).normal(size=256), strict=True))


def are_neighbours(first, second):
    return sum(first[name] != second[name] for name in first) == 1


def climb(strategy, score, num=10_000):
    """The proposals of a search, one at a time."""
    proposed = []
    while len(proposed) < num and (asked := strategy.ask(1)):
        proposed += [proposal.architecture for proposal in asked]
        strategy.tell(asked[0], Outcome(score=score(asked[0].architecture)))
    return proposed


def by_definition(start, score):
    """The centres that algorithm 1 of the paper goes through."""
    centres = [start]
    while True:
        best = max((a for a in FLAT.enumerate() if are_neighbours(a, centres[-1])), key=score)
        if score(best) <= score(centres[-1]):
            return centres
        centres.append(best)


@pytest.mark.parametrize("seed", range(5))
def test_it_moves_as_the_paper_says_until_a_local_optimum(seed):
    proposed = climb(LocalSearch(FLAT, seed=seed), BUMPS.__getitem__)
    centres = by_definition(proposed[0], BUMPS.__getitem__)
    assert len(centres) > 1
    around = {a for a in FLAT.enumerate() if any(are_neighbours(a, centre) for centre in centres)} | {centres[0]}
    assert set(proposed[: len(around)]) == around
    assert proposed[1:13] != sorted(proposed[1:13], key=str)
    assert all(are_neighbours(a, centres[0]) for a in proposed[1:13])
    assert not any(are_neighbours(proposed[len(around)], centre) for centre in centres)  # a new start
    assert len(proposed) == len(set(proposed)) == 256


def test_with_an_additive_score_one_climb_finds_the_optimum():
    """In every sweep the best change of one choice is made: 4 choices, and 12 neighbours each time at most."""
    weights = np.random.default_rng(0).normal(size=(4, 4))

    def score(architecture):
        return sum(weights[i, option] for i, option in enumerate(architecture.values()))

    proposed = climb(LocalSearch(FLAT, seed=1), score, num=1 + 12 + 3 * 4 * 3)
    assert max(map(score, proposed)) == pytest.approx(weights.max(axis=1).sum())


def test_the_first_improvement_ends_a_neighbourhood():
    strategy = LocalSearch(FLAT, first_improvement=True, seed=0)
    proposed = climb(strategy, BUMPS.__getitem__, num=60)
    centre, num_moves = proposed[0], 0
    for architecture in proposed[1:]:
        if not are_neighbours(architecture, centre):
            break
        if BUMPS[architecture] > BUMPS[centre]:
            centre, num_moves = architecture, num_moves + 1
    assert num_moves >= 2


def test_it_waits_for_the_last_of_a_neighbourhood():
    strategy = LocalSearch(FLAT, seed=0)
    [start] = strategy.ask(5)
    assert strategy.ask(5) == []
    strategy.tell(start, Outcome(score=0.0))
    neighbours = strategy.ask(20)
    assert len(neighbours) == 12
    for number, proposal in enumerate(neighbours):
        assert strategy.ask(1) == []
        strategy.tell(proposal, Outcome(score=float(number)))
    assert all(are_neighbours(p.architecture, neighbours[-1].architecture) for p in strategy.ask(20))


def test_after_a_failed_start_there_is_another():
    strategy = LocalSearch(FLAT, seed=0)
    [start] = strategy.ask(1)
    strategy.tell(start, Outcome(score=float("nan"), failed=True))
    [other] = strategy.ask(3)
    assert other.architecture != start.architecture


def test_neighbours_keep_the_budget_and_differ_in_one_choice_and_what_it_makes_active():
    space = planted_space(2)
    utility, cost = random_table(space, 1, positive=False), random_table(space, 2, positive=True)
    budget = budget_at(space, cost, 0.5)
    proposed = climb(LocalSearch(space, [budget], seed=2), utility.value, num=40)
    assert all(budget.holds(architecture) for architecture in proposed)
    first, neighbours = proposed[0], proposed[1:]
    both = [{name for name in first if name in other and first[name] != other[name]} for other in neighbours[:5]]
    assert all(len(changed) == 1 for changed in both)
