"""`hwnas spaces`: the ready spaces."""

from __future__ import annotations

from hwnas.cli.console import print_json, print_table
from hwnas.cli.options import Json

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "hwnas spaces --json"


def command(json: Json = False) -> None:
    """List the ready spaces: how many choices and networks each has, and what it is for."""
    from hwnas.nn.families import FAMILIES, family

    found = [(name, entry, family(name).space) for name, entry in FAMILIES.items()]
    if json:
        content = [
            {
                "name": name,
                "description": entry.description,
                "size": str(space.size),
                "num_choices": len(space.choices),
                "options": sorted(entry.options),
            }
            for name, entry, space in found
        ]
        print_json({"spaces": content})
        return
    rows = [(name, entry.description, str(len(space.choices)), f"{space.size:.2g}") for name, entry, space in found]
    print_table(("space", "description", "choices", "networks"), rows, num_words=2)
