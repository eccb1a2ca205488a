import pytest

from hwnas.cost import Budget, CostTable, parse_budget
from hwnas.errors import BudgetError
from hwnas.experiment.budgets import Profilers, budget_sets, resolve, slug
from hwnas.space import Choice, Space
from tests.experiment.examples import tiny_space


def unmeasured():
    raise BudgetError("A budget on latency needs a device")


def test_relative_and_absolute_budgets():
    profilers = Profilers(tiny_space(), unmeasured)
    largest = profilers["macs"].max()
    assert resolve(parse_budget("macs<=60%"), profilers).limit == pytest.approx(0.6 * largest)
    assert resolve(parse_budget("params<=4M"), profilers).limit == 4e6
    assert resolve(parse_budget("memory<=8MB"), profilers).unit == "bytes"
    with pytest.raises(BudgetError, match="needs a device"):
        resolve(parse_budget("latency<=5ms"), profilers)
    with pytest.raises(BudgetError, match="Nothing is called 'energy'; known are latency, macs"):
        profilers["energy"]


def test_several_limits_on_one_quantity_are_several_networks():
    profilers = Profilers(tiny_space(), unmeasured)
    budgets = [resolve(parse_budget(t), profilers) for t in ("macs<=1M", "macs<=2M", "params<=4k", "macs<=2M")]
    sets = budget_sets(budgets)
    assert [[b.limit for b in one] for one in sets] == [[1e6, 4e3], [2e6, 4e3]]
    assert len({slug(one) for one in sets}) == 2
    assert budget_sets([]) == [()]
    assert slug(()) == "no-budget"
    assert all(c.isalnum() or c in ".-_" for c in slug(sets[0]))


def test_microseconds_keep_their_unit_in_the_name_of_a_folder() -> None:
    space = Space([Choice("a", (0, 1))])
    assert slug([Budget("latency", 0.07091, "ms", CostTable(space, 0.0, ()))]) == "latency-70.91us"
