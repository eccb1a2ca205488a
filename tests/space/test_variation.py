import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.space import Choice, Requirement, Space

from .examples import mobilenet, random_space


@given(st.integers(0, 10**6), st.sampled_from([None, 0.0, 0.3, 1.0]))
@settings(max_examples=150, deadline=None)
def test_a_mutant_is_valid_and_different(seed, probability):
    space, rng = random_space(seed), np.random.default_rng(seed)
    parent = space.sample(rng)
    if space.size > 1:
        child = space.mutate(parent, rng, probability=probability)
        assert space.validate(child) == child
        assert child != parent


def test_probability_zero_changes_one_choice():
    space, rng = Space([Choice(f"c{number}", range(4)) for number in range(8)]), np.random.default_rng(0)
    parent = space.sample(rng)
    for _ in range(50):
        child = space.mutate(parent, rng, probability=0)
        assert sum(child[name] != parent[name] for name in parent) == 1


def test_probability_one_changes_all_choices():
    space, rng = Space([Choice(f"c{number}", range(4)) for number in range(8)]), np.random.default_rng(0)
    parent = space.sample(rng)
    child = space.mutate(parent, rng, probability=1)
    assert all(child[name] != parent[name] for name in parent)


def test_every_neighbour_is_reached():
    space, rng = random_space(8), np.random.default_rng(0)
    parent = space.sample(rng)
    reached = {space.mutate(parent, rng, probability=0.7) for _ in range(100 * space.size)}
    assert reached == set(space.enumerate()) - {parent}


def test_active_choices_with_one_option_are_no_change():
    space = Space([Choice("fixed", (1,)), Choice("free", (1, 2))])
    rng = np.random.default_rng(0)
    assert all(space.mutate({"fixed": 1, "free": 1}, rng) == {"fixed": 1, "free": 2} for _ in range(20))


def test_nothing_to_mutate():
    with pytest.raises(SpaceError, match=r"space with one architecture cannot be mutated"):
        Space([Choice("fixed", (1,))]).mutate({"fixed": 1}, np.random.default_rng(0))


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_probability_is_one(probability):
    space, rng = mobilenet(), np.random.default_rng(0)
    with pytest.raises(SpaceError, match=r"`probability` must be between 0 and 1; got"):
        space.mutate(space.sample(rng), rng, probability=probability)


def test_the_parent_is_validated():
    with pytest.raises(ArchitectureError, match=r"Choice 'stage0.depth' is missing"):
        mobilenet().mutate({}, np.random.default_rng(0))


@given(st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_a_child_is_valid_and_takes_after_its_parents(seed):
    space, rng = random_space(seed), np.random.default_rng(seed)
    first, second = space.sample(rng), space.sample(rng)
    child = space.crossover(first, second, rng)
    assert space.validate(child) == child
    for name, option in child.items():
        inherited = [parent[name] for parent in (first, second) if name in parent]
        assert not inherited or option in inherited
    assert space.crossover(first, first, rng) == first


def test_each_parent_gives_half_of_the_options():
    """Of 80,000 options each; the standard deviation is 141."""
    space, rng = Space([Choice(f"c{number}", (0, 1)) for number in range(80)]), np.random.default_rng(0)
    first, second = (dict.fromkeys(space.names, option) for option in (0, 1))
    from_second = sum(sum(space.crossover(first, second, rng).values()) for _ in range(1000))
    assert abs(from_second - 40_000) < 5 * 141


def test_choices_active_in_no_parent_are_drawn():
    both = [[Requirement("a", (1,)), Requirement("b", (1,))]]
    space = Space([Choice("a", (0, 1)), Choice("b", (0, 1)), Choice("c", range(3), condition=both)])
    rng = np.random.default_rng(0)
    children = [space.crossover({"a": 1, "b": 0}, {"a": 0, "b": 1}, rng) for _ in range(200)]
    assert {child.get("c") for child in children} == {None, 0, 1, 2}
