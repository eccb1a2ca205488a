import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.space import Architecture, Choice, Requirement, Space

from .examples import brute_force, mobilenet, random_space

SPACE = Space(
    [
        Choice("depth", (1, 2)),
        Choice("first", ("conv", "skip")),
        Choice("second", (3, (5, 7)), condition=[[Requirement("depth", (2,))]]),
    ]
)


def test_face():
    assert SPACE.names == ("depth", "first", "second")
    assert SPACE.position("second") == 2
    assert SPACE.choice("first").options == ("conv", "skip")
    assert SPACE.size == 6
    assert eval(repr(SPACE)) == SPACE
    assert len({SPACE, eval(repr(SPACE))}) == 1
    assert SPACE != "SPACE"


@given(st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_json_round_trip(seed):
    space = random_space(seed)
    back = Space.from_json(json.loads(json.dumps(space.to_json())))
    assert back == space
    assert back.uid == space.uid
    assert (Space([*space.choices, Choice("more", (1, 2))])).uid != space.uid


@given(st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_validate_allows_exactly_the_architectures(seed):
    space = random_space(seed)
    allowed = brute_force(space)
    for architecture in allowed:
        assert space.validate(architecture) == architecture
    for architecture in allowed[:3]:
        for name in architecture:
            lacking = {key: option for key, option in architecture.items() if key != name}
            with pytest.raises(ArchitectureError):
                space.validate(lacking)


def test_validate_returns_the_spaces_own_objects():
    space = Space([Choice("n", (1, 2)), Choice("flag", (False, True)), Choice("pads", ((1, 2), (3, 4)))])
    architecture = space.validate({"pads": [3, 4], "flag": 1, "n": True})
    assert architecture == {"n": 1, "flag": True, "pads": (3, 4)}
    assert [type(option) for option in architecture.values()] == [int, bool, tuple]
    assert architecture.uid == Architecture({"n": 1, "flag": True, "pads": (3, 4)}).uid


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "must be a mapping from choices to options; got None"),
        ({}, "Choice 'depth' is missing; it allows 1, 2"),
        ({"depth": 3}, "Choice 'depth' has no option 3; it allows 1, 2"),
        ({"depth": 2, "first": "conv"}, r"Choice 'second' is missing; it allows 3, \(5, 7\)"),
        ({"depth": 1, "first": "conv", "second": 3}, "Choice 'second' is inactive here, .*; leave out its option 3"),
        ({"depth": 1, "frist": "conv"}, "no choice 'frist' in this space. Did you mean 'first'?"),
        ({"depth": 1, "zzz": "conv"}, "no choice 'zzz' in this space. It has depth, first, second"),
    ],
)
def test_validate_says_what_is_wrong(given, message):
    with pytest.raises(ArchitectureError, match=message):
        SPACE.validate(given)


@given(st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_codes_of_one_are_a_row_of_encode(seed):
    """Of the space's own architectures, of mappings, and of architectures with equal options of other types."""
    space = random_space(seed)
    architecture = space.sample(np.random.default_rng(seed))
    [row] = space.encode([architecture]).tolist()
    same = Architecture({name: float(o) if type(o) is int else o for name, o in architecture.items()})
    for given_ in (architecture, dict(architecture), same):
        assert space.codes(given_) == row


@pytest.mark.parametrize("changed", [{"depth": 3}, {"kernel": 9}, {"other": 1}, {}])
def test_architectures_of_another_space_are_refused_as_mappings_are(changed):
    """Inactive, not an option, unknown, missing: with the same words."""
    space = Space([Choice("depth", (2, 3)), Choice("kernel", (3, 5), condition=[[Requirement("depth", (2,))]])])
    wrong = {"depth": 2, "kernel": 5} | changed if changed else {"depth": 2}
    with pytest.raises(ArchitectureError) as of_mapping:
        space.codes(wrong)
    with pytest.raises(ArchitectureError) as of_architecture:
        space.codes(Architecture(wrong))
    assert str(of_architecture.value) == str(of_mapping.value)


def test_no_choices():
    with pytest.raises(SpaceError, match=r"at least one choice; got none"):
        Space([])


def test_one_name_twice():
    with pytest.raises(SpaceError, match=r"names of choices must differ; 'a' is there twice"):
        Space([Choice("a", (1,)), Choice("a", (1,))])


@pytest.mark.parametrize("other", ["later", "missing", "itself"])
def test_condition_on_no_earlier_choice(other):
    choices = [Choice("itself", (1, 2), condition=[[Requirement(other, (1,))]]), Choice("later", (1, 2))]
    with pytest.raises(SpaceError, match=rf"condition of 'itself' is on '{other}', which is not an earlier choice"):
        Space(choices)


def test_condition_on_an_option_that_is_not_there():
    choices = [Choice("a", (1, 2)), Choice("b", (1, 2), condition=[[Requirement("a", (2, 3))]])]
    with pytest.raises(SpaceError, match=r"condition of 'b' names what is not there: Choice 'a' has no option 3"):
        Space(choices)


def test_unknown_choice():
    with pytest.raises(SpaceError, match=r"no choice 'second.kernel' in this space. Did you mean 'second'"):
        SPACE.choice("second.kernel")


@pytest.mark.parametrize("value", [None, [], {}, {"choices": 3}, {"choices": [], "more": 1}])
def test_foreign_json(value):
    with pytest.raises(SpaceError, match=r"A space in JSON must be an object with the list 'choices'; got"):
        Space.from_json(value)


def test_many_names_are_cut_short():
    with pytest.raises(SpaceError, match=r"stage3.block\d, \.\.\."):
        mobilenet().choice("zzz")
