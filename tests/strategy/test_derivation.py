"""Derivations are held against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.cost import Budget
from hwnas.errors import BadInputError, ConfigError, InfeasibleError
from hwnas.space import Choice, Requirement, Space
from hwnas.strategy import RangeProfilerFilter
from hwnas.strategy.derivation import derive_from_scores, relative_to_largest
from tests.space.examples import random_space
from tests.strategy.planted import budget_at, planted_space, random_table
from tests.strategy.test_filters import TableProfiler

SPACE = planted_space(2)
LATENCY = random_table(SPACE, 2, positive=True)


def random_scores(space, seed):
    rng = np.random.default_rng(seed)
    return {choice.name: rng.normal(size=choice.num_options) for choice in space.choices}


def total(space, scores, architecture):
    return sum(scores[name][space.choice(name).index(option)] for name, option in architecture.items())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_without_a_budget_it_is_the_argmax_of_every_choice(seed):
    space = random_space(seed)
    logits = random_scores(space, seed)
    derived = derive_from_scores(space, relative_to_largest(logits), ())
    for name, option in derived.architecture.items():
        assert space.choice(name).index(option) == np.argmax(logits[name])
    assert derived.certificate.objective == pytest.approx(0.0, abs=1e-12)


def test_shallow_networks_are_not_favoured():
    """Raw logits are negative, so that each further block would cost; the argmax of the depth is 3."""
    condition = [[Requirement("depth", (3,))]]
    space = Space([Choice("depth", (1, 3)), Choice("block", ("small", "large"), condition=condition)])
    logits = {"depth": [0.0, 0.1], "block": [-5.0, -4.0]}
    assert dict(derive_from_scores(space, logits, ()).architecture) == {"depth": 1}
    derived = derive_from_scores(space, relative_to_largest(logits), ())
    assert dict(derived.architecture) == {"depth": 3, "block": "large"}


@pytest.mark.parametrize("seed", range(4))
def test_the_best_under_budgets_by_brute_force(seed):
    scores = random_scores(SPACE, seed)
    budgets = [budget_at(SPACE, LATENCY, 0.4), budget_at(SPACE, random_table(SPACE, 5, positive=True), 0.5)]
    feasible = [a for a in SPACE.enumerate() if all(budget.holds(a) for budget in budgets)]
    derived = derive_from_scores(SPACE, scores, budgets)
    assert derived.architecture == max(feasible, key=lambda a: total(SPACE, scores, a))
    assert derived.certificate.status == "optimal"


@pytest.mark.parametrize("seed", range(4))
def test_the_best_in_a_range_by_brute_force(seed):
    scores = random_scores(SPACE, seed)
    inside = RangeProfilerFilter(
        TableProfiler(LATENCY), budget_at(SPACE, LATENCY, 0.5).limit, budget_at(SPACE, LATENCY, 0.55).limit
    )
    derived = derive_from_scores(SPACE, scores, (), filter=inside, time_limit_seconds=None)
    assert derived.architecture == max(filter(inside, SPACE.enumerate()), key=lambda a: total(SPACE, scores, a))


def test_the_best_that_a_function_accepts():
    scores = random_scores(SPACE, 0)
    best = derive_from_scores(SPACE, scores, ()).architecture
    ranked = sorted(SPACE.enumerate(), key=lambda a: -total(SPACE, scores, a))
    refused = set(ranked[:20])
    assert best == ranked[0]
    assert derive_from_scores(SPACE, scores, (), filter=lambda a: a not in refused).architecture == ranked[20]


@pytest.mark.parametrize(("space", "num"), [(SPACE, 100), (Space([Choice("a", (0, 1, 2))]), 3)])
def test_a_function_that_refuses_the_best(space, num):
    asked = set()

    def refuse(architecture):
        asked.add(architecture)
        return False

    with pytest.raises(
        ConfigError, match=rf"it has refused the {num} best. Let it accept more, or search with a Range"
    ):
        derive_from_scores(space, random_scores(space, 0), (), filter=refuse)
    assert len(asked) == num


def test_budgets_that_nothing_keeps():
    budget = Budget("latency", LATENCY.minimum().value / 2, "", LATENCY)
    with pytest.raises(InfeasibleError, match="latency"):
        derive_from_scores(SPACE, random_scores(SPACE, 0), [budget])


def test_scores_of_the_wrong_shape():
    with pytest.raises(BadInputError, match=r"must have the shape \(4,\)"):
        derive_from_scores(Space([Choice("a", (0, 1, 2))]), {"a": [1.0, 2.0]}, ())
