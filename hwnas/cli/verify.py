"""`hwnas verify`: does an ONNX file keep a latency budget on a device?"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from hwnas.cli.console import print_error, print_json, print_line
from hwnas.cli.options import BatchSize, Device, Json, Threads
from hwnas.errors import BudgetError, InfeasibleError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "hwnas verify network.onnx --budget 'latency<=5ms' --table table.sqlite"


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="Any ONNX file with fixed shapes.")],
    budget: Annotated[str, typer.Option(help="The latency to keep, in quotes, as in 'latency<=5ms'.")],
    device: Device = "onnxruntime:cpu",
    threads: Threads = 1,
    batch_size: BatchSize = 1,
    table: Annotated[
        Path | None, typer.Option(help="The table of the search: corrects for the machine's drift since then.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=2, help="Rounds of measuring, fixed beforehand.")] = 7,
    json: Json = False,
) -> None:
    """Measure an ONNX file beside the reference model and hold it against a budget; exit code 3 when it is over."""
    from hwnas.cost import format_quantity, parse_budget
    from hwnas.device import connect, verify

    request = parse_budget(budget)
    if request.profiler != "latency" or request.relative:
        raise BudgetError(f"A file is verified against an absolute latency, as in 'latency<=5ms'; got {budget!r}.")
    runtime = connect(device, threads=threads, batch_size=batch_size)
    measured = verify(file, runtime, request.value, table=table, rounds=rounds)
    corrected, lower, upper, raw = (
        format_quantity(value, "ms")
        for value in (measured.corrected_ms, measured.lower_ms, measured.upper_ms, measured.raw_ms)
    )
    if json:
        print_json(dataclasses.asdict(measured) | {"file": str(file), "passed": measured.passed})
    else:
        print_line(f"{file}: {corrected} (95 % from {lower} to {upper}; by the clock {raw}) of {budget}")
    if not measured.passed:
        print_error("over budget", f"{file} takes {corrected} on {device}, and {budget} was asked for.")
        raise typer.Exit(InfeasibleError.exit_code)
