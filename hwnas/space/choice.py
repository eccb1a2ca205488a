"""One decision: its name, its options, and the condition under which it matters."""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.space.condition import Condition, Requirement, as_condition, as_options
from hwnas.space.option import Option, as_option, option_to_json

__all__ = ["Choice", "MappedChoice"]

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, init=False)
class Choice:
    """One decision of a space.

    Attributes:
        name: unique in its space.
        options: pairwise distinct under `==`; strings, finite numbers, bools or tuples of ints.
        condition: an OR of ANDs of requirements on earlier choices; empty: always active.
    """

    name: str
    options: tuple[Option, ...]
    condition: Condition
    _codes: dict[Option, int] = dataclasses.field(repr=False, compare=False)

    def __init__(
        self, name: str, options: Iterable[Option], *, condition: Sequence[Sequence[Requirement]] = ()
    ) -> None:
        """See the class.

        Raises:
            SpaceError: an empty name, options that are wrong or not distinct, a condition that is not data.
        """
        if not isinstance(name, str) or not name:
            raise SpaceError(f"The name of a choice must be a non-empty string; got {name!r}.")
        owner = f"choice {name!r}"
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "options", as_options(options, owner=owner))
        object.__setattr__(self, "condition", as_condition(condition, owner=owner))
        object.__setattr__(self, "_codes", {option: code for code, option in enumerate(self.options)})

    @property
    def num_options(self) -> int:
        """How many options there are."""
        return len(self.options)

    def index(self, option: object) -> int:
        """The code of an option, found by `==` (a list stands for the tuple).

        Raises:
            ArchitectureError: not an option of this choice.
        """
        canonical = as_option(option)
        code = None if canonical is None else self._codes.get(canonical)
        if code is None:
            allowed = ", ".join(map(repr, self.options))
            raise ArchitectureError(f"Choice {self.name!r} has no option {option!r}; it allows {allowed}.")
        return code

    def map(self, values: Mapping[Option, T] | Callable[[Option], T]) -> MappedChoice[T]:
        """This choice with a value for each option, evaluated at once.

        Args:
            values: a value for every option, or a function from option to value.

        Raises:
            SpaceError: a mapping that misses an option or has one too many.
        """
        if not isinstance(values, Mapping):
            return MappedChoice(choice=self, values=tuple(values(option) for option in self.options))
        missing = [option for option in self.options if option not in values]
        unknown = [option for option in values if as_option(option) not in self._codes]
        if missing or unknown:
            raise SpaceError(
                f"The mapping of choice {self.name!r} must have its options {list(self.options)!r} as keys; "
                f"missing {missing!r}, unknown {unknown!r}."
            )
        return MappedChoice(choice=self, values=tuple(values[option] for option in self.options))

    def to_json(self) -> dict[str, object]:
        """The choice as a JSON object."""
        return {
            "name": self.name,
            "options": [option_to_json(option) for option in self.options],
            "condition": [
                [
                    {"choice": part.choice, "options": [option_to_json(option) for option in part.options]}
                    for part in conjunction
                ]
                for conjunction in self.condition
            ],
        }

    @classmethod
    def from_json(cls, value: object) -> Choice:
        """The inverse of `to_json`; a missing condition is the empty one.

        Raises:
            SpaceError: anything that `to_json` does not write.
        """
        fields = _fields(value, {"name", "options"}, {"condition"}, what="A choice")
        condition = fields.get("condition", [])
        if not isinstance(condition, list) or not all(isinstance(conjunction, list) for conjunction in condition):
            raise SpaceError(
                f"The condition of a choice must be a list of lists in JSON; got {reprlib.repr(condition)}."
            )
        return cls(
            fields["name"],  # type: ignore[arg-type]  # checked by the constructor
            fields["options"],  # type: ignore[arg-type]
            condition=[[_requirement(part) for part in conjunction] for conjunction in condition],
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MappedChoice(Generic[T]):
    """A choice together with one value for each of its options, in their order."""

    choice: Choice
    values: tuple[T, ...]


def _requirement(value: object) -> Requirement:
    fields = _fields(value, {"choice", "options"}, set(), what="A requirement")
    return Requirement(fields["choice"], fields["options"])  # type: ignore[arg-type]  # checked by the constructor


def _fields(value: object, required: set[str], optional: set[str], *, what: str) -> dict[str, object]:
    """The fields of a JSON object of ours."""
    if not isinstance(value, dict) or not required <= value.keys() <= required | optional:
        raise SpaceError(
            f"{what} in JSON must be an object with the keys {sorted(required | optional)}; got {reprlib.repr(value)}."
        )
    return value
