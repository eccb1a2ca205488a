"""Sums under guards against going through every architecture and asking every guard."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.cost import Calibration, LatencyTable, block_sum, guarded_sum, latency_cost
from hwnas.errors import BadInputError
from hwnas.space import Choice, Requirement, Space
from hwnas.trace import ALWAYS, Block, Guard
from tests.fingerprints import FINGERPRINT

SPACE = Space(
    [
        Choice("a", ("x", "y", "z")),
        Choice("b", (1, 2)),
        Choice("c", (1, 2, 3), condition=((Requirement("a", ("x", "z")),),)),
    ]
)


def holds(guard, codes):
    return any(all(codes[SPACE.position(name)] in allowed for name, allowed in box) for box in guard.boxes)


@st.composite
def boxes(draw):
    names = draw(st.sets(st.sampled_from(SPACE.names)))
    box = [
        (name, tuple(sorted(draw(st.sets(st.integers(0, SPACE.choice(name).num_options - 1), min_size=1)))))
        for name in sorted(names)
    ]
    return tuple(box)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(boxes(), st.integers(0, 10**9)), max_size=6))
def test_the_sum_is_that_over_the_guards_that_hold(quantities):
    guarded = [(Guard((box,)), float(value)) for box, value in quantities]
    table = guarded_sum(SPACE, guarded, unit="macs")
    codes = SPACE.enumerate_codes()
    expected = [sum(value for guard, value in guarded if holds(guard, row)) for row in codes]
    np.testing.assert_array_equal(table.values(codes), expected)
    assert table.unit == "macs"


def test_several_boxes_never_and_always():
    either = Guard(((("a", (0,)),), (("a", (1,)), ("b", (1,)))))
    table = guarded_sum(SPACE, [(either, 5.0), (ALWAYS, 2.0), (Guard(()), 100.0)])
    codes = SPACE.enumerate_codes()
    np.testing.assert_array_equal(table.values(codes), [2 + 5 * holds(either, row) for row in codes])


def block(key, guard):
    return Block(key=key, module="m", guard=guard, of_choice=True, inputs=(), outputs=())


def latency_table(calibration=None):
    milliseconds = {"stem": 1.0, "big": 4.0, "small": 0.5}
    return LatencyTable(
        milliseconds=milliseconds,
        standard_errors_ms=dict.fromkeys(milliseconds, 0.01),
        fingerprint=FINGERPRINT,
        baseline_ms=1.0,
        reference="r",
        noise_floor=0.01,
        calibration=calibration,
    )


BLOCKS = [block("stem", ALWAYS), block("big", Guard(((("b", (0,)),),))), block("small", Guard(((("b", (1,)),),)))]
BIG, SMALL = {"a": "y", "b": 1}, {"a": "y", "b": 2}


def test_block_sums_and_their_calibration_by_hand():
    total = block_sum(SPACE, BLOCKS, latency_table())
    assert (total.value(SPACE.validate(BIG)), total.value(SPACE.validate(SMALL))) == (5.0, 1.5)
    assert latency_cost(SPACE, BLOCKS, latency_table()).value(SPACE.validate(BIG)) == 5.0
    fit = Calibration(intercept_ms=0.2, slope=0.5, r2=1.0, max_relative_error=0.0, num_networks=3, isolation_ms=0.25)
    cost = latency_cost(SPACE, BLOCKS, latency_table(fit))
    assert cost.value(SPACE.validate(BIG)) == pytest.approx(0.2 + 0.5 * (0.75 + 3.75))
    assert cost.value(SPACE.validate(SMALL)) == pytest.approx(0.2 + 0.5 * (0.75 + 0.25))
    assert cost.unit == "ms"


def test_a_block_that_was_not_measured_is_never_zero():
    with pytest.raises(BadInputError, match="'unknown' is not in the latency table"):
        latency_cost(SPACE, [*BLOCKS, block("unknown", ALWAYS)], latency_table())
