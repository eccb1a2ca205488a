"""Records the aten operators that plain tensors go through.

Operators run on meta tensors: shapes without data, so that nothing is computed. Where a model needs data (a Python
branch on a value, an operator whose result's shape depends on data) everything is run once more *with values*: on real
tensors for as long as no choice has influenced them, on meta tensors afterwards. Every buffer knows the choices that
have influenced it, so that a value that depends on choices is never taken for one that does not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from hwnas.nn.operators import MacFormulas, count_macs, is_view
from hwnas.trace import ALWAYS, Guard, TensorSpec

__all__ = ["Call", "Merge", "NeedsValues", "Recorder", "Tape", "as_meta", "spec_of", "tape_key", "tensors_in"]

NO_CHOICES: frozenset[str] = frozenset()

_UNFUSED_ATTENTION = torch.ops.aten._safe_softmax.default
"""Only `scaled_dot_product_attention` calls it, step by step on meta tensors; elsewhere it is one kernel."""


class NeedsValues(BaseException):
    """Data are needed that are not there: `choices` have influenced them (none: nothing has, they were not computed).

    Not an `Exception`, so that a model's own handlers do not catch it.
    """

    def __init__(self, choices: frozenset[str], path: str, why: str) -> None:
        super().__init__(why)
        self.choices = choices
        self.path = path


@dataclasses.dataclass(slots=True)
class Call:
    """One operator as it was called: with which tensors, under which guard, on which buffers."""

    operator: OpOverload
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Any
    path: str
    guard: Guard
    macs: int
    reads: tuple[int, ...]
    writes: tuple[int, ...]


@dataclasses.dataclass(slots=True)
class Merge:
    """A buffer that stands for another one in each of several cases."""

    buffer: int
    pieces: tuple[tuple[Guard, int], ...]
    tensors: tuple[Tensor, ...]


class Tape:
    """Calls in order, and the buffers they use: a number for each piece of memory, which views share.

    Weights and constants have no buffer: they are there anyway.
    """

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.buffer_bytes: list[int] = []
        self.births: list[Guard] = []  # under which options each buffer was made
        self.influences: list[frozenset[str]] = []
        self._buffer_of: dict[int, int] = {}
        self._alive: list[Tensor] = []  # memory must not be used again for another buffer

    def new_buffer(self, num_bytes: int, influence: frozenset[str] = NO_CHOICES, guard: Guard = ALWAYS) -> int:
        """The number of a new buffer."""
        self.buffer_bytes.append(num_bytes)
        self.births.append(guard)
        self.influences.append(influence)
        return len(self.buffer_bytes) - 1

    def buffer(self, tensor: Tensor) -> int | None:
        """The buffer a tensor looks at; None for a weight or constant."""
        return self._buffer_of.get(tensor.untyped_storage()._cdata)

    def declare(
        self,
        tensor: Tensor,
        buffer: int | None = None,
        influence: frozenset[str] = NO_CHOICES,
        guard: Guard = ALWAYS,
    ) -> int:
        """Says that a tensor looks at a buffer, by default a new one; the buffer."""
        storage = tensor.untyped_storage()
        if buffer is None:
            known = self._buffer_of.get(storage._cdata)
            buffer = self.new_buffer(storage.nbytes(), influence, guard) if known is None else known
        self._buffer_of[storage._cdata] = buffer
        self._alive.append(tensor)
        return buffer


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes every operator to a tape.

    Attributes:
        tape: where to write; a block has one of its own.
        guard: under which options the operators run now.
        path: of the modules that run now, the innermost last.
        with_values: whether tensors that no choice has influenced hold data.
        device: where those are.
        check_reads: called with the buffers that an operator uses, before it runs.
        is_exact: false once something ran that takes less memory on some devices than on meta tensors.
    """

    def __init__(self, *, formulas: MacFormulas, with_values: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tape = Tape()
        self.guard = ALWAYS
        self.path: list[str] = [""]
        self.with_values = with_values
        self.device = torch.device("cpu")
        self.check_reads: Callable[[Sequence[int]], None] = lambda buffers: None
        self.is_exact = True
        self._is_paused = False
        self._formulas = formulas
        self._metas: dict[int, tuple[Tensor, Tensor]] = {}
        self._results: dict[tuple[Any, ...], Any] = {}
        self._checked: set[tuple[Any, ...]] = set()  # calls in place that are known to work
        self._writers: dict[OpOverload, bool] = {}

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Records inside; gradients are off, the random state and PyTorch's settings are as before afterwards."""
        fast_attention = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            with torch.random.fork_rng(devices=[], enabled=self.with_values), torch.no_grad(), self:
                if self.with_values:
                    torch.manual_seed(0)
                yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_attention)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Does not record inside: what runs is not the network's."""
        before, self._is_paused = self._is_paused, True
        try:
            yield
        finally:
            self._is_paused = before

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs and records one operator."""
        kwargs = kwargs or {}
        if self._is_paused:
            return func(*args, **kwargs)
        tensors = list(tensors_in((*args, *kwargs.values())))
        tape = self.tape
        self.is_exact = self.is_exact and func is not _UNFUSED_ATTENTION
        reads = tuple(dict.fromkeys(b for t in tensors if (b := tape.buffer(t)) is not None))
        self.check_reads(reads)
        influence = frozenset().union(*(tape.influences[b] for b in reads))
        on_meta = not self.with_values or any(t.is_meta for t in tensors)
        if torch.Tag.data_dependent_output in func.tags and (on_meta or influence):
            raise NeedsValues(influence, self.path[-1], f"{func} needs data")
        out = self._run(func, args, kwargs, influence, on_meta=on_meta)
        outs = list(tensors_in((out,)))
        writes = []
        for tensor in outs:
            if tape.buffer(tensor) is None and not any(tensor is known for known in tensors):
                if is_view(func) and tensors and tape.buffer(tensors[0]) is None:
                    continue  # a view of a weight
                writes.append(tape.declare(tensor, influence=influence, guard=self.guard))
        if influence and self._writes_in_place(func):
            for buffer in reads:
                tape.influences[buffer] |= influence
        macs = count_macs(func, args, kwargs, out, self._formulas)
        tape.items.append(Call(func, args, kwargs, out, self.path[-1], self.guard, macs, reads, tuple(writes)))
        return out

    def _run(
        self,
        func: OpOverload,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        influence: frozenset[str],
        *,
        on_meta: bool,
    ) -> Any:
        takes_device = any(argument.name == "device" for argument in func._schema.arguments)
        if "device" in kwargs or (takes_device and next(tensors_in(args), None) is None):
            kwargs = {**kwargs, "device": torch.device("meta") if on_meta else self.device}
        if not on_meta:
            return func(*args, **kwargs)
        meta_args = tuple(self._as_meta(arg) for arg in args)
        meta_kwargs = {name: self._as_meta(arg) for name, arg in kwargs.items()}
        key = (func, _token(meta_args), _token(tuple(meta_kwargs.items())))
        if self._writes_in_place(func) or is_view(func):
            if key in self._checked:
                return args[0]
            try:
                out = func(*meta_args, **meta_kwargs)
            except NotImplementedError as error:
                raise NeedsValues(influence, self.path[-1], str(error)) from error
            for given, meta in zip(args, meta_args, strict=True):
                if out is meta:  # an operator in place gives the tensor it was given
                    if given is args[0] and _token(out) == key[1][0]:  # and with the same shape as before
                        self._checked.add(key)
                    return given
            return out
        if key not in self._results:
            try:
                out = func(*meta_args, **meta_kwargs)
            except NotImplementedError as error:
                raise NeedsValues(influence, self.path[-1], str(error)) from error
            if any(out_t is in_t for out_t in tensors_in((out,)) for in_t in tensors_in(meta_args)):
                return out
            out = _without_statistics(func, args, out)
            self._results[key] = pytree.tree_map_only(Tensor, _Layout, out)
            return out
        return pytree.tree_map_only(_Layout, _Layout.tensor, self._results[key])

    def _as_meta(self, arg: Any) -> Any:
        if isinstance(arg, Tensor):
            return arg if arg.is_meta else self.meta(arg)
        if isinstance(arg, list | tuple) and any(isinstance(item, Tensor) for item in arg):
            return type(arg)(self._as_meta(item) for item in arg)
        return arg

    def meta(self, tensor: Tensor) -> Tensor:
        """The meta tensor for a tensor with data, always the same one."""
        if id(tensor) not in self._metas:
            self._metas[id(tensor)] = (tensor, as_meta(tensor))
        return self._metas[id(tensor)][1]

    def originals(self) -> dict[int, Tensor]:
        """The tensors with data, by the `id` of the meta tensor for each and by their own."""
        pairs = list(self._metas.values())
        return {id(meta): tensor for tensor, meta in pairs} | {id(tensor): tensor for tensor, _ in pairs}

    def _writes_in_place(self, func: OpOverload) -> bool:
        if func not in self._writers:
            self._writers[func] = any(
                argument.alias_info is not None for argument in (*func._schema.arguments, *func._schema.returns)
            ) and not is_view(func)
        return self._writers[func]


class _Layout:
    """Shape, strides and type of a result, to make another one of the same."""

    __slots__ = ("dtype", "shape", "strides")

    def __init__(self, tensor: Tensor) -> None:
        self.shape, self.strides, self.dtype = tuple(tensor.shape), tensor.stride(), tensor.dtype

    def tensor(self) -> Tensor:
        return torch.empty_strided(self.shape, self.strides, dtype=self.dtype, device="meta")


def _without_statistics(func: OpOverload, args: tuple[Any, ...], out: Any) -> Any:
    """The result of an operator as on a real device: there, a batch norm in evaluation mode saves no statistics."""
    if func is torch.ops.aten.native_batch_norm.default and not args[5]:
        return (out[0], *(statistic.new_empty(0) for statistic in out[1:]))
    return out


def as_meta(tensor: Tensor) -> Tensor:
    """A meta tensor like this one, with memory of its own."""
    return torch.empty_like(tensor, device="meta", requires_grad=False)


def spec_of(tensor: Tensor) -> TensorSpec:
    """Shape and type of a tensor."""
    return TensorSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), tensor.dtype.itemsize)


def tape_key(calls: Sequence[Call], inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> str:
    """SHA-256 of what is computed: operators, shapes, types, constants; neither weights nor names.

    Args:
        calls: in order.
        inputs: the tensors that go in.
        outputs: the tensors that come out.
    """
    numbers: dict[int, int] = {}

    def name(tensor: Tensor, kind: str) -> str:
        if id(tensor) in numbers:
            return f"%{numbers[id(tensor)]}"
        numbers[id(tensor)] = len(numbers)
        return f"{kind}:{tuple(tensor.shape)}:{tensor.dtype}"

    def text(value: Any) -> str:
        if isinstance(value, Tensor):
            return name(value, "weight")
        if isinstance(value, list | tuple):
            return "(" + ",".join(map(text, value)) + ")"
        return "" if isinstance(value, torch.device) else repr(value)

    lines = [name(tensor, "input") + str(tensor.stride()) for tensor in inputs]
    for call in calls:
        arguments = [text(arg) for arg in call.args]
        arguments += [f"{key}={text(value)}" for key, value in sorted(call.kwargs.items())]
        lines.append(f"{call.operator}({', '.join(arguments)})")
        lines += [name(tensor, "result") for tensor in tensors_in((call.out,))]
    lines += [name(tensor, "output") for tensor in outputs]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def tensors_in(values: Sequence[Any]) -> Iterator[Tensor]:
    """The tensors in arguments or results of an operator, also in lists."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)


def _token(value: Any) -> Any:
    """Something hashable, equal for arguments that give the same layout."""
    if isinstance(value, Tensor):
        return (value.shape, value.stride(), value.dtype)
    if isinstance(value, list | tuple):
        return tuple(map(_token, value))
    return (type(value), value)
