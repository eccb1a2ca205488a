"""`hwnas train`: train the supernet that many searches share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.console import print_json, print_line, progress_bars
from hwnas.cli.options import AllowUrl, Config, Json

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "hwnas train config.toml --out runs/supernet"


def command(
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder of the supernet; a search takes it as `supernet`.")],
    weights: Annotated[
        str | None,
        typer.Option(metavar="FILE|URL", help="Begin with these weights: .safetensors, or of torch.save."),
    ] = None,
    allow_url: AllowUrl = False,
    json: Json = False,
) -> None:
    """Train a supernet; interrupted, the same command goes on from the last checkpoint.

    On several GPUs: torchrun --nproc-per-node 4 -m hwnas.cli train config.toml --out DIR.
    """
    from hwnas.experiment.config import read_config
    from hwnas.experiment.configured import train_configured

    read = read_config(config)
    with progress_bars() as show:
        result = train_configured(
            read,
            out,
            weights=weights,
            allow_url=allow_url,
            progress=lambda step: show(
                "train supernet", step.step, step.num_steps, f"epoch {step.epoch}, loss {step.loss:.3f}"
            ),
        )
    if json:
        print_json({"supernet": str(out), "steps": result.step, "loss": result.loss})
        return
    print_line(f"The supernet is in {out}. Search with it: supernet = {str(out)!r} in {config}")
