"""The figures hold the numbers they were given."""

import dataclasses

import pytest

from hwnas.report import BlockTime, BudgetRow, ExpectedCost
from hwnas.report.figures import (
    agreement_figure,
    entropy_figure,
    expected_cost_figure,
    front_figure,
    score_figure,
    time_figure,
)

from .examples import HOSTILE, finished_search

DATA = finished_search()


def test_the_score_has_a_trace_for_each_kind_and_the_budget_line() -> None:
    figure = score_figure(DATA)
    assert [trace["name"] for trace in figure["data"]] == ["evaluated", "rivals", "chosen"]
    assert figure["data"][0]["y"] == [network.score for network in DATA.evaluated]
    assert figure["layout"]["shapes"][0]["x0"] == 5.0
    assert figure["layout"]["annotations"][0]["text"] == "budget 5 ms"


def test_without_a_latency_budget_there_is_no_line() -> None:
    data = dataclasses.replace(DATA, budgets=DATA.budgets[1:])
    assert data.limit_on("latency") is None
    assert "shapes" not in score_figure(data)["layout"]


def test_the_front_marks_the_choice_at_its_certified_utility() -> None:
    front, chosen = front_figure(DATA)["data"]
    assert front["x"] == [point.cost for point in DATA.front]
    assert DATA.certificate is not None
    assert (chosen["x"], chosen["y"]) == ([4.81], [DATA.certificate.objective])
    assert len(front_figure(dataclasses.replace(DATA, certificate=None))["data"]) == 1


def test_agreement_pairs_predictions_with_measurements() -> None:
    equal, calibration, chosen = agreement_figure(DATA)["data"]
    assert equal["x"] == equal["y"]
    assert calibration["y"] == [network.measured_ms for network in DATA.calibration]
    assert (chosen["x"], chosen["y"]) == ([4.81], [4.87])


def test_time_has_a_bar_a_block_in_running_order() -> None:
    figure = time_figure(DATA.blocks)
    assert figure["data"][0]["x"] == [block.latency_ms for block in DATA.blocks]
    assert figure["layout"]["yaxis"]["autorange"] == "reversed"


def test_blocks_that_take_no_time_are_no_division_by_zero() -> None:
    block = BlockTime(stage="s", name="n", option="skip", latency_ms=0.0)
    assert "0.0 %" in time_figure([block])["data"][0]["text"][0]


@pytest.mark.parametrize("make", [score_figure, front_figure, agreement_figure])
def test_labels_are_escaped(make) -> None:
    assert "<img" not in str(make(finished_search(name=HOSTILE)))


def test_another_cost_has_its_own_name_unit_and_budget() -> None:
    budget = BudgetRow(profiler="macs", unit="macs", limit=5e6, predicted=4e6)
    chosen = dataclasses.replace(DATA.chosen, cost=4e6)
    figure = score_figure(
        dataclasses.replace(DATA, cost_name="macs", cost_unit="macs", budgets=(budget,), chosen=chosen)
    )
    assert figure["layout"]["xaxis"]["title"]["text"] == "predicted MACs"
    assert figure["layout"]["annotations"][0]["text"] == "budget 5 M MACs"
    assert "4 M MACs" in figure["data"][-1]["text"][0]


def test_a_score_that_is_no_accuracy_is_shown_as_it_is() -> None:
    chosen = dataclasses.replace(DATA.chosen, score=-0.0553, standard_error=0.0021)
    figure = score_figure(dataclasses.replace(DATA, score_name="minus <NME>", chosen=chosen))
    assert figure["layout"]["yaxis"]["title"]["text"] == "minus &lt;NME&gt; before fine-tuning"
    assert "tickformat" not in figure["layout"]["yaxis"]
    assert figure["data"][-1]["text"] == ["chosen<br>4.81 ms, -0.0553 ± 0.0021"]


def test_expected_costs_by_epoch_lie_beside_their_budget() -> None:
    figure = expected_cost_figure(DATA, ExpectedCost(profiler="latency", unit="ms", by_epoch=(6.0, 5.5, 4.9)))
    assert (figure["data"][0]["x"], figure["data"][0]["y"]) == ([1, 2, 3], [6.0, 5.5, 4.9])
    assert figure["data"][0]["text"][1] == "5.5 ms"
    [line] = figure["layout"]["shapes"]
    assert (line["y0"], line["y1"], line["xref"]) == (5.0, 5.0, "paper")
    assert figure["layout"]["annotations"][0]["text"] == "budget 5 ms"
    assert figure["layout"]["yaxis"]["title"]["text"] == "expected latency (ms)"


def test_expected_costs_without_a_budget_have_no_line() -> None:
    figure = expected_cost_figure(DATA, ExpectedCost(profiler="macs", unit="macs", by_epoch=(4e6,)))
    assert "shapes" not in figure["layout"]
    assert figure["layout"]["yaxis"]["title"]["text"] == "expected MACs"


def test_entropy_is_a_share_by_epoch() -> None:
    figure = entropy_figure((1.0, 0.4))
    assert (figure["data"][0]["x"], figure["data"][0]["y"]) == ([1, 2], [1.0, 0.4])
    assert figure["data"][0]["text"] == ["100.0 %", "40.0 %"]
