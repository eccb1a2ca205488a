import itertools

import numpy as np
import pytest

from hwnas.cost import CostTable, Term
from hwnas.errors import SpaceError
from hwnas.space import Choice, Space
from hwnas.space.layers import INACTIVE, decide
from tests.solve.random_problems import random_space, random_table


@pytest.mark.parametrize("seed", range(30))
def test_paths_through_the_layers_are_the_architectures_with_their_costs(seed):
    # Against enumeration and the cost table's own values.
    rng = np.random.default_rng(seed)
    space = random_space(rng)
    cost = random_table(space, rng)
    terms = [(tuple(space.position(name) for name in term.choices), term.values) for term in cost.terms]
    layers = list(decide([choice.num_options for choice in space.choices], space.coded_conditions, terms))
    paths = [({}, 0, cost.constant)]
    for layer in layers:
        paths = [
            (codes | {layer.position: slot}, layer.following[state, slot], total + layer.costs[state, slot])
            for codes, state, total in paths
            for slot in range(layer.num_options + 1)
            if np.isfinite(layer.costs[state, slot])
        ]
    found = {}
    for codes, state, total in paths:
        assert state == 0
        slots = [codes[position] for position in range(len(space.choices))]
        inactive = [slot == choice.num_options for slot, choice in zip(slots, space.choices, strict=True)]
        found[tuple(INACTIVE if off else slot for slot, off in zip(slots, inactive, strict=True))] = total
    expected = {
        tuple(row): value
        for row, value in zip(space.enumerate_codes().tolist(), cost.values(space.enumerate_codes()), strict=True)
    }
    assert found == pytest.approx(expected)


def test_equal_remainders_are_one_state():
    # The tables depend on sums modulo 2 only, so that two states are enough for any number of choices.
    space = Space([Choice(f"c{n}", tuple(range(4))) for n in range(2)])
    values = np.array([[(a + b) % 2 for b in range(5)] for a in range(5)], dtype=float)
    first, second = decide([4, 4], space.coded_conditions, [((0, 1), values)])
    assert len(first.active) == 1
    assert len(second.active) == 2


def test_too_many_states():
    space = Space([Choice(f"c{n:02d}", tuple(range(3))) for n in range(24)])
    rng = np.random.default_rng(0)
    pairs = itertools.product(range(12), range(12, 24))
    terms = [(pair, rng.random((4, 4))) for pair in pairs]
    with pytest.raises(SpaceError, match="more than 20,000 states"):
        list(decide([3] * 24, space.coded_conditions, terms))


def test_a_table_is_known_with_its_last_choice():
    space = Space([Choice("a", (0, 1)), Choice("b", (0, 1))])
    table = CostTable(space, 0.0, [Term(("b", "a"), np.arange(9.0).reshape(3, 3))])
    terms = [((0, 1), table.terms[0].values)]
    first, second = decide([2, 2], space.coded_conditions, terms)
    assert first.costs.tolist() == [[0.0, 0.0, np.inf]]
    assert second.costs[first.following[0, 1]].tolist() == [1.0, 4.0, np.inf]
