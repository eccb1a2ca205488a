"""Which activations live at each point of the program, under which options.

A buffer lives at a point if it is there (one of its births came before, under options that hold) and will be used (one
of its uses comes later). Buffers of one size of which no two are in one network, such as the outputs of the candidates
of a choice, count as one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from hwnas.errors import TraceError
from hwnas.space import Space
from hwnas.trace import ALWAYS, Guard, GuardAlgebra, Trace, disjoint

__all__ = ["Liveness", "Point"]

_MAX_BOXES = 64

_Event = tuple[int, Guard]
"""A position in the program, and when it happens there; -1 is before the first operator."""


@dataclasses.dataclass(slots=True)
class _Memory:
    """One buffer, or several that are never there together."""

    num_bytes: int
    births: list[_Event]
    uses: list[_Event]


@dataclasses.dataclass(frozen=True)
class Point:
    """What lives while one operator runs: bytes, and when; `guard` is when it runs."""

    guard: Guard
    live: tuple[tuple[Guard, int], ...]


class Liveness:
    """The points of a traced program.

    Attributes:
        is_exact: false if a buffer had to be taken to live in more networks than it does.
    """

    def __init__(self, trace: Trace, space: Space) -> None:
        self.space = space
        self.is_exact = trace.is_exact
        self._trace = trace
        self._num_options = {choice.name: choice.num_options for choice in space.choices}
        self._algebra = GuardAlgebra(self._num_options)
        self._aliases: dict[int, tuple[tuple[Guard, int], ...]] = {}  # of a merged buffer
        self._united_with: dict[int, int] = {}
        births: dict[int, list[_Event]] = {buffer: [(-1, ALWAYS)] for buffer in trace.inputs}
        for position, operation in enumerate(trace.operations):
            for buffer in operation.writes:
                births[buffer] = [(position, operation.guard)]
        self._memories = {
            buffer: _Memory(trace.buffer_bytes[buffer], events, list(events)) for buffer, events in births.items()
        }
        for buffer in sorted(trace.merges):
            self._merge(buffer)
        for position, operation in enumerate(trace.operations):
            for buffer in operation.reads:
                self._use(buffer, position, operation.guard)
        for guard, buffer in trace.outputs:
            self._use(buffer, len(trace.operations), guard)

    def points(self) -> Iterator[Point]:
        """Every point at which memory is taken; before the first operator the inputs are there."""
        yield Point(ALWAYS, tuple((ALWAYS, self._trace.buffer_bytes[buffer]) for buffer in self._trace.inputs))
        starts: dict[int, list[_Memory]] = {}
        for memory in self._memories.values():
            starts.setdefault(min(position for position, _ in memory.births), []).append(memory)
        live = starts.get(-1, [])
        for position, operation in enumerate(self._trace.operations):
            live = [memory for memory in live if memory.uses[-1][0] >= position] + starts.get(position, [])
            if any(self._trace.buffer_bytes[buffer] for buffer in operation.writes):
                found = ((self._alive(memory, position, operation.guard), memory.num_bytes) for memory in live)
                yield Point(operation.guard, tuple((guard, size) for guard, size in found if guard.boxes and size))

    def _memory_of(self, buffer: int) -> int:
        while buffer in self._united_with:
            buffer = self._united_with[buffer]
        return buffer

    def _cases(self, buffer: int) -> tuple[tuple[Guard, int], ...]:
        """The memories a buffer stands for, and when."""
        if buffer in self._aliases:
            return self._aliases[buffer]
        memory = self._memory_of(buffer)
        return ((ALWAYS, memory),) if memory in self._memories else ()

    def _merge(self, buffer: int) -> None:
        """Resolves a merged buffer, and unites memories of one size that are never there together."""
        by_memory: dict[int, list[Guard]] = {}
        for guard, piece in self._trace.merges[buffer]:
            for own, memory in self._cases(piece):
                joint = self._algebra.both(guard, own)
                if joint.boxes:
                    by_memory.setdefault(self._memory_of(memory), []).append(joint)
        groups: dict[int, list[Guard]] = {}
        for memory, guards in by_memory.items():
            host = next((host for host in groups if self._can_unite(host, memory)), None)
            if host is None:
                groups[memory] = guards
            else:
                self._united_with[memory] = host
                self._memories[host].births += self._memories[memory].births
                self._memories[host].uses += self._memories[memory].uses
                del self._memories[memory]
                groups[host] += guards
        self._aliases[buffer] = tuple((self._bounded(guards), memory) for memory, guards in groups.items())

    def _bounded(self, guards: Sequence[Guard]) -> Guard:
        """Where one of the guards holds; or always, where that is too much to say."""
        guard = self._algebra.either(guards)
        if len(guard.boxes) > _MAX_BOXES:
            self.is_exact = False
            return ALWAYS
        return guard

    def _can_unite(self, one: int, other: int) -> bool:
        a, b = self._memories[one], self._memories[other]
        return a.num_bytes == b.num_bytes and not any(
            self._algebra.both(mine, theirs).boxes for _, mine in a.births for _, theirs in b.births
        )

    def _use(self, buffer: int, position: int, guard: Guard) -> None:
        for own, memory in self._cases(buffer):
            joint = self._algebra.both(guard, own)
            if joint.boxes:
                self._memories[self._memory_of(memory)].uses.append((position, joint))

    def _alive(self, memory: _Memory, position: int, guard: Guard) -> Guard:
        """When a memory is there and will be used, while an operator runs."""
        both = self._algebra.both
        there = self._algebra.either([both(guard, born) for at, born in memory.births if at <= position])
        wanted: dict[Guard, None] = {}
        for at, use in reversed(memory.uses):
            if at >= position:
                joint = both(there, use)
                if joint == there:
                    return there
                if joint.boxes:
                    wanted[joint] = None
        if len(wanted) < 2:
            return next(iter(wanted), Guard(()))
        try:
            return disjoint(list(wanted), self._num_options, limit=_MAX_BOXES)
        except TraceError:
            self.is_exact = False
            return there
