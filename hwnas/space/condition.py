"""When a choice matters: data, an OR of ANDs of "an earlier choice has one of these options"."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from hwnas.errors import SpaceError
from hwnas.space.option import Option, as_option

__all__ = ["Condition", "Requirement", "all_of", "any_of", "as_condition", "as_options"]


def as_options(options: object, *, owner: str) -> tuple[Option, ...]:
    """The options as a tuple of canonical values.

    Args:
        options: any sequence but a string.
        owner: who has them, for the message.

    Raises:
        SpaceError: not a sequence, empty, an option of a wrong kind, or two equal ones.
    """
    if isinstance(options, str) or not hasattr(options, "__iter__"):
        raise SpaceError(f"The options of {owner} must be a list; got {options!r}. Write [{options!r}] for one option.")
    seen: dict[Option, Option] = {}
    for given in options:
        option = as_option(given)
        if option is None:
            raise SpaceError(
                f"An option of {owner} must be a string, a finite number, a bool or a tuple of ints; got {given!r}. "
                "Give it a name, and map the name to the value with `Choice.map`."
            )
        if option in seen:
            raise SpaceError(f"The options of {owner} must differ; {option!r} equals {seen[option]!r}. Remove one.")
        seen[option] = option
    if not seen:
        raise SpaceError(f"There must be at least one option of {owner}; got none. Add one.")
    return tuple(seen)


@dataclasses.dataclass(frozen=True)
class Requirement:
    """Holds when `choice` is active and its option is among `options`."""

    choice: str
    options: tuple[Option, ...]

    def __post_init__(self) -> None:
        """Bring the options into canonical form.

        Raises:
            SpaceError: a name that is not a string, options that are wrong or not distinct.
        """
        if not isinstance(self.choice, str):
            raise SpaceError(f"A requirement must name a choice; got {self.choice!r}. Pass the choice's name.")
        object.__setattr__(self, "options", as_options(self.options, owner=f"the requirement on {self.choice!r}"))


Condition = tuple[tuple[Requirement, ...], ...]
"""An OR of ANDs; the empty condition always holds."""


def as_condition(condition: object, *, owner: str) -> Condition:
    """The condition as a tuple of tuples; an empty AND in it makes it always hold.

    Raises:
        SpaceError: a callable, or anything but a sequence of sequences of `Requirement`.
    """
    if callable(condition):
        raise SpaceError(
            f"The condition of {owner} must be data, an OR of ANDs of Requirement; got the callable {condition!r}. "
            "Write for example ((Requirement('depth', (3, 4)),),)."
        )
    if not isinstance(condition, Sequence) or isinstance(condition, str):
        raise SpaceError(f"The condition of {owner} must be a tuple of tuples of Requirement; got {condition!r}.")
    for conjunction in condition:
        if not isinstance(conjunction, Sequence) or not all(isinstance(part, Requirement) for part in conjunction):
            raise SpaceError(
                f"The condition of {owner} must be a tuple of tuples of Requirement; got {conjunction!r} in it. "
                "One requirement alone is written ((Requirement('depth', (3, 4)),),)."
            )
    conjunctions = tuple(tuple(dict.fromkeys(conjunction)) for conjunction in condition)
    return tuple(dict.fromkeys(conjunctions)) if all(conjunctions) else ()


def any_of(*conditions: Condition) -> Condition:
    """The condition that holds when at least one of these does (at least one must be given)."""
    if not all(conditions):
        return ()
    return tuple(dict.fromkeys(itertools.chain.from_iterable(conditions)))


def all_of(*conditions: Condition) -> Condition:
    """The condition that holds when all of these do."""
    products = itertools.product(*(condition for condition in conditions if condition))
    conjunctions = (tuple(dict.fromkeys(itertools.chain.from_iterable(parts))) for parts in products)
    return as_condition(tuple(conjunctions), owner="all_of")
