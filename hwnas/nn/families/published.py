"""A network that a paper published, as a point of the space in which it was found."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from torch import nn

from hwnas.nn.model_space import ModelSpace
from hwnas.space import Option

__all__ = ["PublishedNetwork", "by_stages"]


@dataclass(frozen=True, kw_only=True)
class PublishedNetwork:
    """A published network, as data.

    Attributes:
        space: the network's space: a family with the network's widths, and all the family's options.
        architecture: the network, in that space.
    """

    space: Callable[..., ModelSpace]
    architecture: Mapping[str, Option]

    @property
    def options(self) -> dict[str, object]:
        """The family's options in which the network's space differs from the family's defaults."""
        if not isinstance(self.space, partial):
            return {}
        defaults = inspect.signature(self.space.func).parameters
        return {name: value for name, value in self.space.keywords.items() if defaults[name].default != value}

    def build(self, **options: object) -> nn.Module:
        """The network with fresh weights.

        Args:
            options: of the family, in the place of the published ones: `num_classes`, `resolution`, `drop_rate`, ...

        Raises:
            SpaceError: an option with a wrong value.
            ArchitectureError: an option that makes another space, without the network in it.
        """
        return self.space(**options).freeze(self.architecture)


def by_stages(table: str) -> Mapping[str, str]:
    """The architecture that a table of options says: a line for every stage, a word for every block."""
    return MappingProxyType(
        {
            f"stage{s}.block{b}": option
            for s, stage in enumerate(table.strip().splitlines(), start=1)
            for b, option in enumerate(stage.split(), start=1)
        }
    )
