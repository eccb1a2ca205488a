"""An architecture as the command line takes it: an architecture string, a published name, or a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.errors import ArchitectureError

if TYPE_CHECKING:
    from hwnas.nn import ModelSpace
    from hwnas.nn.families import PublishedNetwork
    from hwnas.space import Architecture

__all__ = ["read_architecture"]


def read_architecture(space: ModelSpace, argument: str) -> Architecture:
    """The architecture of `space` that the user means.

    Args:
        space: what it must be an architecture of.
        argument: an architecture string, recognised by its leading `[` or `|`; the name of a published network; or the
            path of a JSON file, which holds the architecture or, as a run's `result.json` does, has it under
            "architecture".

    Raises:
        ArchitectureError: no such file, no JSON, a wrong string, a network outside the space, or a published one of
            another space, which the message names.
        SpaceError: an architecture string for a space that has none.
    """
    from hwnas.nn.families import find_published, from_string
    from hwnas.space import Architecture

    if argument.lstrip().startswith(("[", "|")):
        return from_string(space, argument)
    published = find_published(argument)
    if published is not None:
        return _published(space, argument, *published)
    try:
        content = json.loads(Path(argument).read_text(encoding="utf-8"))
    except OSError as error:
        raise ArchitectureError(
            f"The architecture file {argument!r} cannot be read: {error.strerror}. Give a JSON file, an "
            "architecture string such as \"[['ds_r1_k3_s1_e1_c16_nre'], ...]\" in quotes, or the name of a published "
            "network (see `hwnas spaces`)."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ArchitectureError(f"{argument} is not valid JSON: {error}.") from error
    if isinstance(content, dict) and isinstance(content.get("architecture"), dict):
        content = content["architecture"]
    return space.space.validate(Architecture.from_json(content))


def _published(space: ModelSpace, name: str, family: str, network: PublishedNetwork) -> Architecture:
    """The published network, if the space makes the very network of that name: choices alone do not say the widths."""
    from hwnas.space import Architecture

    try:
        architecture = space.space.validate(Architecture(network.architecture))
        found, wanted = (
            {key: tensor.shape for key, tensor in module.state_dict().items()}
            for module in (space.freeze(architecture), network.build())
        )
    except ArchitectureError:
        found, wanted = {}, None
    if wanted == found:
        return architecture
    options = ", ".join(f"{option}={value!r}" for option, value in network.options.items())
    raise ArchitectureError(
        f"{name!r} is a network of the space {family}{f' with {options}' if options else ''}, which this is not. "
        f"Give {name} as the space."
    )
