"""What one plain network costs: counted by running it, without any table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from hwnas.nn.operators import MacFormulas
from hwnas.nn.recorder import Call, Merge
from hwnas.nn.supernet_pass import SupernetPass, run_pass

__all__ = ["Counts", "count"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counts:
    """The costs of a network.

    Attributes:
        macs: multiply-accumulates of convolutions, linear layers, matrix products and Fourier transforms.
        params: elements of all parameters.
        peak_memory_bytes: live activations at the worst moment, the network's inputs and outputs included: a tensor
            lives from its creation to its last use, views share memory, operators run in eager order.
    """

    macs: int
    params: int
    peak_memory_bytes: int


def count(
    module: nn.Module,
    example_inputs: Tensor | tuple[Any, ...] | Mapping[str, Any],
    *,
    operators: MacFormulas | None = None,
) -> Counts:
    """The costs of a plain network on inputs like these, in evaluation mode; it stays as it is.

    Args:
        module: without choices (a frozen one, for example).
        example_inputs: a tensor, a tuple of positional arguments or a dict of keyword arguments.
        operators: formulas for operators that hwnas does not know, by name ("aten::svd"); 0: free.

    Raises:
        TraceError: it cannot run on the inputs, or has an operator that nobody can count.
    """
    inputs = (example_inputs,) if isinstance(example_inputs, Tensor) else example_inputs
    ran = run_pass(module, None, inputs, operators or {})
    calls = _calls(ran)
    return Counts(
        macs=sum(macs for macs, _, _ in calls),
        params=sum(parameter.numel() for parameter in module.parameters()),
        peak_memory_bytes=_peak(ran, calls),
    )


def _calls(ran: SupernetPass) -> list[tuple[int, list[int], list[int]]]:
    """For each operator its MACs, and the buffers that it reads and writes."""
    result = []
    for item in ran.items:
        assert not isinstance(item, Merge)
        if isinstance(item, Call):
            result.append((item.macs, list(item.reads), list(item.writes)))
        else:
            for call in item.calls:
                reads, writes = (
                    [buffer for local in locals_ if (buffer := item.buffers[local]) is not None]
                    for locals_ in (call.reads, call.writes)
                )
                result.append((call.macs, reads, writes))
    return result


def _peak(ran: SupernetPass, calls: list[tuple[int, list[int], list[int]]]) -> int:
    last_use = dict.fromkeys(ran.inputs, -1)
    for position, (_, reads, writes) in enumerate(calls):
        last_use.update(dict.fromkeys((*reads, *writes), position))
    last_use.update((buffer, len(calls)) for _, buffer in ran.output_buffers)
    ending: dict[int, list[int]] = {}
    for buffer, position in last_use.items():
        ending.setdefault(position, []).append(buffer)
    live = peak = sum(ran.buffer_bytes[buffer] for buffer in ran.inputs)
    live -= sum(ran.buffer_bytes[buffer] for buffer in ending.get(-1, ()))
    for position, (_, _, writes) in enumerate(calls):
        live += sum(ran.buffer_bytes[buffer] for buffer in writes)
        peak = max(peak, live)
        live -= sum(ran.buffer_bytes[buffer] for buffer in ending.get(position, ()))
    return peak
