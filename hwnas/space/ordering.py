"""Choices in an order in which each comes after those that its condition names."""

from __future__ import annotations

from collections.abc import Iterable

from hwnas.errors import SpaceError
from hwnas.space.choice import Choice
from hwnas.space.condition import any_of

__all__ = ["ordered"]


def ordered(choices: Iterable[Choice]) -> list[Choice]:
    """The choices in order; see `Space.ordered`.

    Raises:
        SpaceError: conditions in a circle or on an unknown name, one name with two lists of options.
    """
    merged: dict[str, Choice] = {}
    for choice in choices:
        known = merged.get(choice.name, choice)
        if known.options != choice.options:
            raise SpaceError(
                f"One name must have one list of options; {choice.name!r} has {list(known.options)!r} and "
                f"{list(choice.options)!r}. Use one `Choice` for both, or another label."
            )
        merged[choice.name] = Choice(choice.name, known.options, condition=any_of(known.condition, choice.condition))
    placed: dict[str, Choice] = {}
    waiting = list(merged.values())
    while waiting:
        ready = next((choice for choice in waiting if _names(choice) <= placed.keys()), None)
        if ready is None:
            for choice in waiting:
                for name in sorted(_names(choice) - merged.keys()):
                    raise SpaceError(
                        f"The condition of {choice.name!r} is on {name!r}, which is no choice of the space. "
                        f"Known: {list(merged)!r}."
                    )
            circle = [choice.name for choice in waiting]
            raise SpaceError(f"Conditions must not go in a circle; those of {circle!r} wait for each other.")
        placed[ready.name] = ready
        waiting.remove(ready)
    return list(placed.values())


def _names(choice: Choice) -> set[str]:
    return {part.choice for conjunction in choice.condition for part in conjunction}
