"""Guards against brute force over all assignments of options."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings, strategies as st

from hwnas.errors import TraceError
from hwnas.space import Choice, Requirement, Space
from hwnas.trace import ALWAYS, Box, Guard, GuardAlgebra, TensorSpec, disjoint, simplified

NUM_OPTIONS = {"a": 2, "b": 3, "c": 3}
ALGEBRA = GuardAlgebra(NUM_OPTIONS)
ASSIGNMENTS = [dict(zip(NUM_OPTIONS, codes, strict=True)) for codes in itertools.product(*map(range, (2, 3, 3)))]


def holds(box: Box, assignment: dict[str, int]) -> bool:
    return all(assignment.get(name) in codes for name, codes in box)


def num_boxes(guard: Guard, assignment: dict[str, int]) -> int:
    return sum(holds(box, assignment) for box in guard.boxes)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    box = []
    for name, num in NUM_OPTIONS.items():
        codes = draw(st.sets(st.integers(0, num - 1), max_size=num))
        if codes:
            box.append((name, tuple(sorted(codes))))
    return tuple(box)


@st.composite
def guards(draw: st.DrawFn) -> Guard:
    """Some boxes of a partition of everything."""
    cells = [tuple((name, (code,)) for name, code in assignment.items()) for assignment in ASSIGNMENTS]
    chosen = draw(st.sets(st.sampled_from(cells)))
    return ALGEBRA.either([Guard((cell,)) for cell in chosen])


@given(guards(), guards())
@settings(max_examples=60, deadline=None)
def test_both_is_and_in_boxes_that_do_not_overlap(one: Guard, other: Guard) -> None:
    result = ALGEBRA.both(one, other)
    for assignment in ASSIGNMENTS:
        assert num_boxes(result, assignment) == (num_boxes(one, assignment) and num_boxes(other, assignment))


@given(guards())
@settings(max_examples=60, deadline=None)
def test_either_keeps_what_it_is_given(guard: Guard) -> None:
    again = ALGEBRA.either([Guard((box,)) for box in guard.boxes])
    for assignment in ASSIGNMENTS:
        assert num_boxes(again, assignment) == num_boxes(guard, assignment) <= 1


@given(guards(), guards())
@settings(max_examples=60, deadline=None)
def test_covers_is_implication(outer: Guard, inner: Guard) -> None:
    implied = all(num_boxes(outer, assignment) >= num_boxes(inner, assignment) for assignment in ASSIGNMENTS)
    assert ALGEBRA.covers(outer, inner) == implied


def test_all_options_are_no_requirement() -> None:
    parts = [ALGEBRA.both(ALGEBRA.option("a", [0]), ALGEBRA.option("b", [code])) for code in range(3)]
    assert ALGEBRA.either(parts) == ALGEBRA.option("a", [0])
    assert ALGEBRA.either([ALGEBRA.option("c", [0, 2]), ALGEBRA.option("c", [1])]) == ALWAYS


@given(st.lists(boxes(), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_disjoint_is_or_in_boxes_that_do_not_overlap(parts: list[Box]) -> None:
    guard = disjoint([Guard((box,)) for box in parts], NUM_OPTIONS)
    for assignment in ASSIGNMENTS:
        assert num_boxes(guard, assignment) == any(holds(box, assignment) for box in parts)


def test_disjoint_knows_inactive_choices() -> None:
    guard = disjoint([Guard(((("a", (0,)),),)), Guard(((("b", (1,)),),))], NUM_OPTIONS)
    for a, b in itertools.product(range(3), range(4)):  # the last code: inactive
        assert num_boxes(guard, {"a": a, "b": b, "c": 0}) == (a == 0 or b == 1)


def test_too_many_cases_are_an_error_that_names_the_choices() -> None:
    algebra = GuardAlgebra({f"c{i}": 10 for i in range(6)})
    with pytest.raises(TraceError, match="more than 4096 cases, by the options of c0, c1, c2, c3"):
        algebra.combinations(ALWAYS, [f"c{i}" for i in range(6)])


def test_combinations_are_those_within_the_guard() -> None:
    found = ALGEBRA.combinations(ALGEBRA.option("b", [0, 2]), ["b", "a"])
    assert [codes for _, codes in found] == [{"b": b, "a": a} for b in (0, 2) for a in (0, 1)]


def test_a_requirement_that_another_choice_implies_is_left_out() -> None:
    space = Space(
        [
            Choice("depth", (1, 2, 3)),
            Choice("block", ("x", "y"), condition=((Requirement("depth", (2, 3)),),)),
            Choice("inner", (0, 1), condition=((Requirement("block", ("y",)),),)),
        ]
    )
    deep = ("depth", (1, 2))
    assert simplified(Guard(((("block", (0,)), deep),)), space) == Guard(((("block", (0,)),),))
    assert simplified(Guard(((("block", (1,)), deep, ("inner", (0,))),)), space) == Guard(((("inner", (0,)),),))
    narrower = Guard(((("block", (0,)), ("depth", (2,))),))
    assert simplified(narrower, space) == narrower
    maybe_inactive = Guard(((("block", (0, 2)), deep),))
    assert simplified(maybe_inactive, space) == maybe_inactive


def test_guards_and_specs_read_well() -> None:
    assert str(ALWAYS) == "always"
    assert str(Guard(())) == "never"
    assert str(Guard(((("a", (0,)), ("b", (1, 2))), (("c", (0,)),)))) == "a in [0] and b in [1, 2] or c in [0]"
    assert Guard(((("b", (0,)),), (("a", (1,)),))).choices == ("a", "b")
    assert TensorSpec((2, 3), "float32", 4).num_bytes == 24
