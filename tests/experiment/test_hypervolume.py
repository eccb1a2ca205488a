"""Hypervolumes against counting, sampling, closed forms, and an independent library."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.experiment.hypervolume import hypervolume

GRIDS = st.integers(1, 5).flatmap(lambda d: st.lists(st.tuples(*[st.integers(-1, 4)] * d), min_size=1, max_size=20))


@settings(deadline=None)
@given(GRIDS, st.randoms(use_true_random=False))
def test_it_is_the_number_of_unit_cubes_below_the_points_in_whatever_order(points, random):
    num_objectives = len(points[0])
    cubes = set()
    for point in points:
        cubes.update(itertools.product(*(range(value) for value in point)))
    assert hypervolume(points, (0,) * num_objectives) == len(cubes)
    random.shuffle(points)
    assert hypervolume(points + points[:2], (0,) * num_objectives) == len(cubes)


@pytest.mark.parametrize("num_objectives", [1, 2, 3, 4, 5])
def test_of_random_points_against_sampling(num_objectives):
    rng = np.random.default_rng(num_objectives)
    points = rng.uniform(size=(30, num_objectives))
    samples = rng.uniform(size=(100_000, num_objectives))
    covered = np.any([(samples <= point).all(1) for point in points], axis=0)
    standard_error = math.sqrt(covered.mean() * (1 - covered.mean()) / len(samples))
    assert hypervolume(points, (0.0,) * num_objectives) == pytest.approx(covered.mean(), abs=4 * standard_error)


@pytest.mark.parametrize(("num_objectives", "num_points"), [(2, 300), (3, 300), (4, 60), (5, 30)])
def test_of_a_front_against_optuna(num_objectives, num_points):
    wfg = pytest.importorskip("optuna._hypervolume.wfg", reason="Optuna is an extra; it moved its own hypervolume")
    directions = np.abs(np.random.default_rng(0).normal(size=(num_points, num_objectives)))
    points = directions / np.linalg.norm(directions, axis=1, keepdims=True)  # none beats another
    reference = np.full(num_objectives, 0.05)  # some are not better than it in every objective
    above = points[(points > reference).all(1)]
    expected = wfg.compute_hypervolume(-above, -reference)
    assert len(above) < num_points or num_objectives == 2
    assert hypervolume(points, reference) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("num_objectives", [3, 4])
def test_of_a_thousand_points_of_which_none_beats_another(num_objectives):
    n = 42 if num_objectives == 3 else 16
    points = [p for p in itertools.product(range(1, n + 1), repeat=num_objectives) if sum(p) == n + num_objectives]
    assert 800 < len(points) < 1000
    # A unit cube from c >= 0 to c + 1 lies below such a point if sum(c) <= n, but for the cubes with one c of n.
    expected = math.comb(n + num_objectives, num_objectives) - num_objectives
    assert hypervolume(points, (0,) * num_objectives) == expected


def test_of_nothing_and_of_points_at_the_reference():
    assert hypervolume([], (0.0, 0.0, 0.0)) == 0.0
    assert hypervolume([(0.0, 1.0, 1.0), (-1.0, 2.0, 2.0)], (0.0, 0.0, 0.0)) == 0.0


@pytest.mark.filterwarnings("error")
def test_large_and_small_units():
    staircase = np.array([(3, 1, 1, 1), (1, 3, 1, 1), (2, 2, 1, 1)], dtype=float)
    units = np.array([2.0**500, 2.0**400, 2.0**-500, 2.0**-300])  # of the first two the product is no finite number
    assert hypervolume(staircase, (0,) * 4) == 6.0  # 3 + 2 + 1 squares
    assert hypervolume(staircase * units, (0,) * 4) == 6.0 * 2.0**100
    assert hypervolume(staircase * 2.0**500, (0,) * 4) == math.inf
