"""Runs of operators outside of any block, as modules."""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from hwnas.nn.block_run import BlockRun
from hwnas.nn.operators import is_view
from hwnas.nn.recorder import Call, Merge, tape_key, tensors_in
from hwnas.nn.supernet_pass import SupernetPass
from hwnas.trace import Guard

__all__ = ["LooseRun", "Segment", "segments_of", "uses_of"]


@dataclasses.dataclass(slots=True)
class LooseRun:
    """Consecutive operators under one guard.

    Attributes:
        calls: the operators, before them those that make weights ready (views of weights made elsewhere).
        first: the position of the first operator in the pass.
        last: that of the last one.
        path: of the module they are in, and some of them by name.
        weights: the tensors they use that are no activations: by `id`, with their data.
    """

    calls: list[Call]
    weights: dict[int, Tensor]
    path: str
    guard: Guard
    first: int
    last: int
    inputs: list[Tensor]
    outputs: list[Tensor]
    key: str
    of_choice: bool = False

    def module(self) -> fx.GraphModule:
        """The operators as a module."""
        root = nn.Module()
        graph = fx.Graph()
        nodes = {id(tensor): graph.placeholder(f"x{i}") for i, tensor in enumerate(self.inputs)}
        for i, (key, weight) in enumerate(self.weights.items()):
            root.register_buffer(f"weight{i}", weight.detach())
            nodes[key] = graph.get_attr(f"weight{i}")

        def argument(value: Any) -> Any:
            if isinstance(value, Tensor):
                return nodes[id(value)]
            if isinstance(value, list | tuple):
                return type(value)(argument(item) for item in value)
            return torch.device("cpu") if isinstance(value, torch.device) else value

        for call in self.calls:
            kwargs = {name: argument(value) for name, value in call.kwargs.items()}
            node = graph.call_function(call.operator, tuple(map(argument, call.args)), kwargs)
            if isinstance(call.out, Tensor):
                nodes[id(call.out)] = node
            elif isinstance(call.out, list | tuple):
                for i, item in enumerate(call.out):
                    if isinstance(item, Tensor):
                        nodes[id(item)] = graph.call_function(operator.getitem, (node, i))
        results = tuple(nodes[id(tensor)] for tensor in self.outputs)
        graph.output(results[0] if len(results) == 1 else results)
        return fx.GraphModule(root, graph, class_name="LooseOperators")


Segment = BlockRun | LooseRun
"""What may become a block."""


def uses_of(ran: SupernetPass) -> dict[int, list[int]]:
    """By the `id` of a tensor, the positions of the items that use it; the network's output is after the last."""
    uses: dict[int, list[int]] = {}
    for position, item in enumerate(ran.items):
        if isinstance(item, BlockRun) and not item.calls:
            continue  # an identity
        for tensor in _used(item):
            uses.setdefault(id(tensor), []).append(position)
    for tensor in ran.outputs:
        uses.setdefault(id(tensor), []).append(len(ran.items))
    return uses


def segments_of(ran: SupernetPass, uses: Mapping[int, Sequence[int]]) -> list[Segment]:
    """The blocks that ran, and between them the runs of operators."""
    makers = {id(tensor): item for item in ran.items if isinstance(item, Call) for tensor in tensors_in((item.out,))}
    result: list[Segment] = []
    numbered: Iterable[tuple[int, Call | BlockRun | Merge]] = enumerate(ran.items)
    for guard, group in itertools.groupby(numbered, lambda pair: pair[1].guard if isinstance(pair[1], Call) else None):
        members = list(group)
        if guard is None:
            result += [item for _, item in members if isinstance(item, BlockRun)]
        else:
            calls = [item for _, item in members if isinstance(item, Call)]
            result.append(_loose_run(calls, members[0][0], members[-1][0], uses, makers, ran.originals))
    return result


def _loose_run(
    calls: list[Call],
    first: int,
    last: int,
    uses: Mapping[int, Sequence[int]],
    makers: Mapping[int, Call],
    originals: Mapping[int, Tensor],
) -> LooseRun:
    own = {id(tensor) for call in calls for tensor in tensors_in((call.out,))}
    inputs: dict[int, Tensor] = {}
    weights: dict[int, Tensor] = {}
    before: list[Call] = []

    def need(call: Call) -> None:
        for tensor in _used(call):
            if id(tensor) in own or id(tensor) in inputs or id(tensor) in weights:
                continue
            maker = makers.get(id(tensor))
            if id(tensor) in originals or (maker is None and not tensor.is_meta and call.reads == ()):
                weights[id(tensor)] = originals.get(id(tensor), tensor)
            elif maker is not None and not maker.reads and not maker.writes:  # a view of a weight
                own.update(id(made) for made in tensors_in((maker.out,)))
                need(maker)
                before.append(maker)
            else:
                inputs[id(tensor)] = tensor

    for call in calls:
        need(call)
    made = {id(tensor): tensor for call in calls for tensor in tensors_in((call.out,)) if id(tensor) not in inputs}
    outputs = [tensor for key, tensor in made.items() if any(position > last for position in uses.get(key, ()))]
    outputs = outputs or list(tensors_in((calls[-1].out,)))
    everything = [*before, *calls]
    return LooseRun(
        calls=everything,
        weights=weights,
        path=_label(calls),
        guard=calls[0].guard,
        first=first,
        last=last,
        inputs=list(inputs.values()),
        outputs=outputs,
        key=tape_key(everything, list(inputs.values()), outputs),
    )


def _label(calls: Sequence[Call]) -> str:
    """The path of the module that the operators are in, and some of them."""
    names = [call.operator._schema.name.removeprefix("aten::") for call in calls if not is_view(call.operator)]
    names = names or [calls[-1].operator._schema.name.removeprefix("aten::")]
    shown = "-".join(names if len(names) <= 3 else [*names[:2], "...", names[-1]])
    return f"{calls[-1].path}.{shown}".removeprefix(".")


def _used(item: Call | BlockRun | Merge) -> Iterable[Tensor]:
    if isinstance(item, Call):
        return tensors_in((*item.args, *item.kwargs.values()))
    return item.inputs if isinstance(item, BlockRun) else item.tensors
