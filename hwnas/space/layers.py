"""Deciding the choices of a space one after the other: what the past means for the future, as states.

What is left of the conditions of the choices still to come is a condition with the decided requirements struck out
(its derivative); what is left of a table over several choices is a table over those still to come (its slice). Two
pasts with the same remainders have the same completions at the same cost, so they are one state. Dynamic programs
over these states count and draw architectures exactly.

S states, n options of a choice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.errors import SpaceError

__all__ = ["ALWAYS", "INACTIVE", "MAX_STATES", "CodedCondition", "Layer", "decide"]

INACTIVE = -1
MAX_STATES = 20_000

Literal_ = tuple[int, frozenset[int]]
CodedCondition = frozenset[frozenset[Literal_]]
"""An OR of ANDs of (position of an earlier choice, codes of the options that fulfil it)."""

ALWAYS: CodedCondition = frozenset({frozenset()})

CodedTerm = tuple[tuple[int, ...], NDArray[np.float64]]
"""Positions of choices, and a table with an axis for each: a slot an option, the last one for "inactive"."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
    """One choice, in every state in which it can be met.

    Attributes:
        position: the choice's.
        num_options: n.
        active: whether the choice is active, (S,).
        following: the next layer's state after each option, (S, n + 1); the last column is "inactive". Columns that
            the state does not allow are 0.
        costs: what the tables add that are known with this choice, (S, n + 1), and inf in columns that the state
            does not allow.
    """

    position: int
    num_options: int
    active: NDArray[np.bool_]
    following: NDArray[np.intp]
    costs: NDArray[np.float64]


def derivative(condition: CodedCondition, position: int, code: int) -> CodedCondition:
    """What is left of a condition once the choice at `position` has been decided."""
    remaining: set[frozenset[Literal_]] = set()
    for conjunction in condition:
        if all(code in codes for place, codes in conjunction if place == position):
            remaining.add(frozenset(literal for literal in conjunction if literal[0] != position))
    if frozenset() in remaining:
        return ALWAYS
    return frozenset(part for part in remaining if not any(other < part for other in remaining))


def decide(
    num_options: Sequence[int], conditions: Sequence[CodedCondition], terms: Sequence[CodedTerm] = ()
) -> Iterator[Layer]:
    """The layers in the order in which the choices are decided; the first has one state.

    Args:
        num_options: of every choice.
        conditions: of every choice, on earlier positions; `ALWAYS` where there is none.
        terms: tables to add up; finite.

    Raises:
        SpaceError: more than `MAX_STATES` states at once.
    """
    order = _decision_order(conditions)
    # A condition is part of the state from the first choice that it mentions to the last that it governs.
    last_use = {conditions[position]: step for step, position in enumerate(order)}
    users: dict[int, list[CodedCondition]] = {position: [] for position in order}
    for condition in last_use:
        for place in {place for part in condition for place, _ in part}:
            users[place].append(condition)
    opened: set[CodedCondition] = {ALWAYS}
    pending: list[CodedCondition] = []
    tables = _Tables(terms, order)
    states: dict[_State, int] = {((), tables.untouched): 0}
    derivatives: dict[tuple[CodedCondition, int], CodedCondition] = {}
    for step, position in enumerate(order):
        own = pending.index(conditions[position]) if conditions[position] != ALWAYS else None
        kept = [slot for slot, condition in enumerate(pending) if last_use[condition] > step]
        new = tuple(condition for condition in users[position] if condition not in opened)
        opened.update(new)
        pending = [*(pending[slot] for slot in kept), *new]
        num = num_options[position]
        groups = _equivalent_codes(num, position, users[position], apart=tables.remains(position))
        active = np.ones(len(states), dtype=np.bool_)
        following = np.zeros((len(states), num + 1), dtype=np.intp)
        costs = np.full((len(states), num + 1), np.inf)
        next_states: dict[_State, int] = {}
        derivatives.clear()
        for (conditions_left, tables_left), number in states.items():
            active[number] = own is None or conditions_left[own] == ALWAYS
            rest = [*(conditions_left[slot] for slot in kept), *new]
            allowed = slice(0, num) if active[number] else slice(num, num + 1)
            costs[number, allowed] = tables.known(tables_left, position, num + 1)[allowed]
            for codes in groups if active[number] else [[INACTIVE]]:
                key = []
                for condition in rest:
                    if (condition, codes[0]) not in derivatives:
                        derivatives[condition, codes[0]] = derivative(condition, position, codes[0])
                    key.append(derivatives[condition, codes[0]])
                state = (tuple(key), tables.after(tables_left, position, codes[0]))
                following[number, codes] = next_states.setdefault(state, len(next_states))
            if len(next_states) > MAX_STATES:
                raise SpaceError(
                    f"The conditions of this space need more than {MAX_STATES:,} states to count it. Let each "
                    "condition depend on fewer earlier choices, or put choices that depend on each other together."
                )
        yield Layer(position=position, num_options=num, active=active, following=following, costs=costs)
        states = next_states


_State = tuple[tuple[CodedCondition, ...], tuple[int, ...]]
"""What is left of the pending conditions, and the number of what is left of every table."""


class _Tables:
    """What is left of tables when some of their choices are decided; equal slices have one number.

    A state holds a number for every table; -1 stands for one whose choices are all decided.
    """

    def __init__(self, terms: Sequence[CodedTerm], order: Sequence[int]) -> None:
        steps = {position: step for step, position in enumerate(order)}
        self._slices: list[NDArray[np.float64]] = []
        self._numbers: dict[tuple[int, bytes], int] = {}
        self._held: dict[int, list[int]] = {position: [] for position in order}
        self._last: list[int] = []
        whole = []
        for term, (positions, values) in enumerate(terms):
            axes = sorted(range(len(positions)), key=lambda axis: steps[positions[axis]])
            for position in positions:
                self._held[position].append(term)
            self._last.append(positions[axes[-1]])
            whole.append(self._number(term, np.ascontiguousarray(values.transpose(axes))))
        self.untouched = tuple(whole)

    def remains(self, position: int) -> bool:
        """Whether some table over this choice is not known with it."""
        return any(self._last[term] != position for term in self._held[position])

    def known(self, left: Sequence[int], position: int, num_slots: int) -> NDArray[np.float64]:
        """The sum of the tables of which this choice is the last, (num_slots,)."""
        known = np.zeros(num_slots)
        for term in self._held[position]:
            if self._last[term] == position:
                known += self._slices[left[term]]
        return known

    def after(self, left: tuple[int, ...], position: int, code: int) -> tuple[int, ...]:
        """What is left when the choice has this code."""
        if not self._held[position]:
            return left
        after = list(left)
        for term in self._held[position]:
            done = self._last[term] == position
            after[term] = -1 if done else self._number(term, self._slices[left[term]][code])
        return tuple(after)

    def _number(self, term: int, values: NDArray[np.float64]) -> int:
        number = self._numbers.setdefault((term, values.tobytes()), len(self._slices))
        if number == len(self._slices):
            self._slices.append(values)
        return number


def _equivalent_codes(num: int, position: int, users: Iterable[CodedCondition], *, apart: bool) -> list[list[int]]:
    """The codes of a choice, those that no condition tells apart together; each alone if `apart`."""
    if apart:
        return [[code] for code in range(num)]
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
