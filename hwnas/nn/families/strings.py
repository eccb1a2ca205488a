"""Architecture strings of the spaces that have some, each in its field's own notation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from hwnas.errors import SpaceError
from hwnas.nn.model_space import ModelSpace
from hwnas.space import Architecture, Option

__all__ = ["HasStrings", "from_string", "to_string"]


@runtime_checkable
class HasStrings(Protocol):
    """A space that writes its networks as strings, and reads what it has written."""

    def to_string(self, architecture: Mapping[str, Option]) -> str:
        """The architecture string of one network; an ArchitectureError if the space does not allow it."""

    def from_string(self, string: str) -> Architecture:
        """The architecture that a string describes; an ArchitectureError if it is wrong or outside the space."""


def to_string(space: ModelSpace, architecture: Mapping[str, Option]) -> str:
    """The architecture string of one network of a space.

    Raises:
        SpaceError: a space without architecture strings.
        ArchitectureError: an architecture that the space does not allow.
    """
    return _with_strings(space).to_string(architecture)


def from_string(space: ModelSpace, string: str) -> Architecture:
    """The architecture of a space that an architecture string describes.

    Raises:
        SpaceError: a space without architecture strings.
        ArchitectureError: a wrong string, or a network outside the space.
    """
    return _with_strings(space).from_string(string)


def _with_strings(space: ModelSpace) -> HasStrings:
    if not isinstance(space, HasStrings):
        raise SpaceError(
            "this space has no architecture strings, as those of mobilenet_v3 and nasbench201 have; give its "
            "architecture as JSON"
        )
    return space
