import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import chisquare

from hwnas.errors import SpaceError
from hwnas.space import Choice, Requirement, Space

from .examples import brute_force, mobilenet, random_space


@given(st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_size_is_that_of_brute_force(seed):
    space = random_space(seed, max_choices=6)
    assert space.size == len(brute_force(space))


def test_size_of_mobilenet():
    # 12^2 + 12^3 + 12^4 = 22,608 settings of a stage, five stages
    assert mobilenet().size == 22_608**5 == 5_906_234_995_112_194_080_768


def test_size_does_not_depend_on_where_the_depths_stand():
    choices = sorted(mobilenet().choices, key=lambda choice: "depth" not in choice.name)
    assert choices[4].name == "stage4.depth"
    assert Space(choices).size == 22_608**5


def test_depths_first_of_many_stages():
    # The states of forty depths at once would be 3^40; the stages are independent of each other.
    depths = [Choice(f"depth{stage}", (1, 2, 3)) for stage in range(40)]
    blocks = [
        Choice(f"block{stage}", range(5), condition=[[Requirement(f"depth{stage}", (3,))]]) for stage in range(40)
    ]
    assert Space(depths + blocks).size == 7**40


def test_any_of_many_is_two_states():
    # 2^30 combinations of the switches, of which one leaves the last choice inactive
    switches = [Choice(f"s{number}", (False, True)) for number in range(30)]
    anything = [[Requirement(f"s{number}", (True,))] for number in range(30)]
    assert Space([*switches, Choice("last", range(10), condition=anything)]).size == (2**30 - 1) * 10 + 1


def test_a_chain_of_a_thousand_conditions():
    choices = [Choice("c0", (0, 1))]
    for number in range(1, 1000):
        choices.append(Choice(f"c{number}", (0, 1), condition=[[Requirement(f"c{number - 1}", (1,))]]))
    assert Space(choices).size == 1001


def test_too_many_states():
    switches = [Choice(f"s{number}", (False, True)) for number in range(40)]
    pairs = [[Requirement(f"s{number}", (True,)), Requirement(f"s{number + 20}", (True,))] for number in range(20)]
    space = Space([*switches, Choice("last", (1, 2), condition=pairs)])
    with pytest.raises(SpaceError, match=r"need more than 20,000 states to count it. Let each condition depend"):
        space.sample(np.random.default_rng(0))


@pytest.mark.parametrize("seed", [3, 5, 8, 13, 21, 34])
def test_sampling_is_uniform_over_architectures(seed):
    space = random_space(seed)
    codes = space.sample_codes(200 * space.size, np.random.default_rng(seed))
    rows, counts = np.unique(codes, axis=0, return_counts=True)
    assert rows.tolist() == space.enumerate_codes().tolist()
    if space.size > 1:
        assert chisquare(counts).pvalue > 1e-4


def test_deep_stages_are_as_likely_as_their_share_of_architectures():
    space = mobilenet()
    codes = space.sample_codes(100_000, np.random.default_rng(0))
    share = np.bincount(codes[:, 0]) / len(codes)
    exact = np.array([12**2, 12**3, 12**4]) / 22_608
    assert np.abs(share - exact).max() < 5 * np.sqrt(0.25 / len(codes))
    assert codes.dtype == np.int32
    assert codes.flags.f_contiguous
    space.decode(codes[::100])  # all valid


def test_one_seed_one_sample():
    space = mobilenet()
    first, second = (space.sample_codes(50, np.random.default_rng(7)) for _ in range(2))
    assert (first == second).all()
    assert space.sample(np.random.default_rng(7)) == space.sample(np.random.default_rng(7))
    assert space.sample_codes(0, np.random.default_rng(7)).shape == (0, 25)
