"""`hwnas search`: from a configuration to networks that keep their budgets."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli.console import print_json, print_line, print_table, progress_bars
from hwnas.cli.options import Config, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.experiment.config import SearchConfig
    from hwnas.experiment.result import BudgetResult, SearchResult

__all__ = ["EXAMPLE", "command", "print_budgets", "print_results", "run_search"]

EXAMPLE = "hwnas search config.toml --budget 'latency<=5ms' --budget 'params<=4M' --out runs/mine"


def command(
    config: Config,
    budget: Annotated[
        list[str] | None,
        typer.Option(help="A budget in quotes, instead of the configuration's; several of a kind, several networks."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME for NAME.toml if not given.")] = None,
    executor: Annotated[
        str | None,
        typer.Option(help="What runs trials: inline, processes or ray; if not given, as CONFIG says under trials."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Of the Ray cluster; auto for the one this machine is in.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(help="Trials at a time.")] = None,
    json: Json = False,
) -> None:
    """Find, train, export and verify a network for every set of budgets; the same command goes on where it was."""
    from hwnas.experiment.config import read_config

    read = read_config(config)
    if budget:
        read = dataclasses.replace(read, budgets=tuple(budget))
    given = {"executor": executor, "address": address, "concurrency": concurrency}
    flags: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    read = dataclasses.replace(read, trials=dataclasses.replace(read.trials, **flags))
    run_search(read, out or Path("runs") / config.stem, title="", json=json)


def run_search(config: SearchConfig, out: Path, *, title: str, json: bool) -> None:
    """Run a configuration with progress on stderr and say what came of it."""
    from hwnas.experiment.configured import search_configured

    with progress_bars() as show:
        results = search_configured(
            config,
            out,
            title=title,
            progress=lambda advance: show(advance.phase, advance.done, advance.total, advance.detail),
        )
    if json:
        print_json({"run": str(out), "results": [r.to_json() | {"directory": str(r.directory)} for r in results]})
    else:
        print_results(results)


def print_results(results: Sequence[SearchResult]) -> None:
    """Print what every search came to: its budgets, the test score, the proof, the files."""
    from hwnas.report.formats import format_score

    for result in results:
        if result.budgets:
            print_budgets(result.budgets)
        score = format_score(result.test_accuracy, result.test_standard_error, name=result.score_name)
        print_line(f"test {result.score_name} {score}")
        if result.certificate is not None:
            print_line(f"gap to the best possible utility: {result.certificate.gap:.3g} ({result.certificate.status})")
        if result.architecture_string is not None:
            print_line(f"architecture: {result.architecture_string}")
        print_line(f"network: {result.directory / 'network.onnx'}, report: {result.directory / 'report.html'}")


def print_budgets(budgets: Sequence[BudgetResult]) -> None:
    """Print the budgets of a network: limits, predictions, measurements."""
    from hwnas.cost import format_quantity

    print_table(
        ("budget", "limit", "predicted", "measured", "kept"),
        [
            (
                row.profiler,
                format_quantity(row.limit, row.unit),
                format_quantity(row.predicted, row.unit),
                format_quantity(row.measured, row.unit),
                "yes" if row.kept else "NO",
            )
            for row in budgets
        ],
    )
