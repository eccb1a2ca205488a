import pytest

from hwnas.errors import ConfigError, InfeasibleError
from hwnas.solve import maximise
from hwnas.strategy import Random, RegularizedEvolution
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


def test_a_tightened_budget_repairs_the_best():
    strategy = Random(SPACE, seed=0)
    run(strategy, PlantedEvaluator(UTILITY), max_trials=3)
    tight = budget_at(SPACE, LATENCY, 0.0)
    derived = strategy.derive([tight])
    assert tight.holds(derived.architecture)
    assert "repaired" in derived.note


def test_nothing_to_derive_from():
    with pytest.raises(InfeasibleError, match="run at least one trial"):
        Random(SPACE).derive([])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_size": 1}, "`sample_size` must be at least 2; got 1"),
        ({"population_size": 4, "sample_size": 5}, "`population_size` must be at least `sample_size`"),
        ({"mutation_prob": 0.0}, "`mutation_prob` must be over 0 and at most 1; got 0.0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        RegularizedEvolution(SPACE, **options)
