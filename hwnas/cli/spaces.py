"""`hwnas spaces`: the ready spaces, and the networks published in them."""

from __future__ import annotations

from hwnas.cli.console import print_json, print_line, print_table
from hwnas.cli.options import Json

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "hwnas spaces --json"


def command(json: Json = False) -> None:
    """List the ready spaces, and the published networks by name, with the options in which their space differs."""
    from hwnas.nn.families import FAMILIES, PUBLISHED_NETWORKS, family

    published = [(name, space, entry) for space, of in PUBLISHED_NETWORKS.items() for name, entry in of.items()]
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
        networks = [{"name": name, "space": space, "options": entry.options} for name, space, entry in published]
        print_json({"spaces": content, "networks": networks})
        return
    rows = [(name, entry.description, str(len(space.choices)), f"{space.size:.2g}") for name, entry, space in found]
    print_table(("space", "description", "choices", "networks"), rows, num_words=2)
    print_line("")
    known = [
        (name, space, ", ".join(f"{option}={value!r}" for option, value in entry.options.items()))
        for name, space, entry in published
    ]
    print_table(("published network", "of the space", "with"), known, num_words=3)
