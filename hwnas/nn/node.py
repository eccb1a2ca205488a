"""A node of a cell that sums some of its incoming edges, and chooses which.

Hanxiao Liu, Karen Simonyan, Yiming Yang: "DARTS: Differentiable Architecture Search", ICLR 2019,
https://arxiv.org/abs/1806.09055, section 2.1 and, for the number of edges that are kept, section 2.4.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor, fx, nn

from hwnas.errors import SpaceError
from hwnas.nn.argument import Slot
from hwnas.nn.choice_module import ChoiceModule
from hwnas.nn.mixture import ImagesView, Mixture, Resolved
from hwnas.nn.slicing import shallow_copy
from hwnas.space import Option

__all__ = ["Node"]


class Node(ChoiceModule):
    """The sum of `n_chosen` of its edges, each of which is a module with an input of its own.

    It is called with one sequence of as many tensors as it has edges; edge i gets tensor i. The options of its choice
    are the tuples of `n_chosen` positions, in ascending order. Choices in an edge matter only where the edge is chosen.
    A frozen network has a `torch.fx.GraphModule` in its place, with the chosen edges in it under their positions.

    Under `Paths` every edge runs once, with the sum of the weights of the tuples that have it: with the weight
    1/C(n-1, k-1) on each of the tuples of k of n edges, the node is the plain sum of all edges, DARTS's relaxation.
    """

    def __init__(self, edges: Sequence[nn.Module], n_chosen: int, *, label: str | None = None) -> None:
        """See the class.

        Args:
            edges: each takes one tensor; their outputs have one shape.
            n_chosen: how many of them are added up.
            label: the name of the choice; None for `<path of the node>.inputs`.

        Raises:
            SpaceError: an edge that is not a module, a number that is not possible.
        """
        super().__init__()
        if not isinstance(edges, Sequence | nn.ModuleList):
            raise SpaceError(f"Node needs a list of edges; got {type(edges).__name__}. Write [edge, ...].")
        for position, edge in enumerate(edges):
            if not isinstance(edge, nn.Module):
                raise SpaceError(f"Edge {position} of Node must be a torch.nn.Module; got {edge!r}.")
            self.add_module(str(position), edge)
        if not 1 <= n_chosen <= len(self._modules):
            raise SpaceError(f"`n_chosen` must be from 1 to the number of edges, {len(self._modules)}; got {n_chosen}.")
        self.n_chosen = n_chosen
        tuples = tuple(itertools.combinations(range(len(self._modules)), n_chosen))
        self._slot = Slot(key="inputs", suffix=".inputs", label=label, options=tuples)

    @property
    def edges(self) -> list[nn.Module]:
        """The edges, in the order of their positions."""
        return [edge for edge in self._modules.values() if edge is not None]

    def slots(self) -> tuple[Slot, ...]:
        """One slot: which edges."""
        return (self._slot,)

    def guards(self) -> dict[str, dict[str, tuple[Option, ...]]]:
        """An edge runs under the tuples that have its position."""
        return {str(position): {"inputs": self.tuples_with(position)} for position in range(len(self._modules))}

    def tuples_with(self, position: int) -> tuple[Option, ...]:
        """The options under which an edge runs."""
        return tuple(option for option in self._slot.options if isinstance(option, tuple) and position in option)

    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """The sum of the chosen edges, as a graph of their views."""
        chosen = options["inputs"]
        assert isinstance(chosen, tuple)
        program = _sum_of_edges(chosen)
        children = {str(position): view(self.edges[position]) for position in chosen}
        return shallow_copy(program, type(program), _modules=children, training=self.training)

    def mix(self, resolved: Resolved, view: ImagesView) -> nn.Module:
        """A sum is linear in its edges: a term for each of them instead of each tuple."""
        return Mixture(self, resolved, view, terms=self._single_edges(resolved))

    def _single_edges(self, resolved: Resolved) -> Iterator[tuple[dict[str, Option], Tensor]]:
        """Each edge alone, with the weight of all tuples that have it."""
        weights: dict[int, Tensor] = {}
        for options, weight in resolved.joint():
            chosen = options["inputs"]
            assert isinstance(chosen, tuple)
            for position in chosen:
                weights[position] = weights[position] + weight if position in weights else weight
        for position in sorted(weights):
            yield {"inputs": (position,)}, weights[position]


@functools.lru_cache(maxsize=4096)
def _sum_of_edges(chosen: tuple[int, ...]) -> fx.GraphModule:
    """The graph of the sum of some edges as plain PyTorch; the edges are put in later.

    Making one takes a millisecond, so that each is made once.
    """
    graph = fx.Graph()
    inputs = graph.placeholder("inputs")
    outputs = [
        graph.call_module(str(position), (graph.call_function(operator.getitem, (inputs, position)),))
        for position in chosen
    ]
    graph.output(functools.reduce(lambda left, right: graph.call_function(operator.add, (left, right)), outputs))
    return fx.GraphModule(nn.ModuleDict({str(position): nn.Identity() for position in chosen}), graph)
