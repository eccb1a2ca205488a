import warnings

import numpy as np
import pytest
from scipy.stats import chisquare

from hwnas.cost import CostTable, Term
from hwnas.errors import ConfigError
from hwnas.space import Choice, Requirement, Space
from hwnas.train.cost_bins import CostBins


def space_and_cost():
    """Depths 1 to 4 and blocks of three widths; 1 to 12 MACs."""
    depth = Choice("depth", (1, 2, 3, 4))
    blocks = [
        Choice(f"b{i}", (1, 2, 3), condition=[[Requirement("depth", tuple(range(i + 1, 5)))]] if i else [])
        for i in range(4)
    ]
    space = Space([depth, *blocks])
    terms = [Term((block.name,), np.array([1.0, 2.0, 3.0, 0.0])) for block in blocks]
    return space, CostTable(space, 0.0, terms, unit="macs")


def test_uniform_over_bins_and_within_a_bin():
    """Against all 120 networks: 3,000 draws, by Pearson's test at 1 in 10,000."""
    space, cost = space_and_cost()
    bins = CostBins(space, cost, (3.0, 12.0), 3)  # 3 to 6, 6 to 9, 9 to 12 with both ends
    rng = np.random.default_rng(0)
    drawn = [bins.sample(rng) for _ in range(3000)]
    members = {0: [], 1: [], 2: []}
    for architecture in space.enumerate():
        if cost.value(architecture) >= 3:
            members[min(2, int((cost.value(architecture) - 3) // 3))].append(architecture)
    assert set(drawn) <= {architecture for inside in members.values() for architecture in inside}
    counts = [[drawn.count(architecture) for architecture in inside] for inside in members.values()]
    assert chisquare([sum(inside) for inside in counts]).pvalue > 1e-4
    assert all(chisquare(inside).pvalue > 1e-4 for inside in counts)
    assert len({len(inside) for inside in members.values()}) == 3  # so uniform over architectures it is not


def test_bins_that_nothing_meets_are_left_out_and_said():
    space, cost = space_and_cost()
    with pytest.warns(UserWarning, match=r"2 of the 5 bins .* left out .*: 13 MACs to 17 MACs, 17 MACs to 21"):
        bins = CostBins(space, cost, (1.0, 21.0), 5)
    rng = np.random.default_rng(0)
    values = [cost.value(bins.sample(rng)) for _ in range(600)]
    counts = np.histogram(values, [1, 5, 9, 13])[0]
    assert counts.sum() == 600
    assert chisquare(counts).pvalue > 1e-4


def test_a_bin_so_rare_that_rejection_may_miss_it():
    """One network of 65,536, which the first draws met: it is drawn half the time, and never anything outside."""
    space = Space([Choice(f"c{i}", (0, 1)) for i in range(16)])
    target = space.sample_codes(4096, np.random.default_rng(0))[0]
    terms = [Term((n,), np.append(np.eye(2)[code], 0.0)) for n, code in zip(space.names, target, strict=True)]
    cost = CostTable(space, 0.0, terms)  # how many choices are the target's
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bins = CostBins(space, cost, (14.5, 16.5), 2)
    rng = np.random.default_rng(1)
    values = [cost.value(bins.sample(rng)) for _ in range(60)]
    assert set(values) == {15.0, 16.0}
    assert 15 < values.count(16.0) < 45


def test_a_range_that_nothing_meets():
    space, cost = space_and_cost()
    with pytest.raises(
        ConfigError, match=r"random ones none has from 20 MACs to 30 MACs\. They have from 1 MACs to 12"
    ):
        CostBins(space, cost, (20.0, 30.0), 2)


def test_the_cost_of_another_space():
    _, cost = space_and_cost()
    with pytest.raises(ConfigError, match="must be over the space that is trained"):
        CostBins(Space([Choice("a", (1, 2))]), cost, (1.0, 2.0), 2)
