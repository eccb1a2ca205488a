import json

import numpy as np
import pytest

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.space import Choice, Requirement


def test_lookup_is_by_equality():
    choice = Choice("width", [1, 2.5, (3, 4), "x"])
    assert choice.num_options == 4
    assert [choice.index(option) for option in (True, 2.5, [3, 4], "x", np.int64(1))] == [0, 1, 2, 3, 0]


def test_hashable_and_equal_by_value():
    assert Choice("a", [1, 2]) == Choice("a", (1, 2))
    assert hash(Choice("a", [1, 2])) == hash(Choice("a", (1, 2)))
    assert Choice("a", (1, 2)) != Choice("a", (1, 2), condition=((Requirement("b", (1,)),),))


@pytest.mark.parametrize("option", [9, "1", None, float("nan"), {}])
def test_unknown_option(option):
    with pytest.raises(ArchitectureError, match=r"Choice 'a' has no option .*; it allows 1, 2\."):
        Choice("a", (1, 2)).index(option)


@pytest.mark.parametrize("name", ["", None, 3])
def test_name(name):
    with pytest.raises(SpaceError, match=r"name of a choice must be a non-empty string; got"):
        Choice(name, (1, 2))


@pytest.mark.parametrize("options", ["abc", 3, None])
def test_options_are_a_list(options):
    with pytest.raises(SpaceError, match=r"options of choice 'a' must be a list; got"):
        Choice("a", options)


def test_at_least_one_option():
    with pytest.raises(SpaceError, match=r"at least one option of choice 'a'; got none"):
        Choice("a", ())


@pytest.mark.parametrize("option", [None, float("nan"), float("inf"), {}, (1, "x"), print])
def test_kind_of_option(option):
    with pytest.raises(SpaceError, match=r"option of choice 'a' must be a string, a finite number, a bool or a tuple"):
        Choice("a", (1, option))


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, True), (1, 1.0), ((1, 2), [1, 2])])
def test_options_differ(first, second):
    with pytest.raises(SpaceError, match=r"options of choice 'a' must differ; .* equals .*Remove one"):
        Choice("a", (first, second))


def test_map():
    choice = Choice("kernel", (3, (5, 7)))
    assert choice.map({(5, 7): "big", 3: "small"}).values == ("small", "big")
    assert choice.map(lambda option: option == 3).values == (True, False)
    assert choice.map(str).choice is choice


@pytest.mark.parametrize(
    ("values", "message"),
    [({3: 1}, r"missing \[5\], unknown \[\]"), ({3: 1, 5: 1, 7: 1}, r"missing \[\], unknown \[7\]")],
)
def test_map_needs_every_option_and_no_other(values, message):
    with pytest.raises(SpaceError, match=r"mapping of choice 'kernel' must have its options .*" + message):
        Choice("kernel", (3, 5)).map(values)


def test_json_round_trip():
    choice = Choice(
        "a", (1, 2.5, "x", (1, 2), False), condition=[[Requirement("b", ((1, 2),))], [Requirement("c", ("y",))]]
    )
    back = Choice.from_json(json.loads(json.dumps(choice.to_json())))
    assert back == choice
    assert [type(option) for option in back.options] == [int, float, str, tuple, bool]


def test_condition_may_be_missing_in_json():
    assert Choice.from_json({"name": "a", "options": [1]}) == Choice("a", (1,))


@pytest.mark.parametrize("value", [None, [], {"name": "a"}, {"name": "a", "options": [1], "kind": "x"}])
def test_json_keys(value):
    with pytest.raises(
        SpaceError, match=r"A choice in JSON must be an object with the keys \['condition', 'name', 'opt"
    ):
        Choice.from_json(value)


@pytest.mark.parametrize("condition", [3, [3], {"a": 1}])
def test_json_condition(condition):
    with pytest.raises(SpaceError, match=r"condition of a choice must be a list of lists in JSON; got"):
        Choice.from_json({"name": "a", "options": [1], "condition": condition})


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (3, r"A requirement in JSON must be an object with the keys \['choice', 'options'\]; got 3"),
        ({"choice": "b"}, "A requirement in JSON must be an object"),
        ({"choice": [1], "options": [1]}, "requirement must name a choice"),
        ({"choice": "b", "options": 1}, "options of the requirement on 'b' must be a list"),
    ],
)
def test_json_requirement(part, message):
    with pytest.raises(SpaceError, match=message):
        Choice.from_json({"name": "a", "options": [1], "condition": [[part]]})
