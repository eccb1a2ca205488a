"""`hwnas profile`: what the networks of a space cost, counted exactly."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hwnas.cli.architecture_argument import read_architecture
from hwnas.cli.console import print_json, print_line, print_table
from hwnas.cli.options import Json, SpaceName

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "hwnas profile mobilenet_v3 --json"


def command(
    space: SpaceName,
    arch: Annotated[
        str | None,
        typer.Option(
            metavar="STRING|NAME|FILE.json",
            help="One network: an architecture string in quotes, a published one's name, or a JSON file.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Count MACs, parameters and peak memory of activations: the least and the most in the space, or of one network.

    MACs and parameters are exact for every network. Peak memory, at the batch size of the example input, is exact for
    sequential and residual networks and an upper bound elsewhere. SPACE may be a published network's name alone.
    """
    from hwnas.cost import format_quantity
    from hwnas.nn.families import find_published, load_space
    from hwnas.profiler import CostProfiler, FlopsProfiler, NumParamsProfiler, PeakMemoryProfiler

    model_space = load_space(space)
    if arch is None and find_published(space) is not None:
        arch = space
    architecture = None if arch is None else read_architecture(model_space, arch)
    profilers: dict[str, CostProfiler] = {
        "macs": FlopsProfiler(model_space),
        "params": NumParamsProfiler(model_space),
        "peak_memory_bytes": PeakMemoryProfiler(model_space),
    }
    content: dict[str, Any] = {
        "space": space,
        "size": str(model_space.space.size),
        "num_choices": len(model_space.space.choices),
    }
    if architecture is None:
        columns: tuple[str, ...] = ("", "least", "most")
        values: dict[str, tuple[float, ...]] = {
            name: (profiler.min(), profiler.max()) for name, profiler in profilers.items()
        }
        content |= {name: {"min": round(low), "max": round(high)} for name, (low, high) in values.items()}
    else:
        columns = ("", "this network")
        values = {name: (profiler.profile(architecture),) for name, profiler in profilers.items()}
        content |= {"architecture": architecture.to_json()}
        content |= {name: round(value) for name, (value,) in values.items()}
    if json:
        print_json(content)
        return
    print_line(f"{space}: {content['num_choices']} choices, {model_space.space.size:,} networks")
    rows = [
        (name.removesuffix("_bytes").replace("_", " "), *(format_quantity(n, profilers[name].unit) for n in numbers))
        for name, numbers in values.items()
    ]
    print_table(columns, rows)
