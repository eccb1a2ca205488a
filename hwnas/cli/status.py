"""`hwnas status`: how far a run is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli.console import print_json, print_line, print_table
from hwnas.cli.options import Json

if TYPE_CHECKING:
    from hwnas.experiment.recorded import RecordedExperiment, RecordedRun

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "hwnas status runs/mine"

_NUM_FAILURES = 3


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of an experiment or of a search.")],
    json: Json = False,
) -> None:
    """Say how far an experiment or a search is: trials by what became of them, the best, time; the last failures.

    Reading disturbs nobody: it works while a process runs it, and after that was killed.
    """
    from hwnas.experiment.recorded import read_run

    recorded = read_run(run)
    if json:
        print_json(_as_json(recorded))
    else:
        _print(recorded)


def _as_json(run: RecordedRun) -> dict[str, Any]:
    return {
        "run": str(run.directory),
        "writer": run.writer,
        "phase": run.phase or None,
        "phase_seconds": dict(run.phase_seconds),
        "networks": list(run.networks),
        "studies": [_study_as_json(study) for study in run.studies],
    }


def _study_as_json(study: RecordedExperiment) -> dict[str, Any]:
    status = study.status
    return {
        "name": study.study,
        "complete": status.num_complete,
        "running": status.num_running,
        "failed": status.num_failed,
        "stopped": status.num_stopped,
        "refused": status.num_refused,
        "max_trials": status.max_trials,
        "finished": status.has_finished,
        "best": None if status.best is None else status.best.to_json(),
        "hypervolume": status.hypervolume if len(study.metrics) > 1 else None,
        "seconds_elapsed": status.seconds_elapsed,
        "seconds_left": status.seconds_left,
        "failures": [
            {"trial": trial.number, "attempts": trial.attempts, "error": trial.error}
            for trial in study.failures[:_NUM_FAILURES]
        ],
    }


def _print(run: RecordedRun) -> None:
    from hwnas.report.formats import format_seconds

    print_line(f"{run.directory}: {_who(run)}")
    if run.phase_seconds:
        print_line(", ".join(f"{name} {format_seconds(seconds)}" for name, seconds in run.phase_seconds.items()))
    if not run.studies:
        print_line("No trial was begun so far.")
    else:
        _print_studies(run.studies)
    for study in run.studies:
        if study.status.best is not None:
            best = study.status.best
            named = dict.fromkeys([*(metric.name for metric in study.metrics), *best.metrics])
            values = ", ".join(f"{name} {best.metrics[name]:.6g}" for name in named)
            print_line(f"best of {study.study}: {values} (trial {best.number}, {best.architecture.uid[:12]})")
    for study in run.studies:
        for trial in study.failures[:_NUM_FAILURES]:
            print_line(f"trial {trial.number} of {study.study} failed: {trial.error}")


def _print_studies(studies: tuple[RecordedExperiment, ...]) -> None:
    from hwnas.report.formats import format_seconds

    several = any(len(study.metrics) > 1 for study in studies)
    rows = []
    for study in studies:
        status = study.status
        left = status.seconds_left
        rows.append(
            (
                study.study,
                str(status.num_complete),
                str(status.num_running),
                str(status.num_failed),
                str(status.num_stopped),
                str(status.num_refused),
                "-" if status.num_planned is None else str(status.num_planned),
                *([f"{status.hypervolume:.6g}" if status.hypervolume is not None else "-"] if several else []),
                format_seconds(status.seconds_elapsed),
                "-" if left is None else format_seconds(left),
            )
        )
    columns = ("trials", "done", "running", "failed", "stopped", "refused", "of")
    print_table((*columns, *(["hypervolume"] if several else []), "time", "left"), rows)


def _who(run: RecordedRun) -> str:
    """Whether a process is at it, and otherwise what the same command would go on with."""
    at = f", at {run.phase!r}" if run.phase else ""
    if run.writer is not None:
        return f"process {run.writer} is working on it{at}."
    if run.networks:
        return f"finished; its networks are in {', '.join(str(run.directory / name) for name in run.networks)}."
    if not at and run.studies and all(study.status.has_finished for study in run.studies):
        return "no process is working on it; the strategy has finished, it proposes nothing more."
    num_running = sum(study.status.num_running for study in run.studies)
    if not num_running:
        return f"no process is working on it; the last one ended{at}." if at else "no process is working on it."
    trials = "1 trial was" if num_running == 1 else f"{num_running} trials were"
    return f"no process is working on it; {trials} running when the last one ended, to be tried again."
