"""Exact counting and uniform sampling: a dynamic program over the choices of a space.

The choices are decided one after the other. What the past means for the future is what is left of
the conditions of the choices still to come: a condition with the decided requirements struck out
(its derivative). Two pasts with the same remainder have the same completions, so they are one
state; the number of completions of each state, counted from the end, gives the size of the space
and the probabilities under which every architecture is equally likely.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.errors import SpaceError

__all__ = ["CodedCondition", "Counting", "INACTIVE"]

INACTIVE = -1
MAX_STATES = 20_000
_CHUNK = 16_384

Literal_ = tuple[int, frozenset[int]]
CodedCondition = frozenset[frozenset[Literal_]]
"""An OR of ANDs of (position of an earlier choice, codes of the options that fulfil it)."""

ALWAYS: CodedCondition = frozenset({frozenset()})


def derivative(condition: CodedCondition, position: int, code: int) -> CodedCondition:
    """What is left of a condition once the choice at `position` has been decided."""
    remaining: set[frozenset[Literal_]] = set()
    for conjunction in condition:
        if all(code in codes for place, codes in conjunction if place == position):
            remaining.add(frozenset(literal for literal in conjunction if literal[0] != position))
    if frozenset() in remaining:
        return ALWAYS
    return frozenset(part for part in remaining if not any(other < part for other in remaining))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Layer:
    """One choice, in every state in which it can be met (S states, n options)."""

    position: int
    num_options: int
    active: NDArray[np.bool_]  # (S,)
    following: NDArray[np.intp]  # (S, n + 1): the next state after each option; the last is "inactive"


class Counting:
    """The compiled dynamic program of a space.

    Args:
        num_options: of every choice.
        conditions: of every choice, on earlier positions; `ALWAYS` where there is none.

    Raises:
        SpaceError: more than `MAX_STATES` states at once.
    """

    def __init__(self, num_options: Sequence[int], conditions: Sequence[CodedCondition]) -> None:
        self._num_choices = len(num_options)
        self._layers = list(_layers(num_options, conditions))
        counts = [1]
        self._cumulative: list[NDArray[np.float64] | None] = []  # (n - 1, S); None where all options weigh the same
        for layer in reversed(self._layers):
            totals, rows, even = [], [], True
            for active, following in zip(layer.active.tolist(), layer.following.tolist(), strict=True):
                weights = [counts[state] for state in following[:-1]] if active else [counts[following[-1]]]
                total = sum(weights)
                totals.append(total)
                even = even and len(set(weights)) == 1
                rows.append([weight / total for weight in weights] if active else [0.0] * layer.num_options)
            self._cumulative.append(None if even else np.cumsum(np.array(rows), axis=1).T[:-1].copy())
            counts = totals
        self._cumulative.reverse()
        self.size: int = counts[0]

    def sample(self, num: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Codes (num, num_choices), every architecture equally likely, columns contiguous."""
        codes = np.empty((num, self._num_choices), dtype=np.int32, order="F")
        for start in range(0, num, _CHUNK):
            chunk = codes[start : start + _CHUNK]
            state = np.zeros(len(chunk), dtype=np.intp)
            for layer, cumulative in zip(self._layers, self._cumulative, strict=True):
                if cumulative is None:
                    column = rng.integers(layer.num_options, size=len(chunk), dtype=np.int32)
                else:
                    draws = rng.random(len(chunk))
                    column = np.zeros(len(chunk), dtype=np.int32)
                    for bound in cumulative:
                        column += draws >= bound[state]
                if not layer.active.all():
                    column = np.where(layer.active[state], column, np.int32(INACTIVE))
                chunk[:, layer.position] = column
                if layer.following.any():
                    state = layer.following[state, column]
                else:
                    state[:] = 0
        return codes


def _layers(num_options: Sequence[int], conditions: Sequence[CodedCondition]) -> Iterable[_Layer]:
    order = _decision_order(conditions)
    # A condition is part of the state from the first choice that it mentions to the last that it governs.
    last_use = {conditions[position]: step for step, position in enumerate(order)}
    users: dict[int, list[CodedCondition]] = {position: [] for position in order}
    for condition in last_use:
        for place in {place for part in condition for place, _ in part}:
            users[place].append(condition)
    opened: set[CodedCondition] = {ALWAYS}
    pending: list[CodedCondition] = []
    states: dict[tuple[CodedCondition, ...], int] = {(): 0}
    derivatives: dict[tuple[CodedCondition, int], CodedCondition] = {}
    for step, position in enumerate(order):
        own = pending.index(conditions[position]) if conditions[position] != ALWAYS else None
        kept = [slot for slot, condition in enumerate(pending) if last_use[condition] > step]
        new = tuple(condition for condition in users[position] if condition not in opened)
        opened.update(new)
        pending = [*(pending[slot] for slot in kept), *new]
        num = num_options[position]
        groups = _equivalent_codes(num, position, users[position])
        active = np.ones(len(states), dtype=np.bool_)
        following = np.zeros((len(states), num + 1), dtype=np.intp)
        next_states: dict[tuple[CodedCondition, ...], int] = {}
        derivatives.clear()
        for state, number in states.items():
            active[number] = own is None or state[own] == ALWAYS
            rest = [*(state[slot] for slot in kept), *new]
            for codes in groups if active[number] else [[INACTIVE]]:
                key = []
                for condition in rest:
                    if (condition, codes[0]) not in derivatives:
                        derivatives[condition, codes[0]] = derivative(condition, position, codes[0])
                    key.append(derivatives[condition, codes[0]])
                following[number, codes] = next_states.setdefault(tuple(key), len(next_states))
            if len(next_states) > MAX_STATES:
                raise SpaceError(
                    f"The conditions of this space need more than {MAX_STATES:,} states to count it. Let each "
                    "condition depend on fewer earlier choices, or put choices that depend on each other together."
                )
        yield _Layer(position=position, num_options=num, active=active, following=following)
        states = next_states


def _equivalent_codes(num: int, position: int, users: Iterable[CodedCondition]) -> list[list[int]]:
    """The codes of a choice, those that no condition tells apart together."""
    sets = {codes for condition in users for part in condition for place, codes in part if place == position}
    groups: dict[tuple[bool, ...], list[int]] = {}
    for code in range(num):
        groups.setdefault(tuple(code in codes for codes in sets), []).append(code)
    return list(groups.values())


def _decision_order(conditions: Sequence[CodedCondition]) -> list[int]:
    """An order in which each choice comes after those it depends on, and as few as possible are open.

    Choices that depend on each other, however indirectly, stand together; among them a choice is
    decided just before the first that needs it.
    """
    needs = [sorted({place for part in condition for place, _ in part}) for condition in conditions]
    group = list(range(len(needs)))
    for position, places in enumerate(needs):
        for place in places:
            old, new = group[place], group[position]
            group = [new if other == old else other for other in group]
    needed = {place for places in needs for place in places}
    first = {label: group.index(label) for label in set(group)}
    order: dict[int, None] = {}
    for position in sorted(range(len(needs)), key=lambda position: (first[group[position]], position)):
        if position not in needed:
            order.update(dict.fromkeys(sorted(_with_ancestors(position, needs))))
    return list(order)


def _with_ancestors(position: int, needs: Sequence[Iterable[int]]) -> set[int]:
    found, open_ = {position}, [position]
    while open_:
        new = set(needs[open_.pop()]) - found
        found |= new
        open_.extend(new)
    return found
