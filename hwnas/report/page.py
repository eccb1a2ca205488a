"""The report: one HTML file that needs nothing beside it, for a desk and a phone, light and dark."""

from __future__ import annotations

import html
import importlib.resources
import itertools
import json
import os
import pathlib
import string
from collections.abc import Mapping, Sequence

from hwnas.cost import format_quantity
from hwnas.export import write_whole
from hwnas.report.data import BlockTime, BudgetRow, ReportData
from hwnas.report.figures import (
    Figure,
    agreement_figure,
    entropy_figure,
    expected_cost_figure,
    front_figure,
    plotly_script,
    score_figure,
    time_figure,
)
from hwnas.report.formats import format_count, format_percent, format_score, format_seconds

__all__ = ["render_report", "write_report"]


def write_report(data: ReportData, path: str | os.PathLike[str]) -> pathlib.Path:
    """Write the report of one chosen network; the file is replaced in one step, so that it is never half written.

    Returns:
        The path written.

    Raises:
        ExportError: the file cannot be written.
    """
    target = pathlib.Path(path)
    write_whole(target, render_report(data).encode())
    return target


def render_report(data: ReportData) -> str:
    """The report as HTML text. Every text in `data` is escaped: a name may hold anything."""
    figures: dict[str, Figure] = {}
    sections = [_summary(data)]
    figures["score"] = score_figure(data)
    sections.append(
        _section(
            f"{data.score_title} against {data.cost_label}",
            "Scored on data that the weights have not seen, before fine-tuning; the cost is as predicted. Nothing "
            "right of the dashed line may be returned.",
            _figure("score"),
        )
    )
    if data.front:
        figures["front"] = front_figure(data)
        sections.append(
            _section(
                "What is possible at all",
                "The exact front: under the estimated utility, no network of the space lies above this line.",
                _figure("front"),
            )
        )
    if data.calibration or data.chosen.measured_ms is not None:
        figures["agreement"] = agreement_figure(data)
        floor = "" if data.noise_floor is None else f" The device's noise floor is {format_percent(data.noise_floor)}."
        sections.append(
            _section(
                "Predicted against measured",
                f"Whole networks, exported as they are shipped and measured on the device.{floor}",
                _figure("agreement"),
            )
        )
    if data.entropy_by_epoch:
        by_epoch = {f"expected-{n}": expected_cost_figure(data, cost) for n, cost in enumerate(data.expected_costs)}
        by_epoch["entropy"] = entropy_figure(data.entropy_by_epoch)
        figures |= by_epoch
        sections.append(
            _section(
                "How the search went",
                "What networks drawn from the probabilities cost on average, and how undecided the probabilities are: "
                "100 % where all options are equally likely, 0 % where every choice is made. The network that is "
                "returned keeps the dashed budget also where the average does not.",
                "".join(_figure(name) for name in by_epoch),
            )
        )
    if data.blocks:
        figures["time"] = time_figure(data.blocks)
        sections.append(
            _section(
                "The network",
                "Block by block; the stronger the colour, the larger its share of the time.",
                _stages(data.blocks),
            )
        )
        sections.append(_section("Where the time goes", "From the latency table, one bar a block.", _figure("time")))
    sections.append(_provenance(data))
    template = string.Template(_resource("page.html"))
    return template.substitute(
        title=html.escape(data.title),
        style=_resource("page.css"),
        body="\n".join(sections),
        plotly=plotly_script(),
        figures=json.dumps(figures, allow_nan=False).replace("<", "\\u003c"),
        script=_resource("page.js"),
    )


