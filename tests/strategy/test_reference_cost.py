"""Expected costs beside their reference: units, ranges, logarithms."""

import math

import numpy as np
import pytest
import torch

from hwnas.cost import CostTable
from hwnas.errors import ConfigError
from hwnas.profiler import FlopsProfiler, PeakMemoryProfiler
from hwnas.space import Choice, Space
from hwnas.strategy.reference_cost import ReferenceCost
from tests.strategy.mixed_space import Table, expected_by_enumeration, mixed_space

SPACE = Space([Choice("op", ("small", "large"))])


def reference_cost(cost: CostTable, reference: float | None) -> ReferenceCost:
    return ReferenceCost(Table(cost), reference, option="reference", space=cost.space, strategy="some")


def two(small: float, large: float, unit: str) -> CostTable:
    return CostTable.from_options(SPACE, {"op": {"small": small, "large": large}}, unit=unit)


@pytest.mark.parametrize(
    ("unit", "standard", "factor"),
    [("s", "ms", 1e3), ("us", "ms", 1e-3), ("ms", "ms", 1), ("macs", "macs", 1), ("kB", "bytes", 1e3)],
)
def test_units_become_the_standard_ones(unit: str, standard: str, factor: float) -> None:
    made = reference_cost(two(2.0, 6.0, unit), 4.0 * factor)
    assert made.cost.unit == standard
    even = {"op": torch.tensor([0.5, 0.5], dtype=torch.float64)}
    assert made.expected(even).item() == pytest.approx(4.0 * factor, rel=1e-14)
    magnitude = made.magnitude(made.expected(even)).item()
    assert magnitude == pytest.approx(4.0 * factor * (1.0 if standard == "ms" else 1e-6), rel=1e-14)


def test_without_a_reference_it_is_the_expectation_of_uniform_probabilities() -> None:
    cost = FlopsProfiler(mixed_space()).cost
    uniform = {choice.name: np.full(choice.num_options, 1 / choice.num_options) for choice in cost.space.choices}
    assert reference_cost(cost, None).reference == pytest.approx(expected_by_enumeration(cost, uniform), rel=1e-12)


def test_logarithms_are_of_milliseconds_or_millions() -> None:
    seconds = reference_cost(two(0.020, 0.040, "s"), 20.0)
    log = seconds.log(torch.tensor(20.0), what="It", instead="that")
    assert log.item() == pytest.approx(math.log(20))
    macs = reference_cost(two(2e6, 4e6, "macs"), 3e6)
    assert macs.log(torch.tensor(3e6), what="It", instead="that").item() == pytest.approx(math.log(3))


def test_errors() -> None:
    with pytest.raises(ConfigError, match="`reference` must be a cost that the space can have, in ms: from 20 to 40; "):
        reference_cost(two(0.020, 0.040, "s"), 0.03)  # in seconds, not in the standard unit
    for wrong in (19.9, 41.0, math.nan, "30", True):
        with pytest.raises(ConfigError, match=r"from 20 to 40; got"):
            reference_cost(two(20, 40, "ms"), wrong)  # type: ignore[arg-type]
    assert reference_cost(two(20, 40, "ms"), np.array(30.0)).reference == 30.0  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"in the unit of the profiler: from 20 to 40; got 5"):
        reference_cost(two(20, 40, ""), 5)
    for end in (20, 40):
        assert reference_cost(two(20 * 1e-3, 40 * 1e-3, "s"), end).reference == end

    with pytest.raises(ConfigError, match="of some must give a cost over 0 for every architecture; the least is 0"):
        reference_cost(two(0, 40, "ms"), 20)
    other = Space([Choice("other", (1, 2))])
    with pytest.raises(ConfigError, match="The profiler of some must have a profiler of the space that is searched"):
        ReferenceCost(Table(two(1, 2, "ms")), None, option="reference", space=other, strategy="some")
    space = mixed_space()
    with pytest.raises(ConfigError, match=r"must have a `cost` that is a CostTable.*PeakMemoryProfiler is MaxTable"):
        ReferenceCost(PeakMemoryProfiler(space), None, option="reference", space=space.space, strategy="some")

    below = reference_cost(two(0.2, 4, "ms"), 1)
    with pytest.raises(
        ConfigError, match=r"Its cost must be above 1 ms for its logarithm to be over 0; it is 1 ms. Use "
    ):
        below.log(torch.tensor(1.0), what="Its cost", instead="that")
    count = reference_cost(two(2e5, 4e5, "macs"), 3e5)
    with pytest.raises(ConfigError, match=r"must be above 1 M MACs for .* it is 300 k MACs. Use that"):
        count.log(torch.tensor(3e5), what="It", instead="that")
    joules = reference_cost(two(2, 4, "joule"), 3)
    with pytest.raises(ConfigError, match="'joule' is none of time, bytes or counts"):
        joules.magnitude(torch.tensor(3.0))
