"""Blocks: the parts of a supernet that are measured by themselves, as plain modules with example inputs.

A candidate of a choice is a block, as is every top-most module without choices, and every run of operators between such
modules (the `+` of a residual connection, attention written by hand). A chain of fixed blocks, each of which only the
next one uses, is one block: a stem's convolution, batch norm and activation. What only looks at memory in another way
is not a block by itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from hwnas.nn.freezing import copied
from hwnas.nn.loose import LooseRun, Segment, segments_of, uses_of
from hwnas.nn.operators import is_view
from hwnas.nn.recorder import spec_of
from hwnas.nn.shadow import original
from hwnas.nn.supernet_pass import SupernetPass
from hwnas.space import Space
from hwnas.trace import Block, simplified

__all__ = ["PendingBlock", "TracedBlock", "pending_blocks", "traced_blocks"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TracedBlock:
    """A block, the module that does it, and what it is called with.

    Attributes:
        block: the record.
        module: plain, in evaluation mode, takes and gives tensors (several as a tuple); the same one for equal blocks.
        example_inputs: random, or the network's own example inputs.
    """

    block: Block
    module: nn.Module
    example_inputs: tuple[Tensor, ...]


@dataclasses.dataclass(frozen=True)
class PendingBlock:
    """A block whose module is still to be made."""

    block: Block
    segments: tuple[Segment, ...]


def pending_blocks(ran: SupernetPass, space: Space) -> tuple[PendingBlock, ...]:
    """The blocks of a pass, in the order in which they ran."""
    chains: list[list[Segment]] = []
    uses = uses_of(ran)
    for segment in segments_of(ran, uses):
        if not segment.calls:  # an identity
            continue
        if chains and _continues(chains[-1][-1], segment, uses):
            chains[-1].append(segment)
        else:
            chains.append([segment])
    return tuple(PendingBlock(_record(chain, space), tuple(chain)) for chain in chains if any(map(_computes, chain)))


def traced_blocks(blocks: Sequence[PendingBlock], given: Mapping[int, Tensor]) -> tuple[TracedBlock, ...]:
    """The blocks with their modules and inputs.

    Args:
        blocks: of a pass.
        given: the example inputs, by the `id` of the tensors that stood for them.
    """
    made: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {}
    for pending in blocks:
        if pending.block.key not in made:
            modules = [_module(segment) for segment in pending.segments]
            module = modules[0] if len(modules) == 1 else nn.Sequential(*modules)
            inputs = tuple(_example(tensor, given) for tensor in pending.segments[0].inputs)
            made[pending.block.key] = (module.eval(), inputs)
    return tuple(
        TracedBlock(block=pending.block, module=made[pending.block.key][0], example_inputs=made[pending.block.key][1])
        for pending in blocks
    )


def _continues(first: Segment, second: Segment, uses: Mapping[int, Sequence[int]]) -> bool:
    """Whether the second one is the only one to use what the first one gives, and both run together."""
    if first.of_choice or second.of_choice or first.guard != second.guard:
        return False
    if not all(_is_simple(segment) for segment in (first, second)):
        return False
    passed = first.outputs[0]
    in_place = second.outputs[0] is passed  # what comes later uses the second one's result
    later = [position for position in uses[id(passed)] if position > first.last]
    return passed is second.inputs[0] and all(
        second.first <= position and (in_place or position <= second.last) for position in later
    )


def _is_simple(segment: Segment) -> bool:
    """Whether it is a function from one tensor to one tensor, called as one."""
    if len(segment.inputs) != 1 or len(segment.outputs) != 1:
        return False
    if isinstance(segment, LooseRun):
        return True
    args, kwargs = segment.arguments
    return len(args) == 1 and not kwargs and isinstance(args[0], Tensor) and segment.template.tree.is_leaf()


def _computes(segment: Segment) -> bool:
    """Whether it has an operator that is no mere view."""
    return any(not is_view(call.operator) and "empty" not in call.operator._schema.name for call in segment.calls)


def _record(chain: Sequence[Segment], space: Space) -> Block:
    keys = [segment.key for segment in chain]
    return Block(
        key=keys[0] if len(keys) == 1 else hashlib.sha256("\n".join(keys).encode()).hexdigest(),
        module=" + ".join(dict.fromkeys(segment.path for segment in chain)),
        guard=simplified(chain[0].guard, space),
        of_choice=chain[0].of_choice,
        inputs=tuple(map(spec_of, chain[0].inputs)),
        outputs=tuple(map(spec_of, chain[-1].outputs)),
    )


def _module(segment: Segment) -> nn.Module:
    if isinstance(segment, LooseRun):
        return segment.module()
    with torch.no_grad():
        module = copied(original(segment.module))
    args, kwargs = segment.arguments
    plain = not kwargs and list(map(id, args)) == list(map(id, segment.inputs))
    if plain and segment.template.tree.is_leaf():
        return module
    position = {id(tensor): index for index, tensor in enumerate(segment.inputs)}
    leaves, tree = pytree.tree_flatten((args, kwargs))
    return _Adapter(module, [(position.get(id(leaf)), leaf) for leaf in leaves], tree)


class _Adapter(nn.Module):
    """Calls a module that takes more than plain tensors with what it was called with."""

    def __init__(self, module: nn.Module, leaves: list[tuple[int | None, Any]], tree: Any) -> None:
        super().__init__()
        self.module = module
        self._leaves = [(index, None if index is not None else leaf) for index, leaf in leaves]
        self._tree = tree

    def forward(self, *tensors: Tensor) -> Any:
        """The tensors in the module's result."""
        leaves = [leaf if index is None else tensors[index] for index, leaf in self._leaves]
        args, kwargs = pytree.tree_unflatten(leaves, self._tree)
        results = tuple(leaf for leaf in pytree.tree_leaves(self.module(*args, **kwargs)) if isinstance(leaf, Tensor))
        return results[0] if len(results) == 1 else results


def _example(tensor: Tensor, given: Mapping[int, Tensor]) -> Tensor:
    if id(tensor) in given:
        return given[id(tensor)].detach()
    result = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return result.zero_()
    values = torch.randn(tensor.shape, dtype=tensor.dtype, generator=torch.Generator().manual_seed(0))
    return values if result.stride() == values.stride() else result.copy_(values)
