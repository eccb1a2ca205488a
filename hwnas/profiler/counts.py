"""Profilers of what is counted: multiply-accumulates, parameters, bytes of the file."""

from __future__ import annotations

from torch import nn

from hwnas.cost import guarded_sum
from hwnas.nn import Inputs, ModelSpace
from hwnas.nn.operators import MacFormulas
from hwnas.profiler.cost_profiler import CostProfiler, model_space_of
from hwnas.trace import Guard, simplified

__all__ = ["FlopsProfiler", "NumParamsProfiler", "SizeProfiler"]


class FlopsProfiler(CostProfiler):
    """Multiply-accumulates of convolutions, linear layers, matrix products and Fourier transforms.

    The NAS literature calls them FLOPs; PyTorch's FlopCounterMode counts each twice. They are those of the example
    inputs, whole batch.
    """

    def __init__(
        self,
        space: ModelSpace | nn.Module,
        example_inputs: Inputs | None = None,
        *,
        operators: MacFormulas | None = None,
    ) -> None:
        """See the class.

        Args:
            space: a space, or a module with choices.
            example_inputs: a tensor, a tuple of positional or a dict of keyword arguments. A module needs them; of a
                space they take the place of its own.
            operators: multiply-accumulates of operators that hwnas does not know, by name ("aten::svd"): a number, 0
                if it is free, or a function of the operator's arguments and result.

        Raises:
            TraceError: the module cannot run on the inputs, or has an operator that nobody can count.
            BadInputError: a module without example inputs.
        """
        space = model_space_of(space, example_inputs)
        macs: dict[Guard, int] = {}
        for operation in space.trace(operators=operators).operations:
            if operation.macs:
                macs[operation.guard] = macs.get(operation.guard, 0) + operation.macs
        quantities = ((simplified(guard, space.space), value) for guard, value in macs.items())
        cost = guarded_sum(space.space, quantities, unit="macs")
        super().__init__("macs", space.space, cost, is_whole=True)


class NumParamsProfiler(CostProfiler):
    """Elements of all parameters of the frozen network, used or not; buffers are not among them."""

    def __init__(self, space: ModelSpace | nn.Module, example_inputs: Inputs | None = None) -> None:
        """See `FlopsProfiler`."""
        space = model_space_of(space, example_inputs)
        quantities = ((weight.guard, weight.num_elements) for weight in space.weights() if weight.is_parameter)
        cost = guarded_sum(space.space, quantities, unit="params")
        super().__init__("params", space.space, cost, is_whole=True)


class SizeProfiler(CostProfiler):
    """Bytes of the weights in the deployed file: parameters and buffers of numbers, without counters.

    An estimate: an exporter may fold a batch norm into a convolution, and adds the graph. The file itself is what a
    search verifies.
    """

    def __init__(self, space: ModelSpace | nn.Module, example_inputs: Inputs | None = None) -> None:
        """See `FlopsProfiler`."""
        space = model_space_of(space, example_inputs)
        quantities = ((weight.guard, weight.num_bytes) for weight in space.weights() if weight.is_floating_point)
        cost = guarded_sum(space.space, quantities, unit="bytes")
        super().__init__("size", space.space, cost, is_whole=True)
