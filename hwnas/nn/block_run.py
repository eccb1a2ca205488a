"""Blocks of the traced pass: modules without choices, which run once for each shape of their inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from hwnas.nn.cases import GuardedRun, layout_of
from hwnas.nn.recorder import Call, Recorder, Tape, tape_key
from hwnas.nn.shadow import original, structure_token
from hwnas.space import Choice
from hwnas.trace import Guard

__all__ = ["BlockRun", "BlockRunner", "Template"]


@dataclasses.dataclass(slots=True)
class Template:
    """What a block does, on buffers of its own.

    Attributes:
        tape: the block's own; all its items are calls.
        owners: for each buffer of the tape that an input looks at, the first such input.
        outputs: leaves of the result: `_Given`, a tensor of the block's own, or another value.
        tree: how the leaves make the result.
        key: of the operators (see `tape_key`).
        path: of the module that was traced.
    """

    tape: Tape
    owners: dict[int, int]
    outputs: list[Any]
    tree: pytree.TreeSpec
    key: str
    path: str


@dataclasses.dataclass(slots=True)
class BlockRun:
    """A block as it ran: on which tensors, under which guard, and which buffers its template's are."""

    template: Template
    module: nn.Module
    path: str
    guard: Guard
    of_choice: bool
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    inputs: list[Tensor]
    outputs: list[Tensor]
    buffers: list[int | None]
    first: int  # its position in the pass

    @property
    def last(self) -> int:
        """The same, as a run of operators has it."""
        return self.first

    @property
    def key(self) -> str:
        """Of the template."""
        return self.template.key

    @property
    def calls(self) -> list[Call]:
        """Of the template."""
        return self.template.tape.items


@dataclasses.dataclass(slots=True)
class _Given:
    """The input at this position, given back as it is."""

    position: int


class BlockRunner(GuardedRun):
    """Runs blocks: equal ones on equal shapes are run once, and repeated on the tape."""

    def __init__(self, recorder: Recorder, choices: Sequence[Choice]) -> None:
        super().__init__(recorder, choices)
        self._templates: dict[Any, Template] = {}

    def run_forward(self, shadow: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The forward of what a shadow is the shadow of, with the shadow as `self`."""
        own = original(shadow).__dict__.get("forward")
        return own(*args, **kwargs) if own is not None else type(shadow).forward(shadow, *args, **kwargs)

    def run_block(
        self, shadow: nn.Module, path: str, of_choice: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of a block; none of its inputs may be a variant."""
        leaves, tree = pytree.tree_flatten((args, kwargs))
        inputs = list({id(leaf): leaf for leaf in leaves if isinstance(leaf, Tensor)}.values())
        self.check_reads([buffer for tensor in inputs if (buffer := self.tape.buffer(tensor)) is not None])
        template = None
        key = None if self.recorder.with_values else self._template_key(shadow, leaves, tree, inputs)
        template = self._templates.get(key)
        if template is None:
            template, made = self._new_template(shadow, path, inputs, args, kwargs)
            if key is not None:
                self._templates[key] = template
        else:
            with self.recorder.paused():
                made = [_again(template, leaf, inputs) for leaf in template.outputs]
        tape = template.tape
        buffers: list[int | None] = []
        for local, (num_bytes, influence) in enumerate(zip(tape.buffer_bytes, tape.influences, strict=True)):
            if local in template.owners:
                buffers.append(self.tape.buffer(inputs[template.owners[local]]))
            else:
                buffers.append(self.tape.new_buffer(num_bytes, influence, self.guard))
        outputs = [leaf for leaf in made if isinstance(leaf, Tensor)]
        for leaf, source in zip(made, template.outputs, strict=True):
            local_buffer = tape.buffer(source) if isinstance(source, Tensor) else None
            buffer = None if local_buffer is None else buffers[local_buffer]
            if buffer is not None:
                self.tape.declare(leaf, buffer)
        self.tape.items.append(
            BlockRun(
                template=template,
                module=shadow,
                path=path,
                guard=self.guard,
                of_choice=of_choice,
                arguments=(args, kwargs),
                inputs=inputs,
                outputs=outputs,
                buffers=buffers,
                first=len(self.tape.items),
            )
        )
        return pytree.tree_unflatten(made, template.tree)

    def _template_key(self, shadow: nn.Module, leaves: list[Any], tree: Any, inputs: list[Tensor]) -> Any:
        """Equal for calls that do the same; None if that cannot be said."""
        number = {id(tensor): position for position, tensor in enumerate(inputs)}
        marks = tuple(
            (number[id(leaf)], layout_of(leaf)) if isinstance(leaf, Tensor) else (type(leaf), leaf) for leaf in leaves
        )
        buffers = [self.tape.buffer(tensor) for tensor in inputs]
        key = (structure_token(shadow), marks, str(tree), tuple(map(buffers.index, buffers)))
        try:
            hash(key)
        except TypeError:  # an argument that has no hash
            return None
        return key

    def _new_template(
        self, shadow: nn.Module, path: str, inputs: list[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Template, list[Any]]:
        tape = self.recorder.tape = Tape()
        owners: dict[int, int] = {}
        by_buffer: dict[int, int] = {}
        for position, tensor in enumerate(inputs):
            buffer = self.tape.buffer(tensor)
            influence = frozenset() if buffer is None else self.tape.influences[buffer]
            local = tape.declare(tensor, None if buffer is None else by_buffer.get(buffer), influence)
            owners.setdefault(local, position)
            if buffer is not None:
                by_buffer[buffer] = local
        try:
            result = self.run_forward(shadow, args, kwargs)
        finally:
            self.recorder.tape = self.tape
        for local, position in owners.items():  # written in place
            buffer = self.tape.buffer(inputs[position])
            if buffer is not None:
                self.tape.influences[buffer] |= tape.influences[local]
        made, tree = pytree.tree_flatten(result)
        outputs = [
            next((_Given(position) for position, tensor in enumerate(inputs) if leaf is tensor), leaf) for leaf in made
        ]
        key = tape_key(tape.items, inputs, [leaf for leaf in made if isinstance(leaf, Tensor)])
        return Template(tape, owners, outputs, tree, key, path), made


def _again(template: Template, leaf: Any, inputs: list[Tensor]) -> Any:
    """A leaf of the result of a template, for another call."""
    if isinstance(leaf, _Given):
        return inputs[leaf.position]
    if isinstance(leaf, Tensor) and template.tape.buffer(leaf) is not None:
        return torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="meta")
    return leaf
