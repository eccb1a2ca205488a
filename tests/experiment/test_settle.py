import dataclasses

import pytest

from hwnas.cost import Budget
from hwnas.errors import InfeasibleError
from hwnas.experiment.settle import MAX_ATTEMPTS, Measured, settle
from hwnas.solve import maximise
from hwnas.strategy import Derived
from tests.strategy.planted import budget_at, planted_space, random_table

SPACE = planted_space(2)
UTILITY = random_table(SPACE, 1, positive=False)
LATENCY = random_table(SPACE, 2, positive=True)


def derive(budgets):
    return Derived(architecture=maximise(UTILITY, budgets).architecture)


def device(factor, calls=None):
    """Measures `factor` times what is predicted, with an upper bound 1 % above."""

    def measure(architecture):
        if calls is not None:
            calls.append(architecture)
        value = factor * LATENCY.value(architecture)
        return {"latency": Measured(value=value, upper=value * 1.01)}

    return measure


def test_right_predictions_need_one_attempt():
    budget = budget_at(SPACE, LATENCY, 0.5)
    attempt = settle(derive, device(0.98), [budget])
    assert attempt.number == 1
    assert attempt.derived.architecture == derive([budget]).architecture
    assert attempt.broken([budget]) == []


def test_a_slow_device_tightens_until_the_budget_is_kept():
    budget = budget_at(SPACE, LATENCY, 0.6)
    calls = []
    attempt = settle(derive, device(1.2, calls), [budget])
    assert attempt.measured["latency"].upper <= budget.limit
    assert attempt.number == len(calls) == len(set(calls)) > 1
    tight = dataclasses.replace(budget, limit=budget.limit / 1.2 / 1.01)
    best = UTILITY.value(derive([tight]).architecture)
    assert UTILITY.value(attempt.derived.architecture) <= best
    assert UTILITY.value(attempt.derived.architecture) > best - 3.0


def test_the_margin_is_kept_free_and_given_up_when_nothing_fits():
    budget = budget_at(SPACE, LATENCY, 0.5)
    attempt = settle(derive, device(1.0), [budget], margins={"latency": 0.1})
    assert attempt.predicted["latency"] <= 0.9 * budget.limit
    tightest = Budget("latency", LATENCY.minimum().value, "ms", LATENCY)
    attempt = settle(derive, device(0.9), [tightest], margins={"latency": 0.1})
    assert attempt.predicted["latency"] == pytest.approx(tightest.limit)


def test_measured_over_budget_with_nothing_cheaper():
    tightest = Budget("latency", LATENCY.minimum().value, "ms", LATENCY)
    with pytest.raises(InfeasibleError, match=r"none keeps the budgets as measured.*closest has latency") as caught:
        settle(derive, device(1.3), [tightest])
    assert caught.value.least["latency"] == pytest.approx(1.3 * tightest.limit)


def test_infeasible_by_prediction_is_said_as_such():
    impossible = Budget("latency", LATENCY.minimum().value / 2, "ms", LATENCY)
    with pytest.raises(InfeasibleError, match="least achievable"):
        settle(derive, device(1.0), [impossible])


def test_a_device_that_answers_anything_stops():
    budget = budget_at(SPACE, LATENCY, 1.0)
    barely_over = budget.limit * (1 + 1e-9)
    with pytest.raises(InfeasibleError, match=f"after {MAX_ATTEMPTS} attempts"):
        settle(derive, lambda _: {"latency": Measured(value=barely_over, upper=barely_over)}, [budget])


def test_an_aim_that_was_tightened_too_far_is_raised_again():
    """The first network measures twice its prediction, all others as predicted."""
    budget = budget_at(SPACE, LATENCY, 0.7)
    first = derive([budget]).architecture

    def measure(architecture):
        value = LATENCY.value(architecture) * (2.0 if architecture == first else 1.0)
        return {"latency": Measured(value=value, upper=value * 1.01)}

    attempt = settle(derive, measure, [budget])
    assert attempt.derived.architecture != first
    assert attempt.measured["latency"].upper <= budget.limit
    halved = derive([dataclasses.replace(budget, limit=LATENCY.value(first) / 2.02)])
    assert UTILITY.value(attempt.derived.architecture) > UTILITY.value(halved.architecture)
    assert attempt.number > 2
