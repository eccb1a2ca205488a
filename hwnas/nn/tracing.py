"""The traced pass: the supernet's forward, once, with every candidate of every choice under its guard.

The pass runs shadows (`shadow.py`) of the modules on meta tensors. Three kinds of modules are told apart:

- a module with choices runs every possible combination of its options, each under its guard, and merges what comes out:
  equal shapes into one tensor, different shapes into a `Variant` (`variants.py`);
- a module that has such modules below it runs as it is; where it asks for something that differs between options, it
  runs once for each case;
- any other module, at the top of its kind, is a *block*: it runs once for each shape of its inputs, and equal blocks on
  equal shapes are run once only.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from hwnas.errors import TraceError
from hwnas.nn.cases import GuardedRun, layout_of
from hwnas.nn.choice_module import ChoiceModule
from hwnas.nn.input_choice import InputChoice
from hwnas.nn.recorder import Call, Recorder, Tape, tape_key
from hwnas.nn.repeat import Repeat
from hwnas.nn.shadow import is_shadow, original, shadow_of, structure_token
from hwnas.nn.variants import Piece, apply, variants_in
from hwnas.nn.view import Structure
from hwnas.trace import Guard

__all__ = ["BlockRun", "Template", "Tracer"]

_MAX_ENUMERATED_SUBSETS = 64


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

    @property
    def calls(self) -> list[Call]:
        """The operators, in order."""
        return self.tape.items


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


@dataclasses.dataclass(slots=True)
class _Given:
    """The input at this position, given back as it is."""

    position: int


class Tracer(GuardedRun):
    """One pass. `tape.items` holds `Call`, `BlockRun` and `Merge` in the order in which they ran.

    Attributes:
        is_exact: false once something was recorded that only bounds the memory from above.
    """

    def __init__(self, recorder: Recorder, structure: Structure | None) -> None:
        """See the class.

        Args:
            recorder: writes what runs.
            structure: where the choices are; None for a network without any, which is then one block.
        """
        super().__init__(recorder, () if structure is None else structure.space.choices)
        self._names = {} if structure is None else structure.names
        self._routes = {} if structure is None else structure.routes
        self.is_exact = True
        self._of_choice = False
        self._shadows: dict[nn.Module, nn.Module] = {}
        self._templates: dict[Any, Template] = {}
        self._buffers: dict[int, tuple[Tensor, Tensor]] = {}

    def shadow(self, module: nn.Module, path: str) -> nn.Module:
        """The shadow of a module, always the same one."""
        with self.recorder.paused():
            return self._shadow(module, path)

    def _shadow(self, module: nn.Module, path: str) -> nn.Module:
        if is_shadow(module):
            return module
        if module not in self._shadows:
            if isinstance(module, ChoiceModule):
                call: Callable[..., Any] = self._call_choice
            elif module in self._routes:
                call = self._call_container
            else:
                call = self._call_plain
            if isinstance(module, torch.jit.ScriptModule):
                return module
            self._shadows[module] = shadow_of(
                module,
                forward=lambda shadow: lambda *args, **kwargs: call(shadow, path, args, kwargs),
                child=lambda name, child: self._shadow(child, f"{path}.{name}" if path else name),
                tensor=self._tensor,
            )
        return self._shadows[module]

    def _tensor(self, tensor: Tensor, is_buffer: bool) -> Tensor:
        if not self.recorder.with_values:
            return self.recorder.meta(tensor)
        if not is_buffer:
            return tensor
        if id(tensor) not in self._buffers:
            self._buffers[id(tensor)] = (tensor, tensor.detach().clone())
        return self._buffers[id(tensor)][1]

    @contextlib.contextmanager
    def _inside(self, path: str) -> Iterator[None]:
        self.recorder.path.append(path)
        try:
            yield
        except Exception:
            if self.failed_path is None:
                self.failed_path, self.failed_guard = path, self.guard
            raise
        finally:
            self.recorder.path.pop()

    def _forward(self, shadow: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        own = original(shadow).__dict__.get("forward")
        return own(*args, **kwargs) if own is not None else type(shadow).forward(shadow, *args, **kwargs)

    def _call_container(self, shadow: nn.Module, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._of_choice = False
        with self._inside(path):
            return self.forking(lambda: self._forward(shadow, args, kwargs))

    def _call_plain(self, shadow: nn.Module, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._inside(path):
            if self.recorder.tape is not self.tape:
                return self._forward(shadow, args, kwargs)
            of_choice, self._of_choice = self._of_choice, False

            def run(*args: Any, **kwargs: Any) -> Any:
                return self._run_block(shadow, path, of_choice, args, kwargs)

            return apply(run, args, kwargs) if variants_in((args, kwargs)) else run(*args, **kwargs)

    def _run_block(
        self, shadow: nn.Module, path: str, of_choice: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        leaves, tree = pytree.tree_flatten((args, kwargs))
        inputs = list({id(leaf): leaf for leaf in leaves if isinstance(leaf, Tensor)}.values())
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
                buffers.append(self.tape.new_buffer(num_bytes, influence))
        outputs = [leaf for leaf in made if isinstance(leaf, Tensor)]
        for leaf, source in zip(made, template.outputs, strict=True):
            local_buffer = tape.buffer(source) if isinstance(source, Tensor) else None
            buffer = None if local_buffer is None else buffers[local_buffer]
            if buffer is not None:
                self.tape.declare(leaf, buffer)
        self.tape.items.append(
            BlockRun(template, shadow, path, self.guard, of_choice, (args, kwargs), inputs, outputs, buffers)
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
            result = self._forward(shadow, args, kwargs)
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

    # Modules with choices

    def _call_choice(self, shadow: nn.Module, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module = original(shadow)
        assert isinstance(module, ChoiceModule)
        with self._inside(path):
            if isinstance(module, Repeat):
                return self._call_repeat(module, path, *args, **kwargs)
            slots = {slot.key: slot for slot in module.slots()}
            names = self._names[module]
            if isinstance(module, InputChoice) and 2 ** len(slots) > _MAX_ENUMERATED_SUBSETS:
                return self._call_subset(module, *args, **kwargs)
            pieces: list[Piece] = []
            for guard, codes in self.algebra.combinations(self.guard, names.values()):
                options = {key: slots[key].options[codes[name]] for key, name in names.items()}
                pieces.append(
                    (guard, self.under(guard, lambda o=options: self._call_selected(module, path, o, args, kwargs)))
                )
            return self.merged(pieces)

    def _call_selected(
        self, module: ChoiceModule, path: str, options: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        paths = {child: f"{path}.{name}" if path else name for name, child in module.named_modules()}
        with self.recorder.paused():
            selected = module.select(options, lambda child: self.shadow(child, paths[child]))
        if is_shadow(selected):
            self._of_choice = True
            return selected(*args, **kwargs)
        if any(self._has_choices(child) for child in selected.modules()):
            return self.forking(lambda: selected(*args, **kwargs))
        self._of_choice = True
        return self.shadow(selected, path)(*args, **kwargs)

    def _has_choices(self, module: nn.Module) -> bool:
        return isinstance(module, ChoiceModule) or original(module) in self._routes

    def _call_repeat(self, module: Repeat, path: str, x: Any) -> Any:
        """Every block once, under the depths beyond its position."""
        names = self._names[module]
        slots = module.slots()
        if slots:
            depths = [module.depth_of({slots[0].key: option}) for option in slots[0].options]
            name = names[slots[0].key]
        else:
            depths, name = [module.depth_of({})], None

        def beyond(wanted: Callable[[int], bool]) -> Guard:
            codes = [code for code, depth in enumerate(depths) if wanted(depth)]
            if name is None:
                return self.guard if codes else Guard(())
            return self.algebra.both(self.guard, self.algebra.option(name, codes)) if codes else Guard(())

        pieces: list[Piece] = []
        for position in range(max(depths) + 1):
            ending = beyond(lambda depth, position=position: depth == position)
            if ending.boxes:
                pieces.append((ending, x))
            deeper = beyond(lambda depth, position=position: depth > position)
            if not deeper.boxes:
                break
            block = self.shadow(module.blocks[position], f"{path}.{position}" if path else str(position))
            self._of_choice = True
            x = self.under(deeper, lambda x=x, block=block: block(x))
        return self.merged(pieces)

    def _call_subset(self, module: InputChoice, inputs: Any) -> Any:
        """A sum or mean of any subset, without running all 2^n: each input is added under its own choice."""
        names = self._names[module]
        if variants_in(list(inputs)) or len({layout_of(tensor) for tensor in inputs}) > 1:
            raise TraceError(
                f"The inputs of an InputChoice that may choose any subset of more than "
                f"{_MAX_ENUMERATED_SUBSETS.bit_length() - 1} must have one shape, whatever is chosen; got "
                f"{[tuple(tensor.shape) for tensor in inputs]}. Give it inputs of one shape, or `n_chosen`."
            )
        self.is_exact = False
        total = torch.zeros_like(inputs[0])
        buffer = self.tape.buffer(total)
        for position, tensor in enumerate(inputs):
            name = names[str(position)]
            guard = self.algebra.both(self.guard, self.algebra.option(name, (1,)))
            if guard.boxes:
                added = self.under(guard, lambda tensor=tensor: total + tensor)
                if buffer is not None:  # the sum takes the place of the last one
                    self.tape.declare(added, buffer)
                    self.tape.influences[buffer] |= {name} | self._influence(tensor)
        return total / len(inputs) if module.reduction == "mean" else total

    def _influence(self, tensor: Tensor) -> frozenset[str]:
        buffer = self.tape.buffer(tensor)
        return frozenset() if buffer is None else self.tape.influences[buffer]


def _again(template: Template, leaf: Any, inputs: list[Tensor]) -> Any:
    """A leaf of the result of a template, for another call."""
    if isinstance(leaf, _Given):
        return inputs[leaf.position]
    if isinstance(leaf, Tensor) and template.tape.buffer(leaf) is not None:
        return torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="meta")
    return leaf
