"""One network of a space: an option for every active choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from hwnas.errors import ArchitectureError
from hwnas.space.option import JsonOption, Option, as_option, canonical_uid, option_to_json

__all__ = ["Architecture"]


class Architecture(Mapping[str, Option]):
    """An immutable, hashable mapping from the names of the active choices to their options.

    Two are equal when they hold the same options, in whatever order. Whether a space allows it is
    for `Space.validate` to say; that also replaces options by the space's own objects (1 for True),
    on which the uid depends.
    """

    def __init__(self, options: Mapping[str, Option]) -> None:
        """See the class.

        Raises:
            ArchitectureError: not a mapping from names to options.
        """
        if not isinstance(options, Mapping):
            raise ArchitectureError(f"An architecture must be a mapping from choices to options; got {options!r}.")
        self._options: dict[str, Option] = {}
        for name, given in options.items():
            option = as_option(given)
            if not isinstance(name, str) or option is None:
                raise ArchitectureError(
                    "An architecture must map names to strings, finite numbers, bools or tuples of ints; "
                    f"got {given!r} for {name!r}."
                )
            self._options[name] = option

    @classmethod
    def owning(cls, options: dict[str, Option]) -> Architecture:
        """The architecture that takes over a dictionary of canonical options, unchecked: for a `Space`'s own."""
        architecture = cls.__new__(cls)
        architecture._options = options
        return architecture

    def __getitem__(self, name: str) -> Option:
        return self._options[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._options)

    def __len__(self) -> int:
        return len(self._options)

    def __hash__(self) -> int:
        return hash(frozenset(self._options.items()))

    def __repr__(self) -> str:
        return f"Architecture({self._options!r})"

    @cached_property
    def uid(self) -> str:
        """SHA-256 of the canonical JSON: the same in every process and order."""
        return canonical_uid(self.to_json())

    def to_json(self) -> dict[str, JsonOption]:
        """The options by choice, as a JSON object (tuples are lists)."""
        return {name: option_to_json(option) for name, option in self._options.items()}

    @classmethod
    def from_json(cls, value: object) -> Architecture:
        """The inverse of `to_json`; `Space.validate` says whether a space allows it.

        Raises:
            ArchitectureError: not an object of options.
        """
        return cls(value)  # type: ignore[arg-type]  # checked by the constructor
