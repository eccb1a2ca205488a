"""From a pass over a supernet to its records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import nn

from hwnas.nn.block_run import BlockRun
from hwnas.nn.blocks import PendingBlock, TracedBlock, pending_blocks, traced_blocks
from hwnas.nn.operators import MacFormulas
from hwnas.nn.recorder import Call, Merge
from hwnas.nn.supernet_pass import SupernetPass, run_pass
from hwnas.nn.view import Structure
from hwnas.trace import Guard, Operation, Trace

__all__ = ["TracedSpace", "trace_space"]


@dataclasses.dataclass(frozen=True, eq=False)
class TracedSpace:
    """A trace, and what is needed to make modules of its blocks."""

    trace: Trace
    ran: SupernetPass
    pending: tuple[PendingBlock, ...]

    def blocks(self) -> tuple[TracedBlock, ...]:
        """The blocks as plain modules in evaluation mode, with example inputs."""
        return traced_blocks(self.pending, self.ran.given)


def trace_space(
    module: nn.Module,
    structure: Structure,
    example_inputs: tuple[Any, ...] | Mapping[str, Any],
    operators: MacFormulas,
) -> TracedSpace:
    """Traces a supernet; it, its weights and the random state stay as they are.

    Args:
        module: the supernet.
        structure: where its choices are.
        example_inputs: positional arguments, or keyword arguments.
        operators: formulas of the user's for operators, by name ("aten::svd"); a number is a constant, 0: free.

    Raises:
        TraceError: the supernet cannot be traced; the message names the module.
    """
    ran = run_pass(module, structure, example_inputs, operators)
    pending = pending_blocks(ran, structure.space)
    trace = Trace(
        operations=_operations(ran),
        blocks=tuple(block.block for block in pending),
        buffer_bytes=ran.buffer_bytes,
        merges={item.buffer: item.pieces for item in ran.items if isinstance(item, Merge)},
        inputs=ran.inputs,
        outputs=ran.output_buffers,
        is_exact=ran.is_exact,
    )
    return TracedSpace(trace, ran, pending)


def _operations(ran: SupernetPass) -> tuple[Operation, ...]:
    result: list[Operation] = []
    for item in ran.items:
        if isinstance(item, Call):
            result.append(_operation(item, item.path, item.guard, item.reads, item.writes))
        elif isinstance(item, BlockRun):
            buffers, root = item.buffers, len(item.template.path)
            for call in item.calls:
                reads = tuple(buffer for local in call.reads if (buffer := buffers[local]) is not None)
                writes = tuple(buffer for local in call.writes if (buffer := buffers[local]) is not None)
                result.append(_operation(call, item.path + call.path[root:], item.guard, reads, writes))
    return tuple(result)


def _operation(call: Call, path: str, guard: Guard, reads: tuple[int, ...], writes: tuple[int, ...]) -> Operation:
    return Operation(name=str(call.operator), module=path, guard=guard, macs=call.macs, reads=reads, writes=writes)
