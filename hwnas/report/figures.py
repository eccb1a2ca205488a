"""The report's charts, each a pure function from records to a plotly.js figure (`data` and `layout` as plain JSON).

A colour is written as a role, "@chosen"; the page replaces it by the colour of that role in the light or the dark
theme when it draws. Text that comes from outside is escaped here, since plotly.js reads markup in labels.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Literal

from hwnas.cost import format_quantity
from hwnas.report.data import BlockTime, ExpectedCost, Network, ReportData, label_of
from hwnas.report.formats import format_percent, format_score, is_fraction

__all__ = [
    "Figure",
    "agreement_figure",
    "entropy_figure",
    "expected_cost_figure",
    "front_figure",
    "plotly_script",
    "score_figure",
    "time_figure",
]

Figure = dict[str, Any]

_PIXELS_PER_BAR = 22
_PIXELS_AROUND_BARS = 90
_LOW = {"height": 260, "showlegend": False}


def score_figure(data: ReportData) -> Figure:
    """The task's score against predicted cost: what was evaluated, the rivals, the choice, the budget line."""
    traces = []
    if data.evaluated:
        traces.append(_points(data, data.evaluated, name="evaluated", color="@muted", size=6, opacity=0.55))
    if data.rivals:
        rivals = _points(data, data.rivals, name="rivals", color="@rival", size=10, symbol="diamond")
        traces.append(rivals | _error_bars(data.rivals, color="@rival"))
    chosen = _points(data, (data.chosen,), name="chosen", color="@chosen", size=16, symbol="star")
    traces.append(chosen | _error_bars((data.chosen,), color="@chosen"))
    layout = _layout(x=_cost_title(data), y=html.escape(f"{data.score_name} before fine-tuning"))
    if is_fraction(data.score_name):
        layout["yaxis"]["tickformat"] = ".1~%"
    return {"data": traces, "layout": layout | _budget_line(data.limit_on(data.cost_name), data.cost_unit)}


def front_figure(data: ReportData) -> Figure:
    """The exact front: the most utility that is possible within every cost, and the budget line."""
    front = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "best possible",
        "x": [point.cost for point in data.front],
        "y": [point.utility for point in data.front],
        "line": {"color": "@front", "width": 2, "shape": "hv"},
        "marker": {"color": "@front", "size": 5},
        "hovertemplate": "%{x:.4~s}, %{y:.4g}<extra></extra>",
    }
    traces = [front]
    if data.certificate is not None:
        chosen = {
            "type": "scatter",
            "mode": "markers",
            "name": "chosen",
            "x": [data.chosen.cost],
            "y": [data.certificate.objective],
            "marker": {"color": "@chosen", "size": 16, "symbol": "star"},
            "hovertemplate": "%{x:.4~s}, %{y:.4g}<extra>chosen</extra>",
        }
        traces.append(chosen)
    layout = _layout(x=_cost_title(data), y=html.escape(data.utility_label))
    return {"data": traces, "layout": layout | _budget_line(data.limit_on(data.cost_name), data.cost_unit)}


def agreement_figure(data: ReportData) -> Figure:
    """Measured against predicted latency of whole networks, around the line where they are equal."""
    measured = [network for network in data.calibration if network.measured_ms is not None]
    chosen = [data.chosen] if data.chosen.measured_ms is not None else []
    values = [value for network in (*measured, *chosen) for value in (network.cost, network.measured_ms or 0.0)]
    low, high = (0.95 * min(values), 1.05 * max(values)) if values else (0.0, 1.0)
    identity = {
        "type": "scatter",
        "mode": "lines",
        "name": "equal",
        "x": [low, high],
        "y": [low, high],
        "line": {"color": "@muted", "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
    }
    traces = [identity]
    for networks, name, color, size, symbol in (
        (measured, "calibration", "@front", 8, "circle"),
        (chosen, "chosen", "@chosen", 16, "star"),
    ):
        if networks:
            trace = _points(data, networks, name=name, color=color, size=size, symbol=symbol)
            trace["y"] = [network.measured_ms for network in networks]
            trace["text"] = [
                f"{html.escape(network.name)}<br>predicted {format_quantity(network.cost, 'ms')}"
                f"<br>measured {format_quantity(network.measured_ms or 0.0, 'ms')}"
                for network in networks
            ]
            traces.append(trace)
    return {"data": traces, "layout": _layout(x="predicted latency (ms)", y="measured latency (ms)")}


def time_figure(blocks: Sequence[BlockTime]) -> Figure:
    """Milliseconds of every block of the chosen network, the first block on top."""
    labels = [f"{html.escape(block.name)}  " for block in blocks]
    total = sum(block.latency_ms for block in blocks)
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [block.latency_ms for block in blocks],
        "y": list(range(len(blocks))),
        "marker": {"color": "@front"},
        "text": [
            f"{html.escape(block.name)}: {html.escape(block.option)}<br>{format_quantity(block.latency_ms, 'ms')}, "
            f"{format_percent(block.latency_ms / total if total else 0.0)}"
            for block in blocks
        ],
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
    }
    layout = _layout(x="time (ms)", y="")
    layout["yaxis"] |= {
        "autorange": "reversed",
        "tickmode": "array",
        "tickvals": list(range(len(blocks))),
        "ticktext": labels,
        "showgrid": False,
    }
    layout |= {"height": _PIXELS_AROUND_BARS + _PIXELS_PER_BAR * len(blocks), "showlegend": False, "bargap": 0.25}
    return {"data": [bars], "layout": layout}


