"""`hwnas retrain`: the network of a finished search, trained by its paper's final recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.console import print_error, print_json, print_line, progress_bars
from hwnas.cli.options import Json
from hwnas.cli.search import print_budgets
from hwnas.errors import InfeasibleError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.experiment.retraining import RetrainingResult

__all__ = ["EXAMPLE", "command", "print_results", "require_kept"]

EXAMPLE = "hwnas retrain runs/mine --epochs 100 --batch-size 64"


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a search, or of one of its results.")],
    epochs: Annotated[float | None, typer.Option(help="Passes over the images, instead of the recipe's.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images a step, instead of the recipe's; learning rates in proportion.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the result; RUN/retrain if not given.")] = None,
    inherit: Annotated[
        bool | None,
        typer.Option(
            "--inherit/--from-scratch", help="Begin with the supernet's weights, or anew; as in the paper if not given."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Train a search's networks by the final recipe of their strategy's paper; the same command goes on where it was.

    The architecture is chosen, so the images that it was chosen on are trained on as well. Exit code 3 when a trained
    network breaks a budget of the search as measured. Without budgets, networks of cells grow: those of `darts` to 20.
    """
    from hwnas.experiment.configured import retrain_configured

    with progress_bars() as show:
        results = retrain_configured(
            run,
            epochs=epochs,
            batch_size=batch_size,
            inherit=inherit,
            directory=out,
            progress=lambda advance: show(advance.phase, advance.done, advance.total, advance.detail),
        )
    if json:
        print_json({"run": str(run), "results": [r.to_json() | {"directory": str(r.directory)} for r in results]})
    else:
        print_results(results)
    require_kept(results)


def print_results(results: Sequence[RetrainingResult]) -> None:
    """Print what every final training came to: budgets, the test score, the recipe, the file."""
    from hwnas.report.formats import format_score

    for result in results:
        if result.budgets:
            print_budgets(result.budgets)
        score = format_score(result.test_accuracy, result.test_standard_error, name=result.score_name)
        print_line(f"test {result.score_name} {score}")
        print_line(f"epochs: {result.recipe.recipe.epochs:g}; recipe: {result.recipe.source}")
        print_line(f"network: {result.directory / 'network.onnx'}")


def require_kept(results: Sequence[RetrainingResult]) -> None:
    """Leave the program with the exit code for "over budget" if a network breaks a budget of its search as measured.

    Raises:
        SystemExit: one does; which, has been told on stderr.
    """
    broken = [f"{result.directory}: {row.profiler}" for result in results for row in result.budgets if not row.kept]
    if broken:
        print_error(
            "over budget",
            f"As measured now, budgets of the search are broken ({', '.join(broken)}). Verify again on an idle device: "
            "hwnas verify.",
        )
        raise SystemExit(InfeasibleError.exit_code)
