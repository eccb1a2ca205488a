"""An architecture as the command line takes it: an architecture string, or a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.errors import ArchitectureError

if TYPE_CHECKING:
    from hwnas.nn import ModelSpace
    from hwnas.space import Architecture

__all__ = ["read_architecture"]


def read_architecture(space: ModelSpace, argument: str) -> Architecture:
    """The architecture of `space` that the user means.

    Args:
        space: what it must be an architecture of.
        argument: an architecture string, recognised by its leading `[` or `|`; or the path of a JSON file, which holds
            the architecture or, as a run's `result.json` does, has it under "architecture".

    Raises:
        ArchitectureError: no such file, no JSON, a wrong string, or a network outside the space.
        SpaceError: an architecture string for a space that has none.
    """
    from hwnas.nn.families import from_string
    from hwnas.space import Architecture

    if argument.lstrip().startswith(("[", "|")):
        return from_string(space, argument)
    try:
        content = json.loads(Path(argument).read_text(encoding="utf-8"))
    except OSError as error:
        raise ArchitectureError(
            f"The architecture file {argument!r} cannot be read: {error.strerror}. Give a JSON file, or an "
            "architecture string such as \"[['ds_r1_k3_s1_e1_c16_nre'], ...]\" in quotes."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ArchitectureError(f"{argument} is not valid JSON: {error}.") from error
    if isinstance(content, dict) and isinstance(content.get("architecture"), dict):
        content = content["architecture"]
    return space.space.validate(Architecture.from_json(content))