def _summary(data: ReportData) -> str:
    kept = all(row.kept for row in data.budgets)
    verdict = (
        '<p class="verdict good">✓ Every budget is kept</p>'
        if kept
        else '<p class="verdict bad">✗ A budget is not kept</p>'
    )
    tiles: list[tuple[str, str]] = []
    name, chosen = data.score_name, data.chosen
    if data.test_score is not None:
        tiles.append((f"test {name}", format_score(data.test_score, data.test_standard_error, name=name)))
    tiles.append((f"{name} before fine-tuning", format_score(chosen.score, chosen.standard_error, name=name)))
    if data.certificate is not None:
        proof = "proven" if data.certificate.status == "optimal" else "stopped by the time limit"
        tiles.append((f"gap to the best utility ({proof})", f"{data.certificate.gap:.3g}"))
    if data.estimate is not None:
        quality = data.estimate
        tau = f"{quality.kendall_tau:.2f}"
        if quality.kendall_tau_standard_error is not None:
            tau += f" ± {quality.kendall_tau_standard_error:.2f}"
        tiles.append((f"Kendall's tau, {quality.num_held_out} held-out networks", tau))
        if quality.probability_best is not None:
            tiles.append(("probability of being the best evaluated", f"{100 * quality.probability_best:.0f} %"))
    cells = "".join(f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd></div>" for name, text in tiles)
    rows = "".join(_budget_row(row) for row in data.budgets)
    heads = "".join(
        f'<th{css} scope="col">{name}</th>'
        for name, css in (
            ("budget", ""),
            ("", ""),
            ("limit", ' class="number"'),
            ("predicted", ' class="number"'),
            ("measured", ' class="number"'),
            ("used", ' class="number wide"'),
        )
    )
    lead = f"One of {format_count(data.num_architectures)} networks of {data.space}"
    return (
        f'<header><h1>{html.escape(data.title)}</h1><p class="lead">{html.escape(lead)}</p></header>'
        f'<section>{verdict}<dl class="tiles">{cells}</dl>'
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _budget_row(row: BudgetRow) -> str:
    measured = "–" if row.measured is None else format_quantity(row.measured, row.unit)
    used = f"{100 * row.value / row.limit:.1f} %" if row.limit else "–"
    mark = (
        '<span class="good">✓<span class="wide"> kept</span></span>'
        if row.kept
        else '<span class="bad">✗<span class="wide"> over</span></span>'
    )
    numbers = (format_quantity(row.limit, row.unit), format_quantity(row.predicted, row.unit), measured)
    cells = "".join(f'<td class="number">{html.escape(text)}</td>' for text in numbers)
    cells += f'<td class="number wide">{used}</td>'
    return f'<tr><td>{html.escape(row.profiler)}</td><td class="mark">{mark}</td>{cells}</tr>'


def _stages(blocks: Sequence[BlockTime]) -> str:
    total = sum(block.latency_ms for block in blocks)
    largest = max(block.latency_ms for block in blocks)
    rows = []
    for stage, members in itertools.groupby(blocks, key=lambda block: block.stage):
        boxes = "".join(
            f'<li style="--share:{block.latency_ms / largest if largest else 0.0:.3f}">'
            f"<span>{html.escape(block.option)}</span>"
            f"<small>{format_quantity(block.latency_ms, 'ms')}, "
            f"{format_percent(block.latency_ms / total if total else 0.0)}</small></li>"
            for block in members
        )
        rows.append(f'<div class="stage"><b>{html.escape(stage)}</b><ol>{boxes}</ol></div>')
    return "".join(rows)


def _provenance(data: ReportData) -> str:
    parts = []
    if data.fingerprint is not None:
        fields = {name: str(value) for name, value in data.fingerprint.to_json().items()}
        parts.append(_details("Device and runtime", _pairs(fields)))
    if data.splits:
        splits = {row.name: f"{row.num_examples:,} examples, SHA-256 {row.sha256}" for row in data.splits}
        parts.append(_details("Data", _pairs(splits)))
    if data.seconds:
        parts.append(
            _details("Time taken", _pairs({name: format_seconds(value) for name, value in data.seconds.items()}))
        )
    parts.append(_details("Versions and seed", _pairs({"seed": str(data.seed), **data.versions})))
    if data.certificate is not None:
        certificate = data.certificate
        facts = {
            "objective": f"{certificate.objective:.6g}",
            "proven bound": f"{certificate.bound:.6g}",
            "gap": f"{certificate.gap:.3g}",
            "status": str(certificate.status),
        }
        parts.append(_details("Certificate", _pairs(facts)))
    return _section("How this was made", "What is needed to repeat it, or to doubt it.", "".join(parts))


def _section(title: str, note: str, content: str) -> str:
    return f'<section><h2>{html.escape(title)}</h2><p class="note">{html.escape(note)}</p>{content}</section>'


def _figure(name: str) -> str:
    return f'<div class="figure" id="{name}"></div>'


def _details(title: str, content: str) -> str:
    return f"<details><summary>{html.escape(title)}</summary>{content}</details>"


def _pairs(pairs: Mapping[str, str]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(text)}</td></tr>' for name, text in pairs.items()
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def _resource(name: str) -> str:
    return importlib.resources.files("hwnas.report").joinpath(name).read_text(encoding="utf-8")
