"""The space: ordered choices, and everything that needs only them."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.space import encoding, ordering, variation
from hwnas.space.architecture import Architecture
from hwnas.space.choice import Choice
from hwnas.space.counting import Counting
from hwnas.space.layers import INACTIVE, CodedCondition
from hwnas.space.option import Option, canonical_uid

__all__ = ["Space"]


class Space:
    """What may vary: choices, each after the choices that its condition names.

    Immutable; equal when the choices are. Encoded architectures are integer arrays with a row for
    each architecture and a column for each choice: the index of its option, or -1 (inactive).

    Attributes:
        choices: in order.
        names: of the choices, in order.
        num_options: of the choices, in order.
        coded_conditions: of every choice, an OR of ANDs of (position, codes); `{{}}` always holds.
    """

    def __init__(self, choices: Sequence[Choice]) -> None:
        """See the class; `Space.ordered` takes the choices in any order.

        Raises:
            SpaceError: no choices, one name twice, or a condition on a choice that does not come
                earlier or on an option that it does not have.
        """
        self.choices: tuple[Choice, ...] = tuple(choices)
        if not self.choices:
            raise SpaceError("A space must have at least one choice; got none. Put a choice into the model.")
        self._positions: dict[str, int] = {}
        coded: list[CodedCondition] = []
        self.num_options: tuple[int, ...] = tuple(choice.num_options for choice in self.choices)
        for position, choice in enumerate(self.choices):
            if choice.name in self._positions:
                raise SpaceError(
                    f"The names of choices must differ; {choice.name!r} is there twice. Use one `Choice` for both, "
                    "or another label."
                )
            coded.append(self._coded(choice))
            self._positions[choice.name] = position
        self.names: tuple[str, ...] = tuple(self._positions)
        self.coded_conditions: tuple[CodedCondition, ...] = tuple(coded)
        self._lookups = tuple((choice.name, choice._codes) for choice in self.choices)
        self._conjunctions = tuple(tuple(tuple(part) for part in condition) for condition in coded)

    def _coded(self, choice: Choice) -> CodedCondition:
        conjunctions = []
        for conjunction in choice.condition or ((),):
            literals = []
            for part in conjunction:
                if part.choice not in self._positions:
                    raise SpaceError(
                        f"The condition of {choice.name!r} is on {part.choice!r}, which is not an earlier choice "
                        f"(those are {list(self._positions)!r}). `Space.ordered` puts choices in order."
                    )
                position = self._positions[part.choice]
                try:
                    codes = frozenset(self.choices[position].index(option) for option in part.options)
                except ArchitectureError as error:
                    raise SpaceError(f"The condition of {choice.name!r} names what is not there: {error}") from None
                literals.append((position, codes))
            conjunctions.append(frozenset(literals))
        return frozenset(conjunctions)

    @classmethod
    def ordered(cls, choices: Iterable[Choice]) -> Space:
        """The space of these choices, given in any order.

        Each comes as soon as the choices that its condition names allow. One name may come several
        times (one label in several places): then the choice is active when any of them is.

        Raises:
            SpaceError: conditions in a circle or on an unknown name, one name with two lists of options.
        """
        return cls(ordering.ordered(choices))

    def __eq__(self, other: object) -> bool:
        return self.choices == other.choices if isinstance(other, Space) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.choices)

    def __repr__(self) -> str:
        return f"Space({list(self.choices)!r})"

    def position(self, name: str) -> int:
        """The column of a choice in encoded architectures.

        Raises:
            SpaceError: no such choice.
        """
        if name not in self._positions:
            raise SpaceError(f"There is no choice {name!r} in this space.{self._hint(name)}")
        return self._positions[name]

    def choice(self, name: str) -> Choice:
        """The choice of this name.

        Raises:
            SpaceError: no such choice.
        """
        return self.choices[self.position(name)]

    def _hint(self, name: object) -> str:
        close = difflib.get_close_matches(str(name), self.names, n=1)
        shown = ", ".join(self.names[:20]) + (", ..." if len(self.names) > 20 else "")
        return f" Did you mean {close[0]!r}? It has {shown}." if close else f" It has {shown}."

    @cached_property
    def uid(self) -> str:
        """SHA-256 of the canonical JSON."""
        return canonical_uid(self.to_json())

    @cached_property
    def _counting(self) -> Counting:
        return Counting([choice.num_options for choice in self.choices], self.coded_conditions)

    @property
    def size(self) -> int:
        """How many architectures there are, exactly.

        Raises:
            SpaceError: conditions that depend on too many choices at once.
        """
        return self._counting.size

    def sample_codes(self, num: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Encoded architectures (num, num_choices), every one equally likely.

        Raises:
            SpaceError: as `size`.
        """
        return self._counting.sample(num, rng)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """An architecture, every one equally likely.

        Raises:
            SpaceError: as `size`.
        """
        return self.architecture(self.sample_codes(1, rng)[0].tolist())

    def mutate(
        self, architecture: Mapping[str, Option], rng: np.random.Generator, *, probability: float | None = None
    ) -> Architecture:
        """Another architecture near this one: at least one choice differs.

        Every active choice with two options or more gets another one with `probability` (default:
        one over their number), at least one of them does; choices that become active are drawn.

        Raises:
            ArchitectureError: the space does not allow `architecture`.
            SpaceError: a probability outside [0, 1], or a space with one architecture.
        """
        return self.architecture(variation.mutate(self, self.codes(architecture), rng, probability))

    def crossover(
        self, first: Mapping[str, Option], second: Mapping[str, Option], rng: np.random.Generator
    ) -> Architecture:
        """An architecture whose options come from one parent or the other, each as likely.

        Choices that are active in one parent only come from that one; in neither, they are drawn.

        Raises:
            ArchitectureError: the space does not allow a parent.
        """
        return self.architecture(variation.crossover(self, self.codes(first), self.codes(second), rng))

    def enumerate(self) -> Iterator[Architecture]:
        """All architectures, the last choice changing fastest."""
        return map(self.architecture, encoding.enumerate_rows(self))

    def enumerate_codes(self) -> NDArray[np.int32]:
        """All architectures, encoded, in the order of `enumerate`.

        Raises:
            SpaceError: more than 2,000,000 of them.
        """
        return encoding.enumerate_codes(self)

    def is_active(self, position: int, codes: Sequence[int]) -> bool:
        """Whether a choice is active, given the codes of the earlier ones."""
        for conjunction in self._conjunctions[position]:
            for place, allowed in conjunction:
                if codes[place] not in allowed:
                    break
            else:
                return True
        return False

    def active(self, position: int, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether a choice is active (n,), given encoded architectures (n, num_choices)."""
        result = np.zeros(len(codes), dtype=np.bool_)
        for conjunction in self.coded_conditions[position]:
            holds = np.ones(len(codes), dtype=np.bool_)
            for place, allowed in conjunction:
                fulfils = np.zeros(self.choices[place].num_options + 1, dtype=np.bool_)
                fulfils[list(allowed)] = True
                holds &= fulfils[codes[:, place]]
            result |= holds
        return result

    def codes(self, options: Mapping[str, Option]) -> list[int]:
        """The codes of one architecture: a row of `encode` as a list, sooner than an array is made.

        Raises:
            ArchitectureError: as `validate`.
        """
        if not isinstance(options, Architecture):
            return self._codes_by_rule(options)
        held = options._options
        codes: list[int] = []
        num_found = 0
        for position, (name, code_of) in enumerate(self._lookups):
            if self.is_active(position, codes):
                if name not in held or held[name] not in code_of:
                    return self._codes_by_rule(options)
                codes.append(code_of[held[name]])
                num_found += 1
            else:
                codes.append(INACTIVE)
        return codes if num_found == len(held) else self._codes_by_rule(options)

    def encode(self, architectures: Iterable[Mapping[str, Option]]) -> NDArray[np.int32]:
        """The architectures as codes (n, num_choices); -1 where a choice is inactive.

        Raises:
            ArchitectureError: one that the space does not allow.
        """
        rows = [self.codes(architecture) for architecture in architectures]
        return np.array(rows, dtype=np.int32, order="F").reshape(len(rows), len(self.choices), order="F")

    def decode(self, codes: ArrayLike) -> list[Architecture]:
        """The inverse of `encode`.

        Raises:
            ArchitectureError: codes of the wrong shape or kind, out of range, -1 for an active
                choice or another code for an inactive one.
        """
        array = self.check_codes(codes)
        encoding.require_consistent(self, array)
        return [self.architecture(row) for row in array.tolist()]

    def architecture(self, codes: Sequence[int]) -> Architecture:
        """The architecture of one row of codes, unchecked: the inverse of `codes`; `decode` checks."""
        return Architecture.owning(
            {
                choice.name: choice.options[code]
                for choice, code in zip(self.choices, codes, strict=True)
                if code != INACTIVE
            }
        )

    def check_codes(self, codes: ArrayLike) -> NDArray[np.integer]:
        """The codes as an integer array (n, num_choices) with each in the range of its choice.

        Raises:
            ArchitectureError: wrong shape or kind, or a code out of range. Which choices are active
                is not checked; `decode` does that.
        """
        return encoding.check_codes(self, codes)

    def validate(self, options: Mapping[str, Option]) -> Architecture:
        """The architecture that a mapping describes, with the space's own option objects.

        Raises:
            ArchitectureError: naming the choice that is unknown, missing, inactive or has another
                option than it allows.
        """
        return self.architecture(self.codes(options))

    def _codes_by_rule(self, options: Mapping[str, Option]) -> list[int]:
        """As `codes`, one rule after the other, so that an error says which is broken."""
        if not isinstance(options, Mapping):
            raise ArchitectureError(f"An architecture must be a mapping from choices to options; got {options!r}.")
        for name in options:
            if name not in self._positions:
                raise ArchitectureError(f"There is no choice {name!r} in this space.{self._hint(name)}")
        codes: list[int] = []
        for position, choice in enumerate(self.choices):
            if self.is_active(position, codes):
                if choice.name not in options:
                    allowed = ", ".join(map(repr, choice.options))
                    raise ArchitectureError(f"Choice {choice.name!r} is missing; it allows {allowed}.")
                codes.append(choice.index(options[choice.name]))
            elif choice.name in options:
                raise ArchitectureError(
                    f"Choice {choice.name!r} is inactive here, its condition {choice.condition!r} does not hold; "
                    f"leave out its option {options[choice.name]!r}."
                )
            else:
                codes.append(INACTIVE)
        return codes

    def to_json(self) -> dict[str, object]:
        """The space as a JSON object."""
        return {"choices": [choice.to_json() for choice in self.choices]}

    @classmethod
    def from_json(cls, value: object) -> Space:
        """The inverse of `to_json`.

        Raises:
            SpaceError: anything that `to_json` does not write.
        """
        if not isinstance(value, dict) or set(value) != {"choices"} or not isinstance(value["choices"], list):
            raise SpaceError(f"A space in JSON must be an object with the list 'choices'; got {reprlib.repr(value)}.")
        return cls([Choice.from_json(choice) for choice in value["choices"]])
