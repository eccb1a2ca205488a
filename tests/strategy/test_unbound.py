import functools

import numpy as np
import pytest

from hwnas import strategy as bound
from hwnas.errors import ConfigError
from hwnas.experiment import STRATEGIES
from hwnas.profiler import CostProfiler
from hwnas.strategy import unbound
from hwnas.testing.planted_search import planted_space
from hwnas.testing.strategy_contract import contract_cost, contract_outcome, contract_space, tiny_space
from tests.strategy.scripted import Scripted, numbers

CLASSES = [name for name in unbound.__all__ if hasattr(getattr(bound, name, None), "derive") and name != "Chain"]


def is_small(sample):
    return sample["stage0.block0"] == "small"


def test_every_strategy_is_there():
    known = {*STRATEGIES.values(), *(value for value in vars(bound).values() if hasattr(value, "derive"))}
    protocols = {bound.Strategy, bound.OneShot, bound.Chain}
    assert {one.__name__ for one in known - protocols} == set(CLASSES)


def test_what_needs_no_space_is_the_same():
    for name in set(unbound.__all__) - {*CLASSES, "Chain", "Unbound"}:
        assert getattr(unbound, name) is getattr(bound, name), name


@pytest.mark.parametrize("name", CLASSES)
def test_it_makes_the_strategy_of_its_name(name):
    made_later = getattr(unbound, name)()
    assert isinstance(made_later, unbound.Unbound)
    assert made_later.strategy is getattr(bound, name)
    assert repr(made_later) == made_later.__name__ == f"{name}()"
    assert made_later == getattr(unbound, name)()


@pytest.mark.parametrize("name", ["Random", "RegularizedEvolution", "GridSearch", "NSGA2", "LocalSearch", "SPOS"])
def test_it_proposes_as_one_made_at_once(name):
    space = contract_space()
    cost = contract_cost(space)
    budgets = [CostProfiler("latency", space, cost, is_whole=False).at_most(15.0)]
    later, at_once = getattr(unbound, name)()(space, budgets, seed=3), getattr(bound, name)(space, budgets, seed=3)
    assert later.ask(5) == at_once.ask(5)


def test_options_and_a_new_strategy_each_time():
    evolution = unbound.RegularizedEvolution(population_size=3, sample_size=2)
    space = contract_space()
    first = evolution(space)
    for proposal in first.ask(6):
        first.tell(proposal, contract_outcome(proposal.architecture))
    assert evolution(space).ask(3) == bound.RegularizedEvolution(space, population_size=3, sample_size=2).ask(3)
    assert evolution(space, seed=1).ask(3) != evolution(space, seed=2).ask(3)


def test_one_shot_strategies_are_given_the_supernet():
    def narrow(sample):
        return True

    space = planted_space()
    assert isinstance(unbound.ENAS(filter=narrow)(space, seed=1), bound.ENAS)
    assert isinstance(unbound.DARTS(unrolled=True)(space), bound.DARTS)


def test_wrong_options_are_refused_at_once():
    with pytest.raises(ConfigError, match=r"RegularizedEvolution has no option 'sample_sise'; known are .*sample_size"):
        unbound.RegularizedEvolution(sample_sise=3)
    with pytest.raises(ConfigError, match=r"ProxylessNAS has no option 'penality'; known are .*filter.*penalty"):
        unbound.ProxylessNAS(penality=None)
    with pytest.raises(ConfigError, match=r"Random has no option 'seed'; known are none\. Space"):
        unbound.Random(seed=0)
    with pytest.raises(ConfigError, match="`sample_size` must be a whole number of at least 2; got 1"):
        unbound.RegularizedEvolution(sample_size=1)(contract_space())


def test_a_chain():
    chain = unbound.Chain(unbound.Random(), unbound.TrialLimit(4), unbound.Filter(is_small))
    made = chain(contract_space(), seed=0)
    proposals = made.ask(10)
    assert len(proposals) == 4
    assert all(is_small(proposal.architecture) for proposal in proposals)
    assert isinstance(made, bound.Chain)


def test_a_chain_around_a_chain_is_outside_of_it():
    limit, duplicates = unbound.TrialLimit(4), unbound.Deduplication()
    chain = unbound.Chain(unbound.Chain(unbound.Random(), duplicates), limit)
    assert chain.middleware == (limit, duplicates)
    assert chain == unbound.Chain(unbound.Random(), limit, duplicates)
    assert len(chain(tiny_space()).ask(10)) == 4
    assert unbound.Chain(unbound.Random()) == unbound.Random()


