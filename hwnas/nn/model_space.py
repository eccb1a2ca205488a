"""A module with choices in it, as a function of its input and a selection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hwnas.errors import SpaceError
from hwnas.nn import freezing
from hwnas.nn.blocks import TracedBlock
from hwnas.nn.choice_module import ChoiceModule
from hwnas.nn.derivation import derive
from hwnas.nn.operators import MacFormulas
from hwnas.nn.traced import TracedSpace, trace_space
from hwnas.nn.view import Selection, SelectionView
from hwnas.nn.weights import trace_weights
from hwnas.space import Option, Space
from hwnas.trace import Trace, Weight

__all__ = ["Inputs", "ModelSpace", "call"]

Inputs = Tensor | tuple[Any, ...] | dict[str, Any]
"""What a model is called with: its only argument, its positional arguments, or its keyword arguments."""


def call(module: nn.Module, inputs: Inputs) -> Any:
    """What the module gives for the inputs.

    Raises:
        SpaceError: inputs that are neither a tensor, nor a tuple, nor a dict.
    """
    if isinstance(inputs, Tensor):
        return module(inputs)
    if isinstance(inputs, tuple):
        return module(*inputs)
    if isinstance(inputs, dict):
        return module(**inputs)
    raise SpaceError(
        "Inputs must be a tensor, a tuple of positional arguments or a dict of keyword arguments; got "
        f"{type(inputs).__name__}. Write (argument,) for a single argument that is not a tensor."
    )


class ModelSpace(nn.Module):
    """A space of networks with shared weights.

    `forward` is a function of the inputs and of a selection, as `torch.func.functional_call` is one of parameters:
    it runs a view of the module tree and leaves nothing behind. Its state dict is that of the supernet, under
    `module.`. The module tree must not change once it is here.

    Attributes:
        module: the supernet.
        space: its choices; one without a label is called by the path of its module, an elastic argument
            `<path>.<argument>`.
        example_inputs: as given; a single tensor as a tuple of one.
        operators: as given.
    """

    def __init__(self, module: nn.Module, example_inputs: Inputs, *, operators: MacFormulas | None = None) -> None:
        """See the class.

        Args:
            module: a module with choices below it (or one itself, then with labels).
            example_inputs: a tensor, a tuple of positional arguments or a dict of keyword arguments, with the batch
                and image size at which costs are counted and measured.
            operators: how many multiply-accumulates the operators have that hwnas does not know, by name
                ("aten::svd"): a number, 0 if it is free, or a function of the operator's arguments and result.

        Raises:
            SpaceError: no choices, one label with two lists of options, conditions in a circle, or example inputs
                of another kind.
        """
        super().__init__()
        if not isinstance(module, nn.Module):
            raise SpaceError(f"ModelSpace needs a torch.nn.Module; got {type(module).__name__}.")
        if not isinstance(example_inputs, Tensor | tuple | dict):
            raise SpaceError(
                "Example inputs must be a tensor, a tuple of positional arguments or a dict of keyword arguments; got "
                f"{type(example_inputs).__name__}."
            )
        self.module = module
        self.structure = derive(module)
        self.operators: MacFormulas = dict(operators or {})
        self._traces: dict[object, TracedSpace] = {}
        self._weights: tuple[Weight, ...] | None = None
        self.example_inputs: tuple[Any, ...] | dict[str, Any] = (
            (example_inputs,) if isinstance(example_inputs, Tensor) else example_inputs
        )

    @property
    def space(self) -> Space:
        """The choices of the module."""
        return self.structure.space

    def names_of(self, module: ChoiceModule) -> Mapping[str, str]:
        """What the choices of one of the modules are called in the space, by the keys of its slots."""
        return self.structure.names[module]

    def forward(self, inputs: Inputs, selection: Selection) -> Any:
        """What the selected network gives for the inputs.

        Args:
            inputs: a tensor, a tuple of positional arguments or a dict of keyword arguments.
            selection: an option or `Paths` for every choice that is met; more is allowed, and not looked at.

        Raises:
            ArchitectureError: a choice that is met and not selected, or paths whose outputs cannot be added.
        """
        return call(self.view(selection), inputs)

    def view(self, selection: Selection) -> nn.Module:
        """The selected network, sharing every parameter and buffer with the supernet.

        Good for one forward and backward pass, since slices of parameters are part of its graph.

        Raises:
            ArchitectureError: a choice that is met and not selected.
        """
        return SelectionView(self.structure, selection)(self.module)

    def freeze(self, architecture: Mapping[str, Option]) -> nn.Module:
        """One network as plain PyTorch, with a copy of the supernet's weights.

        Raises:
            ArchitectureError: an architecture that the space does not allow.
        """
        selection = self.space.validate(architecture)
        with torch.no_grad():
            return freezing.copied(self.view(selection))

    def trace(self, *, operators: MacFormulas | None = None) -> Trace:
        """What the networks run, on what memory; see `hwnas.trace`. Remembered.

        Args:
            operators: beside those of the space, and before them.

        Raises:
            TraceError: the module cannot run on the example inputs, or has an operator that nobody can count.
        """
        return self._traced(operators).trace

    def blocks(self, *, operators: MacFormulas | None = None) -> tuple[TracedBlock, ...]:
        """The blocks of `trace()`, as plain modules in evaluation mode with example inputs.

        Raises:
            TraceError: as `trace`.
        """
        return self._traced(operators).blocks()

    def weights(self) -> tuple[Weight, ...]:
        """The parameters and buffers of the frozen networks, each with the networks that have it. Remembered.

        Raises:
            TraceError: a module whose options combine in too many ways.
        """
        if self._weights is None:
            self._weights = trace_weights(self.module, self.structure)
        return self._weights

    def _traced(self, operators: MacFormulas | None) -> TracedSpace:
        formulas = {**self.operators, **(operators or {})}
        key = tuple(formulas.items())
        if key not in self._traces:
            self._traces[key] = trace_space(self.module, self.structure, self.example_inputs, formulas)
        return self._traces[key]
