"""The nodes of cells as DARTS relaxes them: all edges run, and their operations tell which of them to keep."""

from __future__ import annotations

import dataclasses
import math

from torch import nn

from hwnas.errors import StrategyError
from hwnas.nn import ChoiceModule, LayerChoice, ModelSpace, Node
from hwnas.strategy.mixable import SAMPLING_STRATEGIES

__all__ = ["RelaxedNode", "relaxed_nodes"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RelaxedNode:
    """The choice of a node's inputs, and those of its edges' operations.

    Attributes:
        tuples: the options: the positions of the edges that the node keeps.
        operations: the name of each edge's choice.
    """

    tuples: tuple[tuple[int, ...], ...]
    operations: tuple[str, ...]

    @property
    def num_kept(self) -> int:
        """How many edges the node keeps."""
        return len(self.tuples[0])

    @property
    def tuple_weight(self) -> float:
        """The weight of each tuple under which every edge runs with weight 1: of the tuples, C(n-1, k-1) have it."""
        return 1 / math.comb(len(self.operations) - 1, self.num_kept - 1)


def relaxed_nodes(space: ModelSpace) -> dict[str, RelaxedNode]:
    """The nodes of a space, by the name of their choice of inputs; nodes that are alike count once.

    Raises:
        StrategyError: an edge without a `LayerChoice`, or with several; edges that share one; nodes that share their
            choice of inputs and not their operations.
    """
    found: dict[str, RelaxedNode] = {}
    for path, module in space.module.named_modules():
        if not isinstance(module, Node):
            continue
        (name,) = space.names_of(module).values()
        operations: list[str] = []
        for position, edge in enumerate(module.edges):
            choices = [choice for choice in _outermost(edge) if isinstance(choice, LayerChoice)]
            if len(choices) != 1:
                raise StrategyError(
                    "darts learns from the operations of a node's edges which edges to keep, so each must have one "
                    f"LayerChoice; edge {position} of {path!r} has {len(choices)}. Make it a LayerChoice, be it of one "
                    f"candidate, or search with one of {', '.join(SAMPLING_STRATEGIES)}."
                )
            operations += space.names_of(choices[0]).values()
        tuples = tuple(option for option in space.space.choice(name).options if isinstance(option, tuple))
        node = RelaxedNode(tuples=tuples, operations=tuple(operations))
        if len(set(operations)) < len(operations) or found.setdefault(name, node) != node:
            raise StrategyError(
                "darts needs for every choice of inputs one operation an edge, of its own; those of "
                f"{name!r} are {operations} in {path!r}. Use other labels, or search with one of "
                f"{', '.join(SAMPLING_STRATEGIES)}."
            )
    return found


def _outermost(module: nn.Module) -> list[ChoiceModule]:
    """The modules with choices in a module, without those inside them."""
    if isinstance(module, ChoiceModule):
        return [module]
    return [choice for child in module.children() for choice in _outermost(child)]
