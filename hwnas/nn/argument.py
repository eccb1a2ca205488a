"""Arguments that may vary: a value, a list of values, a `Choice`, or a choice with a value for each option."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar, cast

from hwnas.errors import SpaceError
from hwnas.space import Choice, MappedChoice, Option

__all__ = ["Argument", "Elastic", "Slot", "joint_values"]

T = TypeVar("T")

Elastic: TypeAlias = T | list[T] | Choice | MappedChoice[T]
"""What an elastic argument may be; a list is an unlabelled choice."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slot:
    """A place for one choice in a module; the module does not know what the choice is called.

    Attributes:
        key: the slot's name within its module: the argument's, or "" for a module's only choice.
        suffix: what an unlabelled choice adds to the path of its module: ".kernel_size", "/3", "".
        label: the choice's name where the user gave one.
        options: what there is to choose from.
    """

    key: str
    suffix: str
    label: str | None
    options: tuple[Option, ...]

    def choice_name(self, path: str) -> str:
        """The name of the choice in a module at `path`.

        Raises:
            SpaceError: neither a label nor a path: the outermost module is the choice.
        """
        name = self.label if self.label is not None else f"{path}{self.suffix}".removeprefix(".")
        if not name:
            raise SpaceError(
                "A choice that is itself the outermost module has no path to be called by; give it a label."
            )
        return name


class Argument(Generic[T]):
    """One argument of a module, fixed or varying.

    Attributes:
        slot: the slot it takes; None if it is fixed.
        values: every value it can have, in the order of the options.
    """

    def __init__(self, name: str, given: Elastic[T], *, check: Callable[[T], bool], expected: str) -> None:
        """See the class.

        Args:
            name: of the argument, as in the signature.
            given: a value, a list of values, a choice whose options are the values, or a mapped choice.
            check: whether a value will do.
            expected: what a value must be, for the message.

        Raises:
            SpaceError: a value that will not do, an empty list, a choice that has a condition of its own.
        """
        self.slot: Slot | None = None
        options: tuple[Option, ...] = ()
        if isinstance(given, Choice | MappedChoice):
            choice = given if isinstance(given, Choice) else given.choice
            if choice.condition:
                raise SpaceError(
                    f"The condition of choice {choice.name!r}, given as `{name}`, comes from where its modules stand; "
                    "give a Choice without one."
                )
            options = choice.options
            values: Sequence[Any] = choice.options if isinstance(given, Choice) else given.values
            self.slot = Slot(key=name, suffix=f".{name}", label=choice.name, options=options)
        elif isinstance(given, list):
            values = options = Choice(name, cast(Any, given)).options
            self.slot = Slot(key=name, suffix=f".{name}", label=None, options=options)
        else:
            values = (given,)
        for value in values:
            if not check(value):
                raise SpaceError(f"`{name}` must be {expected}; got {value!r}.")
        self.values: tuple[T, ...] = tuple(values)
        self._by_option: dict[Option, T] = dict(zip(options, self.values, strict=False))

    def value(self, options: Mapping[str, Option]) -> T:
        """The value under the options that were chosen for the module's slots."""
        return self.values[0] if self.slot is None else self._by_option[options[self.slot.key]]


def joint_values(arguments: Mapping[str, Argument[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of values that the arguments can have together; one label is one choice."""
    slots = {argument.slot.label or f" {name}": argument.slot for name, argument in arguments.items() if argument.slot}
    for chosen in itertools.product(*(slot.options for slot in slots.values())):
        by_choice = dict(zip(slots, chosen, strict=True))
        yield {
            name: argument.value(
                {argument.slot.key: by_choice[argument.slot.label or f" {name}"]} if argument.slot else {}
            )
            for name, argument in arguments.items()
        }
