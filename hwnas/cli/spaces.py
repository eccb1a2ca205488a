"""`hwnas spaces`: the ready spaces."""

from __future__ import annotations

from hwnas.cli.console import print_json, print_table, progress_bars
from hwnas.cli.options import Json

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "hwnas spaces --json"


def command(json: Json = False) -> None:
    """List the ready spaces: how many choices and networks each has, and what it is for."""
    from hwnas.nn.families import FAMILIES, family

    found = []
    with progress_bars() as show:
        for done, (name, entry) in enumerate(FAMILIES.items()):
            show("spaces", done, len(FAMILIES), name)
            space = family(name).space
            found.append((name, entry, space))
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
    rows = [(name, str(len(space.choices)), f"{space.size:.2g}", entry.description) for name, entry, space in found]
    print_table(("space", "choices", "networks", "description"), rows)
