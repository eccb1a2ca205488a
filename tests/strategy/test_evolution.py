import pytest

from hwnas.errors import ConfigError, StrategyError
from hwnas.solve import maximise
from hwnas.strategy import Outcome, Random, RegularizedEvolution
from tests.strategy.planted import PlantedEvaluator, budget_at, planted_space, random_table, run

SPACE = planted_space(2)
UTILITY = random_table(SPACE, 1, positive=False)
LATENCY = random_table(SPACE, 2, positive=True)


def test_evolution_beats_random_and_every_proposal_keeps_the_budget():
    space = planted_space(4)
    utility, latency = random_table(space, 1, positive=False), random_table(space, 2, positive=True)
    budget = budget_at(space, latency, 0.4)
    best = utility.value(maximise(utility, [budget]).architecture)
    regrets = {}
    for name in ("random", "evolution"):
        total = 0.0
        for seed in range(5):
            evaluate = PlantedEvaluator(utility)
            strategy = (
                Random(space, [budget], seed=seed)
                if name == "random"
                else RegularizedEvolution(space, [budget], population_size=20, sample_size=5, crossover=True, seed=seed)
            )
            run(strategy, evaluate, max_trials=120)
            assert all(budget.holds(p.architecture) for p in evaluate.proposals)
            total += best - utility.value(strategy.derive([budget]).architecture)
        regrets[name] = total
    assert regrets["evolution"] < regrets["random"]


def test_same_seed_same_proposals():
    histories = []
    for _ in range(2):
        evaluate = PlantedEvaluator(UTILITY)
        run(RegularizedEvolution(SPACE, population_size=10, sample_size=3, seed=3), evaluate, max_trials=40)
        histories.append(evaluate.proposals)
    assert histories[0] == histories[1]


def _told(outcomes):
    """A population of 4, told these outcomes of its first members, and the random proposals that would follow."""
    strategy = RegularizedEvolution(SPACE, population_size=4, sample_size=4, mutation_prob=1e-9, seed=1)
    members = strategy.ask(4)
    for proposal, outcome in zip(members, outcomes, strict=False):
        strategy.tell(proposal, outcome)
    return strategy, [proposal.architecture for proposal in members]


def _num_changed(first, second):
    return sum(first.get(name) != second.get(name) for name in SPACE.names)


def test_outcomes_are_compared_by_rank():
    """Within the limits, then the score, then ties; a tournament of all members has one winner."""
    ranked = [(1.0, 0.0, 0.0), (1.0, 0.0, 1.0), (9.0, 0.5, 0.0), (0.0, 0.0, 2.0)]
    strategy, members = _told([Outcome(score=s, violation=v, tie=t) for s, v, t in ranked])
    near = [[_num_changed(child.architecture, member) for member in members] for child in strategy.ask(10)]
    assert all(min(distances) == distances[1] for distances in near)


def test_failed_trials_are_no_members():
    """With too few members for a tournament, proposals stay random: those of a strategy that was told nothing."""
    failed = Outcome(score=float("nan"), failed=True)
    strategy, _ = _told([Outcome(score=1.0), failed, Outcome(score=2.0), Outcome(score=3.0)])
    untold, _ = _told([])
    assert strategy.ask(3) == untold.ask(3)


def test_the_oldest_told_dies():
    strategy, members = _told([Outcome(score=9.0), Outcome(score=1.0), Outcome(score=2.0), Outcome(score=3.0)])
    [child] = strategy.ask(1)
    strategy.tell(child, Outcome(score=0.0))
    near = [[_num_changed(other.architecture, member) for member in members] for other in strategy.ask(10)]
    assert all(min(distances) == distances[3] for distances in near)


def test_what_is_running_is_not_proposed_again():
    strategy, _ = _told([Outcome(score=float(number)) for number in range(4)])
    children = [proposal.architecture for proposal in strategy.ask(12)]
    assert len(set(children)) == 12


def test_a_tightened_budget_repairs_the_best():
    strategy = Random(SPACE, seed=0)
    run(strategy, PlantedEvaluator(UTILITY), max_trials=3)
    tight = budget_at(SPACE, LATENCY, 0.0)
    derived = strategy.derive([tight])
    assert tight.holds(derived.architecture)
    assert "repaired" in derived.note


def test_nothing_to_derive_from():
    with pytest.raises(StrategyError, match="run at least one trial"):
        Random(SPACE).derive([])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_size": 1}, "`sample_size` must be a whole number of at least 2; got 1"),
        ({"population_size": 4, "sample_size": 5}, "`population_size` must be at least `sample_size`"),
        ({"mutation_prob": 0.0}, "`mutation_prob` must be a finite number above 0 and at most 1, or None; got 0.0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        RegularizedEvolution(SPACE, **options)
