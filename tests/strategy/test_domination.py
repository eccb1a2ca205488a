"""Sorting and crowding against brute force by the definitions of the paper, and against Optuna's sort."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.strategy import Outcome
from hwnas.strategy.domination import crowding_distances, domination, front_numbers

VALUES = st.integers(0, 4).map(float)


@st.composite
def populations(draw, *, limits=True, ties=True):
    """Few distinct values, so that equal ones are common."""
    num_objectives = draw(st.integers(1, 3))
    outcomes = []
    for _ in range(draw(st.integers(1, 14))):
        objectives = tuple(draw(VALUES) for _ in range(num_objectives))
        violation = draw(st.sampled_from([0.0, 0.0, 0.5, 1.0])) if limits else 0.0
        tie = draw(st.sampled_from([0.0, 1.0])) if ties else 0.0
        outcomes.append(Outcome(score=objectives[0], objectives=objectives, violation=violation, tie=tie))
    return outcomes


def dominates(p: Outcome, q: Outcome) -> bool:
    if p.violation or q.violation:
        return p.violation < q.violation
    if p.objectives == q.objectives:
        return p.tie > q.tie
    return all(a >= b for a, b in zip(p.objectives, q.objectives, strict=True))


def peeled(outcomes: list[Outcome]) -> list[int]:
    """The fronts by their definition: what nobody left dominates, again and again."""
    numbers, left, number = {}, set(range(len(outcomes))), 0
    while left:
        front = {i for i in left if not any(dominates(outcomes[j], outcomes[i]) for j in left)}
        numbers |= dict.fromkeys(front, number)
        left -= front
        number += 1
    return [numbers[i] for i in range(len(outcomes))]


@given(populations())
@settings(max_examples=150, deadline=None)
def test_fronts_equal_brute_force(outcomes):
    assert domination(outcomes, outcomes).tolist() == [[dominates(p, q) for q in outcomes] for p in outcomes]
    assert front_numbers(outcomes).tolist() == peeled(outcomes)


@given(populations(ties=False))
@settings(max_examples=50, deadline=None)
def test_fronts_equal_those_of_optuna(outcomes):
    """Which minimises, and puts those that violate limits behind, by their violation."""
    multi_objective = pytest.importorskip("optuna.study._multi_objective")
    losses = -np.array([outcome.objectives for outcome in outcomes])
    penalties = np.array([outcome.violation for outcome in outcomes])
    assert front_numbers(outcomes).tolist() == (
        multi_objective._fast_non_domination_rank(losses, penalty=penalties).tolist()
    )


def test_the_score_alone_is_an_objective():
    outcomes = [Outcome(score=1.0), Outcome(score=3.0), Outcome(score=2.0)]
    assert front_numbers(outcomes).tolist() == [2, 0, 1]


def test_crowding_by_hand():
    """Figure 1 of the paper: half the perimeter of the box between the neighbours, each side relative to its span."""
    points = [(0.0, 10.0), (1.0, 8.0), (4.0, 2.0), (5.0, 0.0)]
    front = [Outcome(score=a, objectives=(a, b)) for a, b in points]
    assert crowding_distances(front).tolist() == [np.inf, 4 / 5 + 8 / 10, 4 / 5 + 8 / 10, np.inf]
    shuffled = [front[i] for i in (2, 0, 3, 1)]
    assert crowding_distances(shuffled).tolist() == [1.6, np.inf, np.inf, 1.6]


@given(populations(limits=False, ties=False), st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
@settings(max_examples=50, deadline=None)
def test_crowding_does_not_depend_on_units(outcomes, scale, offset):
    moved = [dataclasses.replace(o, objectives=tuple(scale * v + offset for v in o.objectives)) for o in outcomes]
    np.testing.assert_allclose(crowding_distances(moved), crowding_distances(outcomes), rtol=1e-9, atol=1e-9)


def test_an_objective_without_a_finite_span_does_not_count():
    alike = [Outcome(score=1.0, objectives=(1.0, b)) for b in (1.0, 2.0, 3.0)]
    assert crowding_distances(alike).tolist() == [np.inf, 1.0, np.inf]
    endless = [Outcome(score=a, objectives=(a, b)) for a, b in [(-np.inf, 1.0), (0.0, 2.0), (1.0, 3.0)]]
    assert crowding_distances(endless).tolist() == [np.inf, 1.0, np.inf]
    assert crowding_distances(endless[:1]).tolist() == [0.0]
