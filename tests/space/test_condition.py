import pytest

from hwnas.errors import SpaceError
from hwnas.space import Choice, Requirement, all_of, any_of

A, B, C = (Requirement(name, (1,)) for name in "abc")


def test_requirement_takes_lists():
    assert Requirement("a", [[1, 2]]).options == ((1, 2),)


def test_any_of():
    assert any_of(((A,),), ((B,), (A,))) == ((A,), (B,))
    assert any_of(((A,),), ()) == ()


def test_all_of_distributes():
    assert all_of(((A,), (B,)), ((C,),)) == ((A, C), (B, C))
    assert all_of((), ((C,),)) == ((C,),)
    assert all_of() == ()


def test_an_empty_conjunction_always_holds():
    assert Choice("x", (1, 2), condition=[[A], []]).condition == ()


def test_requirement_names_a_choice():
    with pytest.raises(SpaceError, match="must name a choice; got 3"):
        Requirement(3, (1,))


def test_requirement_needs_options():
    with pytest.raises(SpaceError, match="at least one option of the requirement on 'a'; got none"):
        Requirement("a", ())


@pytest.mark.parametrize("condition", [3, "depth", A])
def test_condition_is_a_sequence(condition):
    with pytest.raises(SpaceError, match="condition of choice 'x' must be a tuple of tuples of Requirement; got"):
        Choice("x", (1, 2), condition=condition)


@pytest.mark.parametrize("condition", [(A,), ("depth",), ((A, "b"),)])
def test_condition_is_an_or_of_ands(condition):
    with pytest.raises(
        SpaceError, match=r"One requirement alone is written \(\(Requirement\('depth', \(3, 4\)\),\),\)"
    ):
        Choice("x", (1, 2), condition=condition)


def test_a_callable_is_refused():
    with pytest.raises(SpaceError, match="must be data, an OR of ANDs of Requirement; got the callable"):
        Choice("x", (1, 2), condition=lambda architecture: True)
