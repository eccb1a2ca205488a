import numpy as np
import pytest
from scipy.special import softmax

from hwnas.errors import SpaceError
from hwnas.space import Choice, Distribution, Requirement, Space

SPACE = Space([Choice("depth", (1, 2)), Choice("block", (3, 5, 7), condition=[[Requirement("depth", (2,))]])])


def test_mapping():
    distribution = Distribution(SPACE, {"block": [0.2, 0.3, 0.5], "depth": [1, 0]})
    assert list(distribution) == ["depth", "block"]
    assert len(distribution) == 2
    assert distribution["block"].tolist() == [0.2, 0.3, 0.5]
    assert distribution == Distribution(SPACE, dict(distribution))
    assert distribution != Distribution.uniform(SPACE)
    assert distribution != 3
    with pytest.raises(ValueError, match="read-only"):
        distribution["block"][0] = 1


def test_uniform_and_from_logits():
    assert Distribution.uniform(SPACE)["block"].tolist() == [1 / 3] * 3
    logits = {"depth": [1000.0, 999.0], "block": [0.1, -2.0, 3.0]}
    distribution = Distribution.from_logits(SPACE, logits)
    for name in SPACE.names:
        np.testing.assert_allclose(distribution[name], softmax(logits[name]), rtol=1e-12)


def test_sampling_has_the_probabilities_of_the_distribution():
    distribution = Distribution(SPACE, {"depth": [0.25, 0.75], "block": [0.2, 0.0, 0.8]})
    codes = distribution.sample_codes(40_000, np.random.default_rng(0))
    rows, counts = np.unique(codes, axis=0, return_counts=True)
    assert rows.tolist() == [[0, -1], [1, 0], [1, 2]]
    np.testing.assert_allclose(counts / len(codes), [0.25, 0.15, 0.6], atol=0.0125)  # five standard errors
    assert distribution.sample(np.random.default_rng(1)) in set(SPACE.enumerate())


def test_a_certain_option_is_always_drawn():
    # Float32 sums a little under 1 must not draw the option behind the last.
    distribution = Distribution(SPACE, {"depth": np.float32([0.3, 0.7]), "block": [0.99999, 0.0, 0.0]})
    codes = distribution.sample_codes(200_000, np.random.default_rng(0))
    assert set(codes[:, 1].tolist()) == {-1, 0}


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ({"depth": [0.5, 0.5]}, r"probabilities for every choice .*missing \['block'\], unknown \[\]"),
        ({"depth": [0.5, 0.5], "block": [1, 0, 0], "x": [1]}, r"missing \[\], unknown \['x'\]"),
        ({"depth": [1], "block": [1, 0, 0]}, r"probabilities of 'depth' must have the shape \(2,\); got \(1,\)"),
        ({"depth": [0.5, 0.6], "block": [1, 0, 0]}, "probabilities of 'depth' must be at least 0 and sum to 1"),
        ({"depth": [-0.5, 1.5], "block": [1, 0, 0]}, "probabilities of 'depth' must be at least 0 and sum to 1"),
        ({"depth": [float("nan"), 1], "block": [1, 0, 0]}, "probabilities of 'depth' must be at least 0 and sum to 1"),
    ],
)
def test_wrong_probabilities(probabilities, message):
    with pytest.raises(SpaceError, match=message):
        Distribution(SPACE, probabilities)


@pytest.mark.parametrize("logits", [[0.0], [0.0, float("inf")], [float("nan"), 0.0]])
def test_wrong_logits(logits):
    with pytest.raises(SpaceError, match="logits of 'depth' must be 2 finite numbers; got"):
        Distribution.from_logits(SPACE, {"depth": logits, "block": [0, 0, 0]})


def test_missing_logits():
    with pytest.raises(SpaceError, match=r"must have logits for every choice .*missing \['block'\]"):
        Distribution.from_logits(SPACE, {"depth": [0, 0]})
