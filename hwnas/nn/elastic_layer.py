"""What elastic layers have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from hwnas.nn.argument import Argument, Slot
from hwnas.nn.choice_module import ChoiceModule

__all__ = ["ElasticLayer", "is_positive", "is_sizes"]


class ElasticLayer(ChoiceModule):
    """The largest of several layers of one kind, whose smaller ones use a part of its tensors.

    An elastic layer is also an instance of the PyTorch layer that it stands for, at its largest size, so that
    initialisation by `isinstance` and state dicts work as they do for that. Every elastic argument is a number, a list
    of numbers (a choice called `<path>.<argument>`), a `Choice` (modules may share it), or `choice.map(...)`.
    """

    own_attributes: ClassVar[tuple[str, ...]] = ("_arguments",)
    _arguments: dict[str, Argument[Any]]

    def slots(self) -> tuple[Slot, ...]:
        """One slot for each argument that varies."""
        return tuple(argument.slot for argument in self._arguments.values() if argument.slot is not None)


def is_positive(value: object) -> bool:
    """Whether it is a positive integer."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_sizes(value: object, num: int, *, least: int = 1) -> bool:
    """Whether it is an integer of at least `least`, or a tuple of `num` of them."""
    values = value if isinstance(value, tuple) else (value,) * num
    return len(values) == num and all(
        isinstance(size, int) and not isinstance(size, bool) and size >= least for size in values
    )
