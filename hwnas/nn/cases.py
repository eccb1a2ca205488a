"""Running code once for each case that choices make, and merging what comes out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from hwnas.errors import TraceError
from hwnas.nn.recorder import Merge, Recorder
from hwnas.nn.variants import Fork, Piece, Variant
from hwnas.space import Choice
from hwnas.trace import ALWAYS, Guard, GuardAlgebra, check_number_of_cases

__all__ = ["GuardedRun", "layout_of"]

T = TypeVar("T")


class GuardedRun:
    """Code that runs under guards; see `Cases`, whose methods it has.

    Attributes:
        pending: a fork that was raised and has not been answered.
        failure: the last error, the innermost module that ran when it was raised, and under which options.
    """

    def __init__(self, recorder: Recorder, choices: Sequence[Choice]) -> None:
        self.recorder = recorder
        self.recorder.check_reads = self.check_reads
        self.tape = recorder.tape
        self.algebra = GuardAlgebra({choice.name: choice.num_options for choice in choices})
        self.failure: tuple[Exception, str, Guard] | None = None
        self.pending: Fork | None = None
        self._num_forked = 0

    @property
    def guard(self) -> Guard:
        """Under which options the code runs now."""
        return self.recorder.guard

    def under(self, guard: Guard, function: Callable[..., T], *args: Any) -> T:
        """The result of a function that runs under a guard (which must be within the present one)."""
        before, self.recorder.guard = self.recorder.guard, guard
        try:
            return function(*args)
        except Exception as error:
            self._note(error)
            raise
        finally:
            self.recorder.guard = before

    def check_reads(self, buffers: Sequence[int]) -> None:
        """Refuses tensors that are not there under all options under which the code runs now.

        Raises:
            TraceError: a tensor was made under some options, and came here by another way than as a result.
        """
        if self.recorder.tape is not self.tape:
            return  # within a block all tensors are of one case
        for buffer in buffers:
            born = self.tape.births[buffer]
            if born not in (ALWAYS, self.guard) and not self.algebra.covers(born, self.guard):
                raise TraceError(
                    f"It uses a tensor that is there only where {born}, while it runs where {self.guard}. Give the "
                    "tensor back as a result of the module that makes it, not by an attribute or a list."
                )

    @contextlib.contextmanager
    def inside(self, path: str) -> Iterator[None]:
        """The code inside is that of the module at this path."""
        self.recorder.path.append(path)
        try:
            yield
        except Exception as error:
            self._note(error)
            raise
        finally:
            self.recorder.path.pop()

    def _note(self, error: Exception) -> None:
        if self.failure is None or self.failure[0] is not error:
            self.failure = (error, self.recorder.path[-1], self.guard)

    def possible(self, variant: Variant) -> list[Piece]:
        """See `Cases`."""
        joint = ((self.algebra.both(self.guard, guard), tensor) for guard, tensor in variant.pieces)
        return [(guard, tensor) for guard, tensor in joint if guard.boxes]

    def run_cases(self, values: Sequence[Variant], function: Callable[[dict[int, Tensor]], Any]) -> Any:
        """See `Cases`."""
        cases: list[tuple[Guard, dict[int, Tensor]]] = [(self.guard, {})]
        for variant in values:
            joint = (
                (self.algebra.both(guard, own), {**chosen, id(variant): tensor})
                for guard, chosen in cases
                for own, tensor in variant.pieces
            )
            cases = [(guard, chosen) for guard, chosen in joint if guard.boxes]
            check_number_of_cases(len(cases), (guard for guard, _ in cases))
        return self.merged([(guard, self.under(guard, function, chosen)) for guard, chosen in cases])

    def fork(self, pieces: Sequence[Piece]) -> Fork:
        """See `Cases`."""
        groups: list[tuple[Any, list[Guard]]] = []
        for guard, value in pieces:
            known = next((guards for other, guards in groups if _same(other, value)), None)
            if known is None:
                groups.append((value, [guard]))
            else:
                known.append(guard)
        self.pending = Fork([self.algebra.either(guards) for _, guards in groups])
        return self.pending

    def forking(self, function: Callable[[], Any]) -> Any:
        """The result of a function that runs once, or once for each case if it asks for what differs."""
        mark = len(self.tape.items)
        path, tape = list(self.recorder.path), self.recorder.tape
        try:
            result = function()
            fork = self.pending  # PyTorch turns what a size raises into an error of its own, and the model caught that
            if fork is None:
                return result
        except (Fork, Exception) as error:
            fork = error if isinstance(error, Fork) else self.pending
            if fork is None:
                raise
        self.pending = None
        self.recorder.path, self.recorder.tape = path, tape
        del self.tape.items[mark:]
        self._num_forked += len(fork.guards)
        check_number_of_cases(self._num_forked, fork.guards)
        return self.merged([(guard, self.under(guard, self.forking, function)) for guard in fork.guards])

    def merged(self, pieces: Sequence[Piece]) -> Any:
        """One value for what there is in each of several disjoint cases, which together are the present one."""
        if len(pieces) == 1:
            return pieces[0][1]
        flat = [(guard, *pytree.tree_flatten(value)) for guard, value in pieces]
        tree = flat[0][2]
        if any(other != tree for _, _, other in flat):
            raise self.fork([(guard, other) for guard, _, other in flat])
        columns = zip(*(leaves for _, leaves, _ in flat), strict=True)
        guards = [guard for guard, _ in pieces]
        return pytree.tree_unflatten(
            [self._merged_leaf(list(zip(guards, column, strict=True))) for column in columns], tree
        )

    def _merged_leaf(self, pieces: list[Piece]) -> Any:
        first = pieces[0][1]
        if all(value is first for _, value in pieces):
            return first
        if not all(isinstance(value, Tensor) for _, value in pieces):
            if all(_same(value, first) for _, value in pieces):
                return first
            raise self.fork(pieces)
        groups: dict[Any, list[tuple[Guard, Tensor]]] = {}
        for guard, value in pieces:
            for own, tensor in value.pieces if isinstance(value, Variant) else ((guard, value),):
                joint = self.algebra.both(guard, own)
                if joint.boxes:
                    groups.setdefault(layout_of(tensor), []).append((joint, tensor))
        merged = [
            (self.algebra.either([guard for guard, _ in group]), self._merged_tensor(group))
            for group in groups.values()
        ]
        return merged[0][1] if len(merged) == 1 else Variant(merged, self)

    def _merged_tensor(self, group: list[tuple[Guard, Tensor]]) -> Tensor:
        first = group[0][1]
        if all(tensor is first for _, tensor in group):
            return first
        with self.recorder.paused():
            result = torch.empty_strided(first.shape, first.stride(), dtype=first.dtype, device="meta")
        by_buffer: dict[int, list[Guard]] = {}
        for guard, tensor in group:
            buffer = self.tape.buffer(tensor)
            if buffer is not None:
                by_buffer.setdefault(buffer, []).append(guard)
        pieces = tuple((self.algebra.either(guards), buffer) for buffer, guards in by_buffer.items())
        influence = frozenset(_deciding([guard for guard, _ in group])).union(
            *(self.tape.influences[buffer] for buffer in by_buffer)
        )
        merge = Merge(self.tape.new_buffer(0, influence, self.guard), pieces, tuple(tensor for _, tensor in group))
        self.tape.items.append(merge)
        self.tape.declare(result, merge.buffer)
        return result


def layout_of(tensor: Tensor) -> tuple[Any, ...]:
    """Equal for tensors that nothing can tell apart but their values."""
    strides = tuple(stride if size > 1 else 0 for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return (tuple(tensor.shape), strides, tensor.dtype)


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # a value that cannot be compared is like no other
        return False


def _deciding(guards: Sequence[Guard]) -> Iterator[str]:
    """The choices whose options differ between guards."""
    boxes = [dict(box) for guard in guards for box in guard.boxes]
    for name in sorted({name for box in boxes for name in box}):
        if any(box.get(name) != boxes[0].get(name) for box in boxes):
            yield name
