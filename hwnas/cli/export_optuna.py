"""`hwnas export-optuna`: a run's trials as a study of Optuna."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.console import print_json, print_line
from hwnas.cli.options import Json

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "hwnas export-optuna runs/mine sqlite:///trials.db"


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of an experiment or of a search.")],
    storage: Annotated[str, typer.Argument(metavar="STORAGE", help="Optuna's URL, as in sqlite:///trials.db.")],
    study_name: Annotated[str | None, typer.Option(help="In the storage; the folder's name if not given.")] = None,
    study: Annotated[str | None, typer.Option(help="Which search of the run; the first if not given.")] = None,
    json: Json = False,
) -> None:
    """Write the trials of an experiment or a search as a study of Optuna, for its dashboard for example.

    Budgets and limits of metrics are constraints there. Given again, it adds the trials that have ended since; reading
    disturbs nobody.
    """
    from hwnas.experiment.optuna_study import export_optuna

    written = export_optuna(run, storage, study_name=study_name, search=study)
    if json:
        print_json({"study": written.name, "num_added": written.num_added, "num_trials": written.num_trials})
    else:
        print_line(f"{written.name}: {written.num_added} trials added, {written.num_trials} altogether")
