"""One pass over a network from its example inputs to its outputs: on shapes, or where needed with values."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from hwnas.errors import HwnasError, TraceError
from hwnas.nn.block_run import BlockRun
from hwnas.nn.operators import MacFormulas
from hwnas.nn.recorder import Call, Merge, NeedsValues, Recorder, as_meta
from hwnas.nn.tracing import Tracer
from hwnas.nn.variants import Fork, Variant
from hwnas.nn.view import Structure
from hwnas.space import Space
from hwnas.trace import ALWAYS, Guard

__all__ = ["SupernetPass", "run_pass"]

_MAX_RUNS = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupernetPass:
    """What ran.

    Attributes:
        items: in the order in which they ran.
        buffer_bytes: the size of every buffer.
        inputs: the buffers of the example inputs.
        outputs: the network's outputs, and when they are.
        output_buffers: their buffers.
        originals: the weights (and constants) with their data, by the `id` of the tensor in the record.
        given: the example inputs, by the `id` of the tensor in the record.
        is_exact: whether `items` say exactly which buffers there are.
    """

    items: tuple[Call | BlockRun | Merge, ...]
    buffer_bytes: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[Tensor, ...]
    output_buffers: tuple[tuple[Guard, int], ...]
    originals: Mapping[int, Tensor]
    given: Mapping[int, Tensor]
    is_exact: bool


def run_pass(
    module: nn.Module,
    structure: Structure | None,
    example_inputs: tuple[Any, ...] | Mapping[str, Any],
    operators: MacFormulas,
) -> SupernetPass:
    """Runs a network for the record; the network, its weights and the random state stay as they are.

    Args:
        module: a supernet, or a plain network.
        structure: where its choices are; None for a plain network.
        example_inputs: positional arguments, or keyword arguments.
        operators: formulas of the user's for operators.

    Raises:
        TraceError: the network cannot run on the inputs, has an operator that nobody can count, or takes decisions on
            values that too many choices decide.
    """
    try:
        return _Run(module, structure, example_inputs, operators, with_values=False).finish([ALWAYS])
    except NeedsValues:
        pass
    waiting = [ALWAYS]
    while True:
        run = _Run(module, structure, example_inputs, operators, with_values=True)
        try:
            return run.finish(waiting)
        except NeedsValues as error:
            waiting = _split(waiting, run, error, None if structure is None else structure.space)


class _Run:
    """One attempt."""

    def __init__(
        self,
        module: nn.Module,
        structure: Structure | None,
        example_inputs: tuple[Any, ...] | Mapping[str, Any],
        operators: MacFormulas,
        *,
        with_values: bool,
    ) -> None:
        self.tracer = Tracer(Recorder(formulas=operators, with_values=with_values), structure)
        self.module, self.with_values = module, with_values
        args, kwargs = (example_inputs, {}) if isinstance(example_inputs, tuple) else ((), dict(example_inputs))
        self.leaves, self.tree = pytree.tree_flatten((args, kwargs))
        self.input_buffers: dict[int, int] = {}
        self.given: dict[int, Tensor] = {}
        self.outputs: list[tuple[Guard, Tensor]] = []

    def finish(self, guards: list[Guard]) -> SupernetPass:
        """Runs under each of the guards in turn."""
        tracer, tape = self.tracer, self.tracer.tape
        try:
            with tracer.recorder.recording():
                for guard in guards:
                    self.guard = guard
                    self._under(guard)
        except Exception as error:
            _, where, guard = tracer.failure or (error, "", ALWAYS)
            what = f"Module {where!r}" if where else "The network"
            if isinstance(error, TraceError):
                raise TraceError(f"{what}: {error}") from error
            if isinstance(error, HwnasError):
                raise
            case = "" if guard == ALWAYS else f", where {guard}"
            raise TraceError(
                f"{what} cannot run on the example inputs{case}: {type(error).__name__}: "
                f"{str(error).rstrip('.')}. Check their shapes and types, and what the candidates before it give."
            ) from error
        outputs = [(guard, tensor, tape.buffer(tensor)) for guard, tensor in self.outputs]
        return SupernetPass(
            items=tuple(tape.items),
            buffer_bytes=tuple(tape.buffer_bytes),
            inputs=tuple(dict.fromkeys(self.input_buffers.values())),
            outputs=tuple(tensor for _, tensor, _ in outputs),
            output_buffers=tuple((guard, buffer) for guard, _, buffer in outputs if buffer is not None),
            originals=tracer.recorder.originals(),
            given=self.given,
            is_exact=tracer.is_exact,
        )

    def _under(self, guard: Guard) -> None:
        tracer = self.tracer
        with tracer.recorder.paused():
            given = [self._input(position, leaf) for position, leaf in enumerate(self.leaves)]
        args, kwargs = pytree.tree_unflatten(given, self.tree)
        mark = len(tracer.tape.items)
        try:
            result = tracer.under(guard, lambda: tracer.shadow(self.module, "")(*args, **kwargs))
        except Fork as fork:  # the network gives Python values that differ
            tracer.pending = None
            del tracer.tape.items[mark:]
            for inner in fork.guards:
                self._under(inner)
            return
        for leaf in pytree.tree_leaves(result):
            if isinstance(leaf, Variant):
                self.outputs += [
                    (joint, tensor) for own, tensor in leaf.pieces if (joint := tracer.algebra.both(guard, own)).boxes
                ]
            elif isinstance(leaf, Tensor):
                self.outputs.append((guard, leaf))

    def _input(self, position: int, leaf: Any) -> Any:
        """The input as it is given to the network; the network may write to it."""
        if not isinstance(leaf, Tensor):
            return leaf
        given = leaf.detach().clone() if self.with_values else as_meta(leaf)
        self.tracer.recorder.device = leaf.device
        self.given[id(given)] = leaf
        self.input_buffers[position] = self.tracer.tape.declare(given, self.input_buffers.get(position))
        return given


def _split(guards: list[Guard], run: _Run, error: NeedsValues, space: Space | None) -> list[Guard]:
    """The guards under which to run next: the one that failed is split by the choices that decide the value."""
    names = {name for name in error.choices if any(_is_open(name, box) for box in map(dict, run.guard.boxes))}
    where = f"Module {error.path!r}" if error.path else "The network"
    if not names or space is None:
        raise TraceError(
            f"{where} needs data that cannot be computed while it is traced: {error}. Compute it from the inputs, "
            "or make it a constant."
        ) from error
    algebra = run.tracer.algebra
    result = []
    for guard in guards:
        parts = [guard]
        if guard == run.guard:
            joint = (algebra.both(guard, part) for part in _assignments(space, names))
            parts = list(itertools.islice((part for part in joint if part.boxes), _MAX_RUNS + 1))
        result += parts
    if len(result) > _MAX_RUNS:
        raise TraceError(
            f"{where} takes a decision on a value that the choices {', '.join(sorted(names))} decide together, in more "
            f"than {_MAX_RUNS} ways. Let the decision depend on fewer choices, or on shapes instead of values."
        ) from error
    return result


def _is_open(name: str, box: Mapping[str, tuple[int, ...]]) -> bool:
    return len(box.get(name, (0, 0))) > 1


def _assignments(space: Space, names: set[str]) -> Iterator[Guard]:
    """Every joint option of some choices and of those that their conditions name, where they are active."""
    wanted = {space.position(name) for name in names}
    waiting = list(wanted)
    while waiting:
        for conjunction in space.coded_conditions[waiting.pop()]:
            new = {position for position, _ in conjunction} - wanted
            wanted |= new
            waiting += new
    positions = sorted(wanted)

    def extend(index: int, codes: dict[int, int]) -> Iterator[dict[int, int]]:
        if index == len(positions):
            yield codes
            return
        position = positions[index]
        active = any(
            all(codes.get(other) in allowed for other, allowed in conjunction)
            for conjunction in space.coded_conditions[position]
        )
        if not active:
            yield from extend(index + 1, codes)
            return
        for code in range(space.choices[position].num_options):
            yield from extend(index + 1, {**codes, position: code})

    for codes in extend(0, {}):
        yield Guard((tuple(sorted((space.names[position], (code,)) for position, code in codes.items())),))
