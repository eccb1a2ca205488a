"""`hwnas top`: the best architectures of a run."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.console import print_json, print_line, print_note, print_table
from hwnas.cli.options import Json
from hwnas.errors import RunDirectoryError

if TYPE_CHECKING:
    from hwnas.experiment.standings import Found

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "hwnas top runs/mine -k 5"


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of an experiment or of a search.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many.")] = 10,
    study: Annotated[str | None, typer.Option(help="Which search of the run; the first if not given.")] = None,
    json: Json = False,
) -> None:
    """List the best architectures of an experiment or a search so far, the best first, with metrics and costs.

    Those within all limits of metrics come first, then the score decides. Reading disturbs nobody.
    """
    from hwnas.experiment.recorded import read_experiment

    recorded = read_experiment(run, study)
    top = recorded.top(k)
    if not top:
        ended = recorded.status
        raise RunDirectoryError(
            f"No trial of {recorded.study!r} in {run} is complete: {ended.num_running} running, {ended.num_failed} "
            f"failed, {ended.num_stopped} stopped, {ended.num_refused} refused. What went wrong: hwnas status {run}."
        )
    if json:
        metrics = [{"name": m.name, "direction": m.direction, "limit": m.limit} for m in recorded.metrics]
        content = [one.to_json() for one in top]
        print_json({"run": str(run), "study": recorded.study, "metrics": metrics, "top": content})
        return
    _print(top, wanted=[metric.name for metric in recorded.metrics])
    if recorded.others and study is None:
        print_note(f"These are of {recorded.study!r}; with --study also of {', '.join(map(repr, recorded.others))}.")


def _print(top: list[Found], *, wanted: list[str]) -> None:
    given = {name for one in top for name in one.metrics}
    metrics = [name for name in wanted if name in given] + sorted(given - set(wanted))
    costs = [name for name in top[0].costs if name not in given]
    beyond = any(one.violation for one in top)
    several = len({one.fidelity for one in top}) > 1
    rows = [
        (
            one.architecture.uid[:12],
            str(one.number),
            *(f"{one.metrics[name]:.6g}" if name in one.metrics else "-" for name in metrics),
            *(f"{one.costs[name]:.6g}" for name in costs),
            *([f"{one.violation:.3g}" if one.violation else "-"] if beyond else []),
            *([one.fidelity] if several else []),
        )
        for one in top
    ]
    names = [*metrics, *costs, *(["over limits"] if beyond else []), *(["scored"] if several else [])]
    print_table(("architecture", "trial", *names), rows)
    print_line(f"the first: {json_module.dumps(top[0].architecture.to_json())}")
