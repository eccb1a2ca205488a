"""Blocks: the parts of a supernet that are measured by themselves, as plain modules with example inputs.

A candidate of a choice is a block, as is every top-most module without choices, and every run of operators between such
modules (the `+` of a residual connection, attention written by hand). A chain of fixed blocks, each of which only the
next one uses, is one block: a stem's convolution, batch norm and activation. What only looks at memory in another way
is not a block by itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from hwnas.nn.freezing import copied
from hwnas.nn.loose import LooseRun, loose_runs
from hwnas.nn.operators import is_view
from hwnas.nn.recorder import spec_of
from hwnas.nn.shadow import original
from hwnas.nn.supernet_pass import SupernetPass
from hwnas.nn.tracing import BlockRun
from hwnas.space import Space
from hwnas.trace import Block, simplified

__all__ = ["PendingBlock", "TracedBlock", "pending_blocks", "traced_blocks"]

_Segment = BlockRun | LooseRun


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
    segments: tuple[_Segment, ...]


def pending_blocks(ran: SupernetPass, space: Space) -> tuple[PendingBlock, ...]:
    """The blocks of a pass, in the order in which they ran."""
    chains: list[list[_Segment]] = []
    segments = loose_runs(ran)
    users = _users(segments, ran)
    for segment in segments:
        if chains and _continues(chains[-1][-1], segment, users):
            chains[-1].append(segment)
        else:
            chains.append([segment])
    return tuple(
        PendingBlock(_record(chain, space), tuple(chain)) for chain in chains if any(map(_num_operations, chain))
    )


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


def _users(segments: Sequence[_Segment], ran: SupernetPass) -> dict[int, int]:
    """How often each tensor is used, by its `id`."""
    users: dict[int, int] = {}
    merged = (tensor for item in ran.items if not hasattr(item, "guard") for tensor in item.tensors)  # type: ignore[union-attr]
    for tensors in (*(segment.inputs for segment in segments), ran.outputs, tuple(merged)):
        for tensor in tensors:
            users[id(tensor)] = users.get(id(tensor), 0) + 1
    return users


def _continues(first: _Segment, second: _Segment, users: Mapping[int, int]) -> bool:
    """Whether the second one is the only one to use what the first one gives, and both run together."""
    return (
        not first.of_choice
        and not second.of_choice
        and first.guard == second.guard
        and len(first.outputs) == len(second.inputs) == len(second.outputs) == 1
        and first.outputs[0] is second.inputs[0]
        and users[id(second.inputs[0])] == 1
        and all(_is_simple(segment) for segment in (first, second))
    )


def _is_simple(segment: _Segment) -> bool:
    """Whether it is a function from one tensor to one tensor, called as one."""
    if isinstance(segment, LooseRun):
        return len(segment.inputs) == 1
    args, kwargs = segment.arguments
    return len(args) == 1 and not kwargs and isinstance(args[0], Tensor) and segment.template.tree.is_leaf()


def _num_operations(segment: _Segment) -> int:
    calls = segment.calls if isinstance(segment, LooseRun) else segment.template.calls
    return sum(not is_view(call.operator) for call in calls)


def _record(chain: Sequence[_Segment], space: Space) -> Block:
    keys = [segment.key if isinstance(segment, LooseRun) else segment.template.key for segment in chain]
    return Block(
        key=keys[0] if len(keys) == 1 else hashlib.sha256("\n".join(keys).encode()).hexdigest(),
        module=" + ".join(dict.fromkeys(segment.path for segment in chain)),
        guard=simplified(chain[0].guard, space),
        of_choice=chain[0].of_choice,
        inputs=tuple(map(spec_of, chain[0].inputs)),
        outputs=tuple(map(spec_of, chain[-1].outputs)),
        num_operations=sum(map(_num_operations, chain)),
    )


def _module(segment: _Segment) -> nn.Module:
    if isinstance(segment, LooseRun):
        return segment.module()
    with torch.no_grad():
        module = copied(original(segment.module))
    args, kwargs = segment.arguments
    if not kwargs and len(args) == len(segment.inputs) and all(map(_is, args, segment.inputs)):
        if segment.template.tree.is_leaf():
            return module
    position = {id(tensor): index for index, tensor in enumerate(segment.inputs)}
    leaves, tree = pytree.tree_flatten((args, kwargs))
    return _Adapter(module, [(position.get(id(leaf)), leaf) for leaf in leaves], tree)


_is: Callable[[Any, Any], bool] = lambda one, other: one is other  # noqa: E731


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
