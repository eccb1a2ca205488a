"""`hwnas profile`: what the networks of a space cost, counted exactly."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hwnas.cli.architecture_argument import read_architecture
from hwnas.cli.console import print_json, print_line, print_table
from hwnas.cli.options import Json, SpaceName

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "hwnas profile mobilenet_v3 --json"

_KEYS = {"macs": "macs", "params": "params", "memory": "peak_memory_bytes"}


def command(
    space: SpaceName,
    arch: Annotated[
        str | None,
        typer.Option(metavar="STRING|FILE.json", help="One network: an architecture string in quotes, or a JSON file."),
    ] = None,
    json: Json = False,
) -> None:
    """Count MACs, parameters and peak memory of activations: the least and the most in the space, or of one network.

    All are exact for every network of the space, at the batch size of the space's example input.
    """
    from hwnas.cost import format_quantity
    from hwnas.experiment.budgets import Profilers
    from hwnas.nn.families import load_space

    model_space = load_space(space)
    architecture = None if arch is None else read_architecture(model_space, arch)
    profilers = {name: Profilers(model_space)[name] for name in _KEYS}
    content: dict[str, Any] = {
        "space": space,
        "size": str(model_space.space.size),
        "num_choices": len(model_space.space.choices),
    }
    if architecture is None:
        extremes = {name: (profiler.min(), profiler.max()) for name, profiler in profilers.items()}
        content |= {_KEYS[name]: {"min": round(low), "max": round(high)} for name, (low, high) in extremes.items()}
        rows = [
            (name, *(format_quantity(value, profilers[name].unit) for value in pair)) for name, pair in extremes.items()
        ]
        columns = ("", "least", "most")
    else:
        values = {name: profiler.profile(architecture) for name, profiler in profilers.items()}
        content |= {"architecture": architecture.to_json()}
        content |= {_KEYS[name]: round(value) for name, value in values.items()}
        rows = [(name, format_quantity(value, profilers[name].unit)) for name, value in values.items()]
        columns = ("", "this network")
    if json:
        print_json(content)
        return
    print_line(f"{space}: {content['num_choices']} choices, {model_space.space.size:,} networks")
    print_table(columns, rows)
