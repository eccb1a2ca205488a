"""Against brute force over vertices and against SciPy's SLSQP, an independent solver."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import minimize

from hwnas.strategy.simplices import Simplices

SIZES = (3, 2, 4)
NUM = sum(SIZES)


def instance(seed, num_rows=1, share=0.4, scale=1.0):
    """Random rows, each with a limit at a share of the way from what all can keep to its largest value."""
    rng = np.random.default_rng(seed)
    matrix = scale * rng.uniform(1.0, 10.0, (num_rows, NUM))
    common = np.concatenate([rng.dirichlet(np.ones(size)) for size in SIZES])
    most = sum(part.max(axis=1) for part in np.split(matrix, np.cumsum(SIZES)[:-1], axis=1))
    least = matrix @ common
    return Simplices(SIZES, matrix, least + share * (most - least)), rng


def kept(simplices, point):
    """Whether the point is in the simplices and keeps the rows, to 1e-10 of their limits."""
    sums = [part.sum() for part in np.split(point, np.cumsum(SIZES)[:-1])]
    over = simplices.matrix_RN @ point - simplices.limits_R
    return (point >= 0).all() and np.allclose(sums, 1, atol=1e-12) and (over <= 1e-10 * abs(simplices.limits_R)).all()


def vertices(simplices):
    """Every vertex under one row: one option a part, or a mixture of two in one part with which the row binds."""
    row, limit = simplices.matrix_RN[0], simplices.limits_R[0]
    for options in itertools.product(*(range(size) for size in SIZES)):
        point = np.concatenate([np.eye(size)[option] for size, option in zip(SIZES, options, strict=True)])
        if row @ point <= limit:
            yield point
        for part, size in enumerate(SIZES):
            for other in range(size):
                moved = np.concatenate(
                    [np.eye(n)[other if i == part else o] for i, (n, o) in enumerate(zip(SIZES, options, strict=True))]
                )
                if row @ moved <= limit < row @ point:
                    share = (limit - row @ moved) / (row @ point - row @ moved)
                    yield share * point + (1 - share) * moved


@given(st.integers(0, 10_000), st.sampled_from([1e-6, 1.0, 1e9]))
@settings(max_examples=25, deadline=None)
def test_the_linear_program_finds_the_best_vertex(seed, scale):
    simplices, rng = instance(seed, share=0.2, scale=scale)
    objective = rng.normal(size=NUM)
    found = simplices.minimise(objective)
    assert kept(simplices, found)
    assert objective @ found == pytest.approx(min(objective @ vertex for vertex in vertices(simplices)), abs=1e-7)


def test_without_rows_every_part_takes_its_least():
    objective = np.array([3.0, 1.0, 2.0, 5.0, 4.0, 0.0, -1.0, 2.0, 1.0])
    found = Simplices(SIZES, np.zeros((0, NUM)), np.zeros(0)).minimise(objective)
    assert np.array_equal(found, [0, 1, 0, 0, 1, 0, 1, 0, 0])


@given(st.integers(0, 10_000), st.sampled_from([1, 2, 3]), st.sampled_from([0.0, 0.05, 0.3]))
@settings(max_examples=15, deadline=None)
def test_the_nearest_point(seed, num_rows, share):
    """SLSQP is exact to about 1e-6; the point found keeps the rows and is no farther."""
    simplices, rng = instance(seed, num_rows, share)
    point = np.concatenate([rng.dirichlet(np.full(size, 0.5)) for size in SIZES])
    found = simplices.nearest(point)
    assert kept(simplices, found)
    sums = np.repeat(np.eye(len(SIZES)), SIZES, axis=1)
    other = minimize(
        lambda x: ((x - point) ** 2).sum(),
        found,
        jac=lambda x: 2 * (x - point),
        bounds=[(0, 1)] * NUM,
        constraints=[
            {"type": "eq", "fun": lambda x: sums @ x - 1, "jac": lambda x: sums},
            {
                "type": "ineq",
                "fun": lambda x: simplices.limits_R - simplices.matrix_RN @ x,
                "jac": lambda x: -simplices.matrix_RN,
            },
        ],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert np.linalg.norm(found - point) <= np.linalg.norm(other.x - point) + 1e-6


def test_a_point_that_keeps_the_rows_stays():
    simplices, rng = instance(3, 2, share=0.99)
    point = np.concatenate([rng.dirichlet(np.ones(size)) for size in SIZES])
    assert (simplices.matrix_RN @ point <= simplices.limits_R).all()
    np.testing.assert_allclose(simplices.nearest(point), point, atol=1e-15)


def test_the_least_possible_limit_leaves_one_point():
    simplices, rng = instance(4)
    parts = np.split(simplices.matrix_RN[0], np.cumsum(SIZES)[:-1])
    tight = Simplices(SIZES, simplices.matrix_RN, np.array([sum(part.min() for part in parts)]))
    cheapest = np.concatenate([part == part.min() for part in parts]).astype(float)
    np.testing.assert_allclose(tight.minimise(rng.normal(size=NUM)), cheapest, atol=1e-9)
    np.testing.assert_allclose(tight.nearest(np.full(NUM, 0.3)), cheapest, atol=1e-9)


@pytest.mark.parametrize("constant", [False, True])
def test_rows_that_nothing_keeps(constant):
    matrix = np.ones((1, NUM)) if constant else instance(5)[0].matrix_RN
    least = sum(part.min() for part in np.split(matrix[0], np.cumsum(SIZES)[:-1]))
    impossible = Simplices(SIZES, matrix, np.array([least - 1e-3]))
    assert impossible.minimise(np.ones(NUM)) is None
    assert impossible.nearest(np.full(NUM, 0.3)) is None
