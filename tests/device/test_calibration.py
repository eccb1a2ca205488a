import numpy as np
import pytest

from hwnas.device import calibrated
from hwnas.errors import BadInputError

RNG = np.random.default_rng(0)
SUMS = RNG.uniform(5, 10, 16)
COUNTS = RNG.integers(5, 20, 16)


def test_an_exact_line_is_found():
    fit = calibrated(SUMS, COUNTS, 0.3 + 0.9 * SUMS, most_isolation_ms=0.1)
    assert fit.intercept_ms == pytest.approx(0.3)
    assert fit.slope == pytest.approx(0.9)
    assert fit.isolation_ms == pytest.approx(0, abs=1e-9)
    assert fit.r2 == pytest.approx(1)
    assert fit.max_relative_error == pytest.approx(0, abs=1e-9)
    assert fit.num_networks == 16


def test_relative_errors_are_what_is_least():
    """The normal equations of weighted least squares, solved by hand for a line through (1, 1), (2, 2), (10, 12)."""
    x, y = np.array([1.0, 2.0, 10.0]), np.array([1.0, 2.0, 12.0])
    w = 1 / y**2
    xm, ym = np.average(x, weights=w), np.average(y, weights=w)
    slope = np.sum(w * (x - xm) * (y - ym)) / np.sum(w * (x - xm) ** 2)
    fit = calibrated(x, [1, 1, 1], y)
    assert fit.slope == pytest.approx(slope)
    assert fit.intercept_ms == pytest.approx(ym - slope * xm)


def test_what_blocks_pay_for_being_alone_is_found():
    fit = calibrated(SUMS, COUNTS, 0.1 + 1.1 * (SUMS - 0.05 * COUNTS), most_isolation_ms=0.2)
    assert (fit.isolation_ms, fit.slope, fit.intercept_ms) == pytest.approx((0.05, 1.1, 0.1))


def test_no_block_pays_more_than_the_cheapest_takes():
    fit = calibrated(SUMS, COUNTS, 0.1 + 1.1 * (SUMS - 0.05 * COUNTS), most_isolation_ms=0.02)
    assert fit.isolation_ms == 0.02


@pytest.mark.parametrize("counts", [np.full(16, 9), np.arange(16)])
def test_noise_is_not_taken_for_isolation(counts):
    noisy = (0.3 + 0.9 * SUMS) * np.exp(0.01 * np.random.default_rng(1).standard_normal(16))
    fit = calibrated(SUMS, counts, noisy, most_isolation_ms=0.01)
    assert fit.slope == pytest.approx(0.9, rel=0.05)
    assert fit.max_relative_error < 0.04


@pytest.mark.parametrize(("sums", "latencies"), [([2, 2, 2], [1.0, 1.1, 0.9]), ([1, 2, 3], [3.0, 2.0, 1.0])])
def test_without_a_rising_line_the_fit_is_through_the_origin(sums, latencies):
    fit = calibrated(sums, [1, 1, 1], latencies)
    assert fit.intercept_ms == 0
    assert fit.slope > 0


def test_equal_latencies():
    assert calibrated([2, 2, 2], [1, 1, 1], [1.0, 1.0, 1.0]).r2 == 1


def test_two_networks_are_too_few():
    with pytest.raises(BadInputError, match="at least 3 different networks; got 2"):
        calibrated([1, 2], [1, 1], [1, 2])
