import numpy as np
import pytest
from scipy.stats import ttest_rel

from hwnas.strategy.paired import bootstrap_probability_best, paired_difference


def test_paired_difference_agrees_with_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(size=500) < 0.7, rng.uniform(size=500) < 0.6
    difference, error = paired_difference(a, b)
    assert difference == pytest.approx(a.mean() - b.mean())
    assert difference / error == pytest.approx(ttest_rel(a.astype(float), b.astype(float)).statistic)


def test_probability_of_being_best():
    rng = np.random.default_rng(0)
    same = rng.uniform(size=400) < 0.5
    assert bootstrap_probability_best([same, same], 0) == pytest.approx(0.5)
    better = same | (rng.uniform(size=400) < 0.5)
    assert bootstrap_probability_best([same, better], 1) == pytest.approx(1.0)
    assert bootstrap_probability_best([same, better], 0) == pytest.approx(0.0)
