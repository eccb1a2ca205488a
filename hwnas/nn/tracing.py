"""The traced pass: the supernet's forward, once, with every candidate of every choice under its guard.

The pass runs shadows (`shadow.py`) of the modules on meta tensors. Three kinds of modules are told apart:

- a module with choices runs every possible combination of its options, each under its guard, and merges what comes out:
  equal shapes into one tensor, different shapes into a `Variant` (`variants.py`); but a block of a `Repeat`, an edge of
  a `Node` and an end of `LooseEnds` run once, under all the options that have them;
- a module that has such modules below it runs as it is; where it asks for something that differs between options, it
  runs once for each case;
- any other module, at the top of its kind, is a *block*: it runs once for each shape of its inputs, and equal blocks on
  equal shapes are run once only.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hwnas.errors import TraceError
from hwnas.nn.block_run import BlockRunner
from hwnas.nn.cases import layout_of
from hwnas.nn.choice_module import ChoiceModule
from hwnas.nn.input_choice import InputChoice
from hwnas.nn.loose_ends import LooseEnds
from hwnas.nn.node import Node
from hwnas.nn.recorder import Recorder
from hwnas.nn.repeat import Repeat
from hwnas.nn.shadow import is_shadow, original, shadow_of
from hwnas.nn.variants import Piece, apply, variants_in
from hwnas.nn.view import Structure
from hwnas.trace import ALWAYS, Guard

__all__ = ["Tracer"]

_MAX_ENUMERATED_SUBSETS = 64

_FUSED_MODULES = (nn.RNNBase, nn.MultiheadAttention)
"""Some devices run these as one kernel, without the activations in between that the pass sees."""


class Tracer(BlockRunner):
    """One pass. `tape.items` holds `Call`, `BlockRun` and `Merge` in the order in which they ran."""

    def __init__(self, recorder: Recorder, structure: Structure | None) -> None:
        """See the class.

        Args:
            recorder: writes what runs.
            structure: where the choices are; None for a network without any, which is then one block.
        """
        super().__init__(recorder, () if structure is None else structure.space.choices)
        self._names = {} if structure is None else structure.names
        self._routes = {} if structure is None else structure.routes
        self._of_choice = False
        self._shadows: dict[nn.Module, nn.Module] = {}
        self._buffers: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def is_exact(self) -> bool:
        """False once something was recorded that only bounds the memory from above."""
        return self.recorder.is_exact

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

    def _call_container(self, shadow: nn.Module, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._of_choice = False
        with self.inside(path):
            return self.forking(lambda: self.run_forward(shadow, args, kwargs))

    def _call_plain(self, shadow: nn.Module, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if isinstance(original(shadow), _FUSED_MODULES):
            self.recorder.is_exact = False
        with self.inside(path):
            if self.recorder.tape is not self.tape:
                return self.run_forward(shadow, args, kwargs)
            of_choice, self._of_choice = self._of_choice, False

            def run(*args: Any, **kwargs: Any) -> Any:
                return self.run_block(shadow, path, of_choice, args, kwargs)

            return apply(run, args, kwargs) if variants_in((args, kwargs)) else run(*args, **kwargs)

    def _call_choice(self, shadow: nn.Module, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module = original(shadow)
        assert isinstance(module, ChoiceModule)
        with self.inside(path):
            if isinstance(module, Repeat):
                return self._call_repeat(module, path, *args, **kwargs)
            if isinstance(module, Node):
                return self._call_node(module, path, *args, **kwargs)
            if isinstance(module, LooseEnds):
                return self._call_loose_ends(module, path, *args, **kwargs)
            slots = {slot.key: slot for slot in module.slots()}
            names = self._names[module]
            if isinstance(module, InputChoice) and 2 ** len(slots) > _MAX_ENUMERATED_SUBSETS:
                return self._call_subset(module, *args, **kwargs)
            pieces: list[Piece] = []
            for guard, codes in self.algebra.combinations(self.guard, names.values()):
                options = {key: slots[key].options[codes[name]] for key, name in names.items()}
                pieces.append((guard, self.under(guard, self._call_selected, module, path, options, args, kwargs)))
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
        depths = [module.depth_of({slot.key: option}) for slot in slots for option in slot.options]
        depths = depths or [module.depth_of({})]
        pieces: list[Piece] = []
        for position in range(max(depths) + 1):
            guards = []
            for wanted in ([depth == position for depth in depths], [depth > position for depth in depths]):
                codes = list(itertools.compress(range(len(depths)), wanted))
                own = self.algebra.option(names[slots[0].key], codes) if slots else ALWAYS
                guards.append(self.algebra.both(self.guard, own) if codes else Guard(()))
            ending, deeper = guards
            if ending.boxes:
                pieces.append((ending, x))
            if not deeper.boxes:
                break
            block = self.shadow(module.blocks[position], f"{path}.{position}" if path else str(position))
            self._of_choice = True
            x = self.under(deeper, block, x)
        return self.merged(pieces)

    def _call_node(self, module: Node, path: str, inputs: Any) -> Any:
        """Every edge once, under the tuples that have it, and the sum of each tuple."""
        name = self._names[module]["inputs"]
        tuples = module.slots()[0].options
        outputs: dict[int, Any] = {}
        for position, edge in enumerate(module.edges):
            having = [code for code, option in enumerate(tuples) if option in module.tuples_with(position)]
            guard = self.algebra.both(self.guard, self.algebra.option(name, having))
            if guard.boxes:
                self._of_choice = True
                shadow = self.shadow(edge, f"{path}.{position}" if path else str(position))
                outputs[position] = self.under(guard, shadow, inputs[position])
        pieces: list[Piece] = []
        for guard, codes in self.algebra.combinations(self.guard, [name]):
            chosen = tuples[codes[name]]
            assert isinstance(chosen, tuple)
            summands = [outputs[position] for position in chosen]
            pieces.append((guard, self.under(guard, functools.reduce, operator.add, summands)))
        return self.merged(pieces)

    def _call_loose_ends(self, module: LooseEnds, path: str, inputs: Any) -> Any:
        """Every end once, where its node is loose, and added there to those that come after it."""
        names = self._names[module]
        slots = {slot.key: slot for slot in module.slots()}
        self.recorder.is_exact = False
        total, buffer, influence = None, None, frozenset[str]()
        for position, required in reversed(list(module.guards().items())):
            guard = self.guard
            for key, options in required.items():
                codes = [slots[key].options.index(option) for option in options]
                guard = self.algebra.both(guard, self.algebra.option(names[key], codes))
            if not guard.boxes:
                continue
            self._of_choice = True
            end = self.shadow(module.get_submodule(position), f"{path}.{position}" if path else position)
            output = self.under(guard, end, inputs[int(position)])
            influence |= self._influence(output) | set(map(names.__getitem__, required))
            if total is None:  # the last end, which is always loose
                total, buffer = output, self.tape.buffer(output)
                continue
            added = self.under(guard, operator.add, total, output)
            if buffer is not None:  # the sum takes the place of the last one
                self.tape.declare(added, buffer)
                self.tape.influences[buffer] |= influence
        return total

    def _call_subset(self, module: InputChoice, inputs: Any) -> Any:
        """A sum or mean of any subset, without running all 2^n: each input is added under its own choice."""
        names = self._names[module]
        if variants_in(list(inputs)) or len({layout_of(tensor) for tensor in inputs}) > 1:
            raise TraceError(
                f"The inputs of an InputChoice that may choose any subset of more than "
                f"{_MAX_ENUMERATED_SUBSETS.bit_length() - 1} must have one shape, whatever is chosen; got "
                f"{[tuple(tensor.shape) for tensor in inputs]}. Give it inputs of one shape, or `n_chosen`."
            )
        self.recorder.is_exact = False
        total = torch.zeros_like(inputs[0])
        buffer = self.tape.buffer(total)
        for position, tensor in enumerate(inputs):
            name = names[str(position)]
            guard = self.algebra.both(self.guard, self.algebra.option(name, (1,)))
            if guard.boxes:
                added = self.under(guard, operator.add, total, tensor)
                if buffer is not None:  # the sum takes the place of the last one
                    self.tape.declare(added, buffer)
                    self.tape.influences[buffer] |= {name} | self._influence(tensor)
        return total / len(inputs) if module.reduction == "mean" else total

    def _influence(self, tensor: Tensor) -> frozenset[str]:
        buffer = self.tape.buffer(tensor)
        return frozenset() if buffer is None else self.tape.influences[buffer]
