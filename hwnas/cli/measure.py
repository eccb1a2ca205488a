"""`hwnas measure`: fill the latency table of a space on a device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hwnas.cli.console import print_json, print_line, progress_bars
from hwnas.cli.options import BatchSize, Device, Json, SpaceName, Threads

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "hwnas measure mobilenet_v3_28 --device onnxruntime:cpu --threads 1 --out table.sqlite"


def command(
    space: SpaceName,
    out: Annotated[Path, typer.Option(help="The table: a new file, or one to go on with.")],
    device: Device = "onnxruntime:cpu",
    threads: Threads = 1,
    batch_size: BatchSize = 1,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds in which every block is visited.")] = 3,
    calibrate: Annotated[int, typer.Option(min=0, help="Whole networks that calibrate the sum of blocks.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Of the random order of the visits.")] = 0,
    json: Json = False,
) -> None:
    """Measure every block of a space; the same command again measures only what is missing."""
    from hwnas.device import connect, measure
    from hwnas.nn.families import load_space

    runtime = connect(device, threads=threads, batch_size=batch_size)
    model_space = load_space(space)
    with progress_bars() as show:
        table = measure(
            model_space,
            runtime,
            out=out,
            repeats=repeats,
            calibrate=calibrate,
            seed=seed,
            progress=lambda step: show(step.phase, step.done, step.total, step.item),
        )
    fit = table.calibration
    if json:
        content: dict[str, Any] = table.to_json() | {"table": str(out), "num_blocks": len(table.milliseconds)}
        print_json(content)
        return
    print_line(f"{len(table.milliseconds)} blocks of {space} in {out}")
    print_line(f"noise floor: {table.noise_floor:.2%} (how far a later visit differs from the earlier ones)")
    print_line(f"baseline: the reference model at {table.baseline_ms:.4g} ms")
    if fit is not None:
        print_line(
            f"calibration: {fit.intercept_ms:.4g} ms + {fit.slope:.4g} * sum of blocks; R2 {fit.r2:.4f}, "
            f"largest error {fit.max_relative_error:.1%} of {fit.num_networks} whole networks"
        )
