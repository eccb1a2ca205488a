import math

import numpy as np
import pytest

from hwnas.device.statistics import baseline_ms, between_rounds, ratios, standard_error, summarise, visit_ratio
from hwnas.store import Visit


def visit(samples, references=None, *, steady=None, number=0):
    count = len(samples)
    return Visit(
        key="a",
        round=number,
        kind="block",
        samples_ms=tuple(samples),
        references_ms=tuple(references or [2.0] * count),
        steady=tuple([True] * count if steady is None else steady),
    )


def test_only_steady_samples_count_unless_there_are_hardly_any():
    samples, references = [1.0, 2.0, 3.0, 9.0], [1.0, 2.0, 2.0, 1.0]
    np.testing.assert_allclose(ratios(visit(samples, references, steady=[True, True, True, False])), [1, 1, 1.5])
    np.testing.assert_allclose(ratios(visit(samples, references, steady=[True, True, False, False])), [1, 1, 1.5, 9])


def test_every_visit_counts_the_same_for_the_baseline():
    assert baseline_ms([visit([1] * 9, [2.0] * 9), visit([1], [3.0]), visit([1], [4.0])]) == 3.0


def test_a_summary_by_hand():
    visits = [visit([1.0, 1.1, 1.2], [1.0, 1.0, 1.0]), visit([2.6, 2.8, 3.0], [2.0, 2.0, 2.0], number=1)]
    result = summarise(visits, 10.0)  # ratios 1.0, 1.1, 1.2, 1.3, 1.4, 1.5
    assert result.key == "a"
    assert result.median_ms == pytest.approx(12.5)
    assert result.raw_median_ms == pytest.approx(1.9)
    assert (result.p10_ms, result.p90_ms) == pytest.approx((10.5, 14.5))
    assert result.mad_ms == pytest.approx(1.5)
    assert (result.num_samples, result.num_rounds) == (6, 2)
    between = math.log(1.4 / 1.1) / math.sqrt(2) / math.sqrt(2)  # standard deviation of two numbers, over sqrt 2
    assert result.standard_error_ms == pytest.approx(12.5 * max(between, standard_error([visits[0]]) / math.sqrt(2)))


def test_the_standard_error_of_one_visit_is_that_of_a_normal_median():
    rng = np.random.default_rng(0)
    medians = [np.median(np.exp(0.02 * rng.standard_normal(101))) for _ in range(2000)]
    estimate = np.median(
        [standard_error([visit(np.exp(0.02 * rng.standard_normal(101)), [1.0] * 101)]) for _ in range(99)]
    )
    assert estimate == pytest.approx(np.std(medians), rel=0.1)


def test_rounds_that_agree_have_no_excess():
    rng = np.random.default_rng(0)

    def round_at(level, number):
        return visit(level * np.exp(0.01 * rng.standard_normal(50)), [1.0] * 50, number=number)

    still = [[round_at(1.0, number) for number in range(3)] for _ in range(20)]
    assert between_rounds(still) < 0.002
    moving = [[round_at(level, number) for number, level in enumerate((0.95, 1.0, 1.05))] for _ in range(20)]
    assert between_rounds(moving) == pytest.approx(0.05, rel=0.1)
    assert between_rounds([still[0][:1]]) == 0
    assert visit_ratio(still[0][0]) == pytest.approx(1, rel=0.01)
