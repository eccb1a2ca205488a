"""Which networks of a space have which parameters and buffers.

A walk over the module tree, not over what runs: a parameter that is never used is in the frozen network all the same.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn

from hwnas.nn.choice_module import ChoiceModule
from hwnas.nn.loose_ends import LooseEnds
from hwnas.nn.node import Node
from hwnas.nn.repeat import Repeat
from hwnas.nn.view import Structure
from hwnas.trace import ALWAYS, Guard, GuardAlgebra, Weight, disjoint, simplified

__all__ = ["trace_weights"]


def trace_weights(root: nn.Module, structure: Structure) -> tuple[Weight, ...]:
    """The parameters and buffers of the frozen networks; slices of one parameter are weights of their own.

    Raises:
        TraceError: a module whose options combine in too many ways.
    """
    walk = _Walk(structure)
    walk.visit(root, "", ALWAYS)
    num_options = {choice.name: choice.num_options for choice in structure.space.choices}
    return tuple(
        Weight(
            name=found.name,
            guard=simplified(disjoint(list(found.guards), num_options), structure.space),
            num_elements=found.tensor.numel(),
            num_bytes=found.tensor.numel() * found.tensor.element_size(),
            is_parameter=found.is_parameter,
            is_floating_point=found.tensor.is_floating_point() or found.tensor.is_complex(),
        )
        for found in walk.found.values()
    )


@dataclasses.dataclass(slots=True)
class _Found:
    name: str
    tensor: Tensor  # kept, so that no other tensor gets its memory
    is_parameter: bool
    guards: dict[Guard, None]


class _Walk:
    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.algebra = GuardAlgebra({choice.name: choice.num_options for choice in structure.space.choices})
        self.found: dict[object, _Found] = {}

    def visit(self, module: nn.Module, path: str, guard: Guard) -> None:
        if isinstance(module, ChoiceModule):
            self._visit_choice(module, path, guard)
            return
        for name, parameter in module._parameters.items():
            sliced = module.__dict__.get(name)  # a slice of a parameter is a plain attribute of its name
            if isinstance(sliced, Tensor):
                self._note(_identity(sliced), _join(path, name), sliced, True, guard)
            elif parameter is not None:
                self._note(id(parameter), _join(path, name), parameter, True, guard)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                self._note(_identity(buffer), _join(path, name), buffer, False, guard)
        for name, child in module._modules.items():
            if child is not None:
                self.visit(child, _join(path, name), guard)

    def _note(self, key: object, name: str, tensor: Tensor, is_parameter: bool, guard: Guard) -> None:
        found = self.found.setdefault(key, _Found(name, tensor, is_parameter, {}))
        found.guards[guard] = None

    def _visit_choice(self, module: ChoiceModule, path: str, guard: Guard) -> None:
        if next(module.parameters(), None) is None and next(module.buffers(), None) is None:
            return
        names = self.structure.names[module]
        slots = {slot.key: slot for slot in module.slots()}
        if isinstance(module, LooseEnds | Node | Repeat):
            for name, child in module.named_children():
                beyond = guard
                for key, options in module.guards().get(name, {}).items():
                    codes = [code for code, option in enumerate(slots[key].options) if option in options]
                    beyond = self.algebra.both(beyond, self.algebra.option(names[key], codes)) if codes else Guard(())
                if beyond.boxes:
                    self.visit(child, _join(path, name), beyond)
            return
        paths = {child: _join(path, name) for name, child in module.named_modules()}
        for joint, chosen in self.algebra.combinations(guard, names.values()):
            selected = module.select(
                {key: slots[key].options[chosen[name]] for key, name in names.items()}, lambda child: child
            )
            self.visit(selected, paths.get(selected, path), joint)


def _identity(tensor: Tensor) -> object:
    """Equal for tensors that are the same part of the same memory."""
    if not tensor.numel():
        return id(tensor)
    memory = tensor.untyped_storage()._cdata
    return (memory, tensor.storage_offset(), tensor.dtype, tuple(tensor.shape), tensor.stride())


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
