"""Tensors whose shape depends on choices.

Where the candidates of a choice give tensors of different shapes, the traced pass goes on with a `Variant`: a tensor of
one shape for each of several disjoint guards. A function of variants runs once for every joint case that is possible
where it is called, and its results are merged again by shape, so that a chain of independent widths costs no more than
pairs of neighbours. Where Python code asks for something that differs between cases, `Fork` is raised, and the
innermost module that is running runs once for every case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from hwnas.errors import TraceError
from hwnas.trace import Guard

__all__ = ["Cases", "Fork", "Piece", "Variant", "VariantShape", "apply", "variants_in"]

Piece = tuple[Guard, Any]
"""What there is in some cases."""


class Fork(BaseException):
    """The code must run once for each of these guards; not an `Exception`, so that no model catches it."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        super().__init__("a Python value differs between options")
        self.guards = tuple(guards)


class Cases(Protocol):
    """What variants need from the traced pass."""

    def run_cases(self, values: Sequence[Variant], function: Callable[[dict[int, Tensor]], Any]) -> Any:
        """Runs a function for each joint case of some variants, and merges the results.

        Args:
            values: the variants.
            function: from the tensor that stands for each variant, by its `id`, to a result.
        """

    def fork(self, pieces: Sequence[Piece]) -> Fork:
        """The fork on Python values that differ."""

    def possible(self, variant: Variant) -> list[Piece]:
        """The cases of a variant that are possible here."""


class Variant(Tensor):
    """A tensor of one shape for each of several guards, which together are all cases in which it exists."""

    pieces: tuple[tuple[Guard, Tensor], ...]
    cases: Cases

    @staticmethod
    def __new__(cls, pieces: Sequence[tuple[Guard, Tensor]], cases: Cases) -> Variant:
        """A variant with these disjoint cases."""
        first = pieces[0][1]
        made = torch.Tensor._make_wrapper_subclass(cls, first.shape, dtype=first.dtype, device=first.device)
        assert isinstance(made, Variant)
        made.pieces = tuple(pieces)
        made.cases = cases
        return made

    def __init__(self, *_: object) -> None:
        """Everything is done when it is made."""

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs a function once for each joint case."""
        return apply(func, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Refuses: an operator that PyTorch calls without asking the variant would see one case only."""
        raise TraceError(
            f"The operator {func} got a tensor whose shape depends on choices, from code that hides it from PyTorch's "
            "overrides. Give the tensor one shape before it, for example by a layer of fixed width."
        )


class VariantShape(tuple[int, ...]):
    """The shape of a variant: a tuple of which only what differs between cases forks."""

    pieces: list[Piece]
    cases: Cases

    @staticmethod
    def of(variant: Variant) -> torch.Size | VariantShape:
        """The shape of a variant where it is asked for."""
        pieces = [(guard, tuple(tensor.shape)) for guard, tensor in variant.cases.possible(variant)]
        shapes = {shape for _, shape in pieces}
        if len(shapes) == 1:
            return torch.Size(shapes.pop())
        if len({len(shape) for shape in shapes}) > 1:
            raise variant.cases.fork(pieces)
        sizes = [
            _Differs(variant.cases, [(guard, shape[i]) for guard, shape in pieces]) for i in range(len(pieces[0][1]))
        ]
        made = VariantShape(size.pieces[0][1] if size.is_same else size for size in sizes)  # type: ignore[misc]
        made.pieces, made.cases = pieces, variant.cases
        return made

    def __getitem__(self, index: Any) -> Any:
        return _known(self.cases, [(guard, shape[index]) for guard, shape in self.pieces])

    def __iter__(self) -> Iterator[int]:
        return (self[i] for i in range(len(self)))

    def _all(self) -> Any:
        return _known(self.cases, [(guard, torch.Size(shape)) for guard, shape in self.pieces])

    def __eq__(self, other: object) -> bool:
        return bool(_known(self.cases, [(guard, shape == other) for guard, shape in self.pieces]))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._all())

    def __add__(self, other: Any) -> Any:
        return self._all() + other

    def __radd__(self, other: Any) -> Any:
        return other + self._all()

    def __contains__(self, size: object) -> bool:
        return bool(_known(self.cases, [(guard, size in shape) for guard, shape in self.pieces]))

    def __repr__(self) -> str:
        return f"VariantShape({self.pieces!r})"

    def numel(self) -> Any:
        """The number of elements, as `torch.Size` has it."""
        return self._all().numel()


class _Differs:
    """A size that differs between cases; PyTorch's C code asks it for an integer, which forks."""

    def __init__(self, cases: Cases, pieces: list[Piece]) -> None:
        self.cases, self.pieces = cases, pieces
        self.is_same = len({size for _, size in pieces}) == 1

    def __index__(self) -> int:
        raise self.cases.fork(self.pieces)

    __int__ = __index__


def apply(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of a function of tensors, some of which are variants."""
    variants = variants_in((args, kwargs))
    if func is Tensor.shape.__get__ or (func is Tensor.size and len(args) == 1 and not kwargs):  # type: ignore[attr-defined]
        return VariantShape.of(variants[0])

    def run(chosen: dict[int, Tensor]) -> Any:
        given_args, given_kwargs = pytree.tree_map(
            lambda leaf: chosen.get(id(leaf), leaf) if isinstance(leaf, Variant) else leaf, (args, kwargs)
        )
        return func(*given_args, **given_kwargs)

    return variants[0].cases.run_cases(variants, run)


def variants_in(values: Any) -> list[Variant]:
    """The variants in a tree of values, each once."""
    found = {id(leaf): leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, Variant)}
    return list(found.values())


def _known(cases: Cases, pieces: list[Piece]) -> Any:
    """The value that is the same in all cases; a fork if there is none."""
    first = pieces[0][1]
    if any(value != first for _, value in pieces):
        raise cases.fork(pieces)
    return first
