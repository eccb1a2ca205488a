"""A cell: a small graph whose nodes choose their inputs and operations.

Barret Zoph et al.: "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018,
https://arxiv.org/abs/1707.07012.
"""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NoReturn, TypeAlias

import torch
from torch import fx, nn

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.nn.argument import Slot
from hwnas.nn.choice_module import ChoiceModule
from hwnas.nn.input_choice import InputChoice
from hwnas.nn.layer_choice import LayerChoice
from hwnas.nn.mixture import ImagesView, Resolved
from hwnas.nn.slicing import shallow_copy
from hwnas.space import Option

__all__ = ["Cell"]

Candidates: TypeAlias = Sequence[nn.Module] | Mapping[str, nn.Module]


class Cell(ChoiceModule):
    """Nodes in a row; each is the sum of operations on earlier nodes, and both are chosen.

    It is called with its predecessors as positional arguments, `cell(a, b)`; they are the nodes 0 ... p-1. For
    operation k of node i there are an `InputChoice` among the nodes before, `input_<i>_<k>` (none if only one node
    comes before), and a `LayerChoice`, `op_<i>_<k>`. Labelled, they are `<label>/input_<i>_<k>` and
    `<label>/op_<i>_<k>`, so that cells with one label are alike. The output is the concatenation of nodes. Frozen, it
    is a `torch.fx.GraphModule` with the chosen operations in it.
    """

    def __init__(
        self,
        op_candidates: Candidates | Callable[[int, int], Candidates],
        num_nodes: int,
        *,
        num_ops_per_node: int = 1,
        num_predecessors: int = 1,
        merge: Literal["all", "loose_end"] = "all",
        preprocessor: nn.Module | None = None,
        postprocessor: nn.Module | None = None,
        concat_dim: int = 1,
        label: str | None = None,
    ) -> None:
        """See the class.

        Args:
            op_candidates: the candidates (copied for every operation), or a function from the node and the position
                of the operation in it to candidates.
            num_nodes: without the predecessors.
            num_ops_per_node: how many operations are added up in a node.
            num_predecessors: how many tensors the cell is called with.
            merge: what is concatenated: all nodes, or those that no operation takes as its input; in both cases
                without the predecessors.
            preprocessor: called with the list of predecessors; gives a list of as many.
            postprocessor: called with the merged tensor and the list of (preprocessed) predecessors; gives the output.
            concat_dim: the dimension along which nodes are concatenated.
            label: prefix of the names of the choices; None for the path of the cell.

        Raises:
            SpaceError: numbers below 1, an unknown merge, candidates that are not modules.
        """
        super().__init__()
        numbers = {
            "num_nodes": num_nodes,
            "num_ops_per_node": num_ops_per_node,
            "num_predecessors": num_predecessors,
        }
        for name, number in numbers.items():
            if number < 1:
                raise SpaceError(f"`{name}` must be at least 1; got {number}.")
        if merge not in ("all", "loose_end"):
            raise SpaceError(f"`merge` must be all or loose_end; got {merge!r}.")
        self.num_predecessors = num_predecessors
        self.num_ops_per_node = num_ops_per_node
        self.num_nodes = num_nodes
        self.merge = merge
        self.concat_dim = concat_dim
        self._slots: list[Slot] = []
        for node, position in self._operations():
            candidates = op_candidates(node, position) if callable(op_candidates) else copy.deepcopy(op_candidates)
            own = None if label is None else f"{label}/op_{node}_{position}"
            self.add_module(f"op_{node}_{position}", LayerChoice(candidates, label=own))
            if node > 1:
                own = None if label is None else f"{label}/input_{node}_{position}"
                name = f"input_{node}_{position}"
                self.add_module(name, InputChoice(node, label=own))
                if merge == "loose_end":
                    self._slots.append(Slot(key=name, suffix=f".{name}", label=own, options=tuple(range(node))))
        if preprocessor is not None:
            self.preprocessor = preprocessor
        if postprocessor is not None:
            self.postprocessor = postprocessor

    def _operations(self) -> list[tuple[int, int]]:
        """Every operation: its node and its position in it."""
        nodes = range(self.num_predecessors, self.num_predecessors + self.num_nodes)
        return [(node, position) for node in nodes for position in range(self.num_ops_per_node)]

    def slots(self) -> tuple[Slot, ...]:
        """For loose ends the choices of inputs, which the `InputChoice`s below have as well; otherwise none."""
        return tuple(self._slots)

    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """The cell as a graph of the views of its operations."""
        nodes = range(self.num_predecessors, self.num_predecessors + self.num_nodes)
        used: set[Option] = set(options.values()) if self.merge == "loose_end" else set()
        if self.merge == "loose_end" and self.num_predecessors == 1:
            used.add(0)
        program = _program(
            num_predecessors=self.num_predecessors,
            operations=tuple(self._operations()),
            merged=tuple(node for node in nodes if node not in used),
            concat_dim=self.concat_dim,
            children=tuple(self._modules),
        )
        children = {name: view(child) for name, child in self._modules.items() if child is not None}
        return shallow_copy(program, type(program), _modules=children, training=self.training)

    def mix(self, resolved: Resolved, view: ImagesView) -> NoReturn:
        """Refuses: paths through inputs have no loose ends."""
        raise ArchitectureError(
            f"Paths for {resolved.label} are not possible in a Cell with merge='loose_end', whose output depends on "
            "which nodes are inputs. Select one option, or use merge='all'."
        )


@functools.lru_cache(maxsize=1024)
def _program(
    *,
    num_predecessors: int,
    operations: tuple[tuple[int, int], ...],
    merged: tuple[int, ...],
    concat_dim: int,
    children: tuple[str, ...],
) -> fx.GraphModule:
    """The graph of a cell as plain PyTorch; its operations are put in later.

    Making one takes some milliseconds, so that each is made once.
    """
    graph = fx.Graph()
    states = [graph.placeholder(f"x{number}") for number in range(num_predecessors)]
    if "preprocessor" in children:
        processed = graph.call_module("preprocessor", (list(states),))
        states = [graph.call_function(operator.getitem, (processed, number)) for number in range(num_predecessors)]
    predecessors = list(states)
    for node, position in operations:
        before = list(states[:node])
        chosen = graph.call_module(f"input_{node}_{position}", (before,)) if node > 1 else before[0]
        result = graph.call_module(f"op_{node}_{position}", (chosen,))
        if position == 0:
            states.append(result)
        else:
            states[node] = graph.call_function(operator.add, (states[node], result))
    output = states[merged[0]]
    if len(merged) > 1:
        output = graph.call_function(torch.cat, ([states[node] for node in merged], concat_dim))
    if "postprocessor" in children:
        output = graph.call_module("postprocessor", (output, predecessors))
    graph.output(output)
    placeholders = nn.ModuleDict({name: nn.Identity() for name in children})
    return fx.GraphModule(placeholders, graph)