def expected_cost_figure(data: ReportData, cost: ExpectedCost) -> Figure:
    """What networks drawn from the probabilities cost on average, epoch by epoch, and the budget line."""
    layout = _layout(x="epoch", y=html.escape(f"expected {label_of(cost.profiler)}{_unit(cost.unit)}"))
    layout |= _budget_line(data.limit_on(cost.profiler), cost.unit, along="y")
    return {
        "data": [_by_epoch(cost.by_epoch, [format_quantity(value, cost.unit) for value in cost.by_epoch])],
        "layout": layout | _LOW,
    }


def entropy_figure(by_epoch: Sequence[float]) -> Figure:
    """How undecided the probabilities are, epoch by epoch."""
    layout = _layout(x="epoch", y="entropy of the probabilities")
    layout["yaxis"] |= {"range": [0, 1.02], "tickformat": ".0%"}
    return {"data": [_by_epoch(by_epoch, [format_percent(value) for value in by_epoch])], "layout": layout | _LOW}


def plotly_script() -> str:
    """The source of plotly.js, to be put into the page."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _points(
    data: ReportData,
    networks: Sequence[Network],
    *,
    name: str,
    color: str,
    size: int,
    symbol: str = "circle",
    opacity: float = 1.0,
) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [network.cost for network in networks],
        "y": [network.score for network in networks],
        "text": [
            f"{html.escape(network.name)}<br>{format_quantity(network.cost, data.cost_unit)}, "
            f"{format_score(network.score, network.standard_error, name=data.score_name)}"
            for network in networks
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": color, "size": size, "symbol": symbol, "opacity": opacity},
    }


def _by_epoch(values: Sequence[float], texts: Sequence[str]) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": list(range(1, len(values) + 1)),
        "y": list(values),
        "line": {"color": "@front", "width": 2},
        "marker": {"color": "@front", "size": 5},
        "text": [html.escape(text) for text in texts],
        "hovertemplate": "epoch %{x}: %{text}<extra></extra>",
    }


def _cost_title(data: ReportData) -> str:
    return html.escape(f"predicted {data.cost_label}{_unit(data.cost_unit)}")


def _unit(unit: str) -> str:
    return f" ({unit})" if unit in ("ms", "bytes") else ""


def _budget_line(limit: float | None, unit: str, *, along: Literal["x", "y"] = "x") -> Figure:
    """A dashed line at the limit of the quantity on the axis `along`; nothing where there is no limit."""
    if limit is None:
        return {}
    across = "y" if along == "x" else "x"
    line = {"type": "line", f"{along}0": limit, f"{along}1": limit}
    line |= {f"{across}ref": "paper", f"{across}0": 0, f"{across}1": 1}
    note = {"text": f"budget {format_quantity(limit, unit)}", along: limit, f"{across}ref": "paper", across: 0.01}
    place: Figure = {"xanchor": "right" if along == "x" else "left", "yanchor": "bottom", "showarrow": False}
    place |= {"font": {"color": "@limit"}}
    return {
        "shapes": [line | {"line": {"color": "@limit", "width": 2, "dash": "dash"}}],
        "annotations": [note | place],
    }


def _error_bars(networks: Sequence[Network], *, color: str) -> Figure:
    if all(network.standard_error is None for network in networks):
        return {}
    errors = [network.standard_error or 0.0 for network in networks]
    return {"error_y": {"type": "data", "array": errors, "color": color, "thickness": 1.5, "width": 4}}


def _layout(*, x: str, y: str) -> Figure:
    axis = {"gridcolor": "@grid", "zeroline": False, "linecolor": "@grid", "automargin": True}
    return {
        "xaxis": axis | {"title": {"text": x, "standoff": 8}},
        "yaxis": axis | {"title": {"text": y}},
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "@text"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 56, "r": 16, "t": 16, "b": 48},
        "legend": {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"},
        "hoverlabel": {"bgcolor": "@surface", "bordercolor": "@grid", "font": {"color": "@text"}},
        "height": 420,
    }