def test_chains_of_something_else_are_refused():
    for wrong in (bound.Random, Scripted(1), "random"):
        with pytest.raises(ConfigError, match=r"begins with a strategy of hwnas\.strategy\.unbound, without its space"):
            unbound.Chain(wrong, unbound.TrialLimit(4))
    with pytest.raises(ConfigError, match="ENAS takes steps and asks for no evaluations, so that no middleware"):
        unbound.Chain(unbound.ENAS(), unbound.TrialLimit(4))
    with pytest.raises(ConfigError, match="Behind the strategy a Chain takes middleware"):
        unbound.Chain(unbound.Random(), is_small)


def test_arguments_of_the_older_toolkit():
    """`cycles` are evaluations: what the filter refuses is none."""
    space = contract_space()
    profiler = CostProfiler("latency", space, contract_cost(space), is_whole=False)
    by_function = unbound.RegularizedEvolution(
        model_filter=lambda sample: profiler.profile(sample) <= 10.0, population_size=5, sample_size=3, cycles=12
    )
    by_latency = unbound.RegularizedEvolution(
        model_filter=unbound.LatencyFilter(profiler, 10.0), population_size=5, sample_size=3, cycles=12
    )
    assert by_function.is_limited
    assert not unbound.RegularizedEvolution().is_limited
    proposed = [described(space, seed=1).ask(100) for described in (by_function, by_latency)]
    assert len(proposed[0]) == 12
    assert proposed[0] == proposed[1]
    assert all(profiler.profile(proposal.architecture) <= 10.0 for proposal in proposed[0])


def test_its_text_is_how_it_is_written():
    profiler = CostProfiler("macs", contract_space(), contract_cost(contract_space()), is_whole=True)
    assert (
        repr(unbound.Chain(unbound.Random(), unbound.TrialLimit(4), unbound.Filter(is_small, (0, -1.5))))
        == "Chain(Random(), TrialLimit(num_trials=4), "
        "Filter(fn=is_small, metric_for_invalid=(0, -1.5)))"
    )
    assert (
        repr(unbound.NSGA2(population_size=10, mutation_prob=None)) == "NSGA2(mutation_prob=None, population_size=10)"
    )
    assert repr(unbound.DARTS(filter=unbound.RangeProfilerFilter(profiler, 1))) == "DARTS(filter=RangeProfilerFilter)"
    assert (
        repr(unbound.Chain(unbound.Random(), unbound.RankByCost(profiler)))
        == f"Chain(Random(), RankByCost(profiler={profiler!r}))"
    )
    assert repr(unbound.Unbound(bound.Random, {"a": {"b": [1, "c"]}})) == "Random(a={'b': (1, 'c')})"


def test_objects_and_functions_have_no_address():
    class Mine:
        def profile(self, architecture):
            return 1.0

    chain = unbound.Chain(unbound.Random(), unbound.Filter(lambda sample: True), unbound.RankByCost(Mine()))
    assert repr(chain) == (
        "Chain(Random(), Filter(fn=test_objects_and_functions_have_no_address.<locals>.<lambda>, "
        "metric_for_invalid=None), RankByCost(profiler=Mine))"
    )
    chain = unbound.Chain(unbound.Random(), unbound.Filter(functools.partial(is_small)))
    assert repr(chain) == "Chain(Random(), Filter(fn=partial, metric_for_invalid=None))"


def test_a_description_of_middleware_is_shared_without_harm():
    chain = unbound.Chain(unbound.Random(), unbound.Deduplication(patience=20))
    assert len(chain(tiny_space(), seed=0).ask(10)) == len(chain(tiny_space(), seed=0).ask(10)) == 4
    assert numbers(bound.Chain(Scripted(1, 1, 2), *chain.middleware), 3) == [1, 2]


def test_the_text_does_not_tell_numpys_numbers_from_pythons():
    """It is a part of what a folder belongs to."""
    described = unbound.Chain(unbound.NSGA2(population_size=np.int64(4), crossover_prob=np.float64(0.5)))
    assert repr(described) == "NSGA2(crossover_prob=0.5, population_size=4)"


def test_patience_is_no_part_of_the_text():
    """A run that a filter has ended goes on with more of it."""
    filters = [unbound.Filter(is_small, patience=patience) for patience in (10, 20)]
    first, second = (repr(unbound.Chain(unbound.Random(), one)) for one in filters)
    assert first == second
    assert "is_small" in first
