import numpy as np
import pytest

from hwnas.errors import InfeasibleError
from hwnas.space import Choice, Space
from hwnas.strategy.offspring import new_child, new_random
from tests.strategy.planted import budget_at, planted_space, random_table

SPACE = planted_space(1)
EVERYTHING = list(SPACE.enumerate())
COST = random_table(SPACE, 2, positive=True)


def rng():
    return np.random.default_rng(0)


def test_a_child_is_drawn_until_it_is_new_and_keeps_the_budgets():
    budget = budget_at(SPACE, COST, 0.5)
    kept = [architecture for architecture in EVERYTHING if budget.holds(architecture)]
    known = set(kept[::2])
    child = new_child(SPACE, [budget], known, SPACE.sample, rng())
    assert child in kept
    assert child not in known


def test_a_child_that_is_always_over_budget_is_repaired():
    budget = budget_at(SPACE, COST, 0.2)
    dearest = max(EVERYTHING, key=COST.value)
    child = new_child(SPACE, [budget], (), lambda rng: dearest, rng())
    assert budget.holds(child)


def test_a_child_of_what_is_known_already_is_that():
    assert new_child(SPACE, [], {EVERYTHING[3]}, lambda rng: EVERYTHING[3], rng()) == EVERYTHING[3]


def test_a_space_of_one_architecture_has_no_other_child():
    def mutate(rng):
        raise AssertionError("nothing to mutate")

    assert new_child(Space([Choice("only", (1,))]), [], (), mutate, rng()) == {"only": 1}


def test_newcomers_are_each_of_the_others_until_none_is_left():
    budget = budget_at(SPACE, COST, 0.6)
    kept = {architecture for architecture in EVERYTHING if budget.holds(architecture)}
    known: dict = {}
    while (newcomer := new_random(SPACE, [budget], known, np.random.default_rng(len(known)))) is not None:
        assert newcomer not in known
        known[newcomer] = None
    assert set(known) == kept


def test_newcomers_are_random():
    assert len({new_random(SPACE, [], (), np.random.default_rng(seed)) for seed in range(40)}) > 10


def test_what_else_a_newcomer_must_keep():
    one = EVERYTHING[20]
    assert new_random(SPACE, [], (), rng(), accepts=one.__eq__) in (one, None)
    assert new_random(SPACE, [], (), rng(), accepts=lambda architecture: False) is None


def test_no_newcomer_keeps_the_budgets():
    with pytest.raises(InfeasibleError, match="latency"):
        new_random(SPACE, [budget_at(SPACE, COST, -0.1)], (), rng())
