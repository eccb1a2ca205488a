"""Records of the traced pass: which operators run under which options, on which tensors.

A `Guard` says under which options something happens. It is data, like a choice's condition, but over the codes of
options: an OR of boxes, a box being an AND of "the choice has one of these codes". The boxes of one guard never
overlap, so a quantity under a guard is a sum over its boxes.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

from hwnas.errors import TraceError
from hwnas.space import Space

__all__ = [
    "ALWAYS",
    "Block",
    "Box",
    "Guard",
    "GuardAlgebra",
    "Operation",
    "TensorSpec",
    "Trace",
    "Weight",
    "check_number_of_cases",
    "disjoint",
    "simplified",
]

Box = tuple[tuple[str, tuple[int, ...]], ...]
"""An AND of (choice, codes of its options), sorted by choice; a choice that is not named may have any."""


@dataclasses.dataclass(frozen=True)
class Guard:
    """When something happens: in one of the boxes. No boxes: never; one empty box: always."""

    boxes: tuple[Box, ...]

    @property
    def choices(self) -> tuple[str, ...]:
        """The choices that it depends on, sorted."""
        return tuple(sorted({name for box in self.boxes for name, _ in box}))

    def __str__(self) -> str:
        if not self.boxes:
            return "never"
        texts = [" and ".join(f"{name} in {list(codes)}" for name, codes in box) or "always" for box in self.boxes]
        return " or ".join(texts)


ALWAYS = Guard(((),))

MAX_CASES = 4096


class GuardAlgebra:
    """AND and OR of guards over choices with known numbers of options; results are remembered."""

    def __init__(self, num_options: Mapping[str, int]) -> None:
        self._num_options = num_options
        self._both: dict[tuple[Guard, Guard], Guard] = {}

    def option(self, name: str, codes: Iterable[int]) -> Guard:
        """The guard "the choice has one of these codes"; all of them is no requirement."""
        return Guard(_united([((name, tuple(sorted(codes))),)], self._num_options))

    def both(self, one: Guard, other: Guard) -> Guard:
        """Where both hold."""
        if one == ALWAYS or one is other:
            return other
        if other == ALWAYS:
            return one
        key = (one, other)
        if key not in self._both:
            boxes = [box for a in one.boxes for b in other.boxes if (box := _intersection(a, b)) is not None]
            self._both[key] = Guard(_united(boxes, self._num_options) if len(boxes) > 1 else tuple(boxes))
        return self._both[key]

    def either(self, guards: Iterable[Guard]) -> Guard:
        """Where one of several guards holds, no two of which may hold at once."""
        boxes = [box for guard in guards for box in guard.boxes]
        return Guard(_united(boxes, self._num_options)) if len(boxes) > 1 else Guard(tuple(boxes))

    def covers(self, outer: Guard, inner: Guard) -> bool:
        """Whether the one holds wherever the other does."""
        rest = list(inner.boxes)
        for done in outer.boxes:
            rest = [part for box in rest for part in _difference(box, done, self._num_options)]
        return not rest

    def combinations(self, guard: Guard, names: Iterable[str]) -> list[tuple[Guard, dict[str, int]]]:
        """The joint codes of some choices that are possible under a guard, each with the guard under which it is.

        Raises:
            TraceError: there are too many.
        """
        result: list[tuple[Guard, dict[str, int]]] = [(guard, {})]
        for name in dict.fromkeys(names):
            result = [
                (joint, {**codes, name: code})
                for before, codes in result
                for code in range(self._num_options[name])
                if (joint := self.both(before, self.option(name, (code,)))).boxes
            ]
            check_number_of_cases(len(result), (joint for joint, _ in result))
        return result


def check_number_of_cases(number: int, guards: Iterable[Guard], *, limit: int = MAX_CASES) -> None:
    """Refuses what would have to be done for too many cases.

    Raises:
        TraceError: more than the limit, with the choices that the guards are about.
    """
    if number > limit:
        names = sorted({name for guard in guards for name in guard.choices})
        raise TraceError(
            f"What runs here differs between more than {limit} cases, by the options of {', '.join(names)}. Let "
            "fewer of them vary together, or put what depends on them into a module of its own."
        )


def disjoint(guards: Sequence[Guard], num_options: Mapping[str, int], *, limit: int = MAX_CASES) -> Guard:
    """Where at least one of some guards holds, as boxes that do not overlap.

    In the result the code after the last one stands for "the choice is inactive"; all options together are no
    requirement, as everywhere, since each guard says where its choices are active.

    Raises:
        TraceError: it takes more boxes than the limit.
    """
    boxes = sorted({box for guard in guards for box in guard.boxes})
    if () in boxes:
        return ALWAYS
    if not any(_intersection(a, b) is not None for a, b in itertools.combinations(boxes, 2)):
        return Guard(_united(boxes, num_options))
    num_codes = {name: num + 1 for name, num in num_options.items()}
    result: list[Box] = []
    for box in boxes:
        parts = [box]
        for done in result:
            parts = [rest for part in parts for rest in _difference(part, done, num_codes)]
        result += parts
        check_number_of_cases(len(result), guards, limit=limit)
    return Guard(_united(result, num_codes))


def _difference(box: Box, other: Box, num_codes: Mapping[str, int]) -> list[Box]:
    """Where the one box holds and the other does not, as boxes that do not overlap."""
    if _intersection(box, other) is None:
        return [box]
    result = []
    rest = dict(box)
    for name, codes in other:
        mine = rest.get(name, tuple(range(num_codes[name])))
        outside = tuple(code for code in mine if code not in codes)
        if outside:
            result.append(tuple(sorted({**rest, name: outside}.items())))
        rest[name] = tuple(code for code in mine if code in codes)
    return result


def _intersection(one: Box, other: Box) -> Box | None:
    """The box where both hold; None if there is none."""
    result = dict(one)
    for name, codes in other:
        mine = result.get(name)
        if mine is not None:
            codes = tuple(code for code in mine if code in codes)
            if not codes:
                return None
        result[name] = codes
    return tuple(sorted(result.items()))


def _united(boxes: Sequence[Box], num_options: Mapping[str, int]) -> tuple[Box, ...]:
    """Fewer boxes for the same: those that differ in one choice become one, full option sets are dropped."""
    current = {tuple((name, codes) for name, codes in box if len(codes) < num_options[name]): None for box in boxes}
    changed = len(current) > 1
    while changed:
        changed = False
        for name in sorted({name for box in current for name, _ in box}):
            groups: dict[Box, list[tuple[int, ...]]] = {}
            untouched: list[Box] = []
            for box in current:
                codes = next((codes for other, codes in box if other == name), None)
                if codes is None:
                    untouched.append(box)
                else:
                    groups.setdefault(tuple(part for part in box if part[0] != name), []).append(codes)
            if all(len(parts) == 1 and len(parts[0]) < num_options[name] for parts in groups.values()):
                continue
            merged: dict[Box, None] = dict.fromkeys(untouched)
            for rest, parts in groups.items():
                codes = tuple(sorted({code for part in parts for code in part}))
                full = len(codes) == num_options[name]
                merged[rest if full else tuple(sorted((*rest, (name, codes))))] = None
            changed = changed or len(merged) < len(current)
            current = merged
    return tuple(sorted(current))


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """Shape and type of a tensor; `dtype` is PyTorch's name, "float32"."""

    shape: tuple[int, ...]
    dtype: str
    itemsize: int

    @property
    def num_bytes(self) -> int:
        """The bytes of a contiguous tensor of this kind."""
        return math.prod(self.shape) * self.itemsize


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operation:
    """One operator, as often as its guard says (once or not at all).

    Attributes:
        name: the aten operator, "aten.convolution.default".
        module: the path of the innermost module it ran in.
        macs: multiply-accumulates.
        reads: the buffers it uses.
        writes: the buffers it allocates.
    """

    name: str
    module: str
    guard: Guard
    macs: int
    reads: tuple[int, ...]
    writes: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """A part that is measured by itself: a candidate, a module without choices, or operators between modules.

    Attributes:
        key: SHA-256 of operators, shapes, types and attributes; blocks of one key cost the same.
        module: the path of its module; "+" joins several, and operators outside of any are named.
        guard: under which options it runs.
        of_choice: whether it is what a choice module was replaced by.
        inputs: what goes in.
        outputs: what comes out.
    """

    key: str
    module: str
    guard: Guard
    of_choice: bool
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weight:
    """A parameter or buffer, or a slice of one, of the frozen networks.

    Attributes:
        name: its path in the supernet, up to slices.
        guard: which networks have it.
        num_elements: of the tensor.
        num_bytes: of the tensor.
        is_parameter: whether it is a parameter and not a buffer.
        is_floating_point: real or complex numbers, not counters.
    """

    name: str
    guard: Guard
    num_elements: int
    num_bytes: int
    is_parameter: bool
    is_floating_point: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trace:
    """What one pass over the supernet saw.

    Attributes:
        operations: in the order in which they run.
        blocks: in the order in which they run.
        buffer_bytes: the size of each buffer, by its number.
        merges: for a buffer that stands for several: (guard, buffer) for each; together they are all cases.
        inputs: the buffers of the network's inputs.
        outputs: the buffers of its outputs, and when they are.
        is_exact: whether the life of every buffer is known for every architecture.
    """

    operations: tuple[Operation, ...]
    blocks: tuple[Block, ...]
    buffer_bytes: tuple[int, ...]
    merges: Mapping[int, tuple[tuple[Guard, int], ...]]
    inputs: tuple[int, ...]
    outputs: tuple[tuple[Guard, int], ...]
    is_exact: bool


def simplified(guard: Guard, space: Space) -> Guard:
    """The same guard without the requirements that hold wherever another choice of their box is active.

    A candidate in the third block of a stage runs where the stage is deep enough *and* the block's choice is the
    candidate; since the block's choice is active only where the stage is deep enough, the second says it all.
    """
    return Guard(tuple(_without_implied(box, space) for box in guard.boxes))


def _without_implied(box: Box, space: Space) -> Box:
    if len(box) < 2:
        return box
    positions = [space.position(name) for name, _ in box]
    active = [
        position
        for (_, codes), position in zip(box, positions, strict=True)
        if codes[-1] < space.choices[position].num_options
    ]
    return tuple(
        (name, codes)
        for (name, codes), position in zip(box, positions, strict=True)
        if not any(_implies(other, position, frozenset(codes), space) for other in active if other != position)
    )


def _implies(active: int, position: int, codes: frozenset[int], space: Space) -> bool:
    """Whether one choice is active only where another one has some of its options."""
    conjunctions = space.coded_conditions[active]
    return bool(conjunctions) and all(
        any(
            (other == position and allowed <= codes) or _implies(other, position, codes, space)
            for other, allowed in conjunction
        )
        for conjunction in conjunctions
    )
