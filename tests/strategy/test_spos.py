import pytest

from hwnas.cost import Budget
from hwnas.errors import ConfigError, InfeasibleError
from hwnas.profiler import FlopsProfiler
from hwnas.solve import maximise
from hwnas.space import Choice, Space
from hwnas.strategy import SPOS, ExpectationProfilerPenalty, Random, RangeProfilerFilter, SampleProfilerPenalty
from tests.experiment.examples import tiny_space
from tests.strategy.planted import PlantedEvaluator, best_feasible, budget_at, planted_space, random_table, run

SPACE = planted_space(2)
UTILITY = random_table(SPACE, 1, positive=False)
LATENCY = random_table(SPACE, 2, positive=True)
SMALL = {"population_size": 10, "num_top": 4, "num_crossover": 4, "num_mutation": 4, "num_generations": 5}


def test_better_than_random_and_every_proposal_is_new_and_within_the_budget():
    space = planted_space(4)
    utility, latency = random_table(space, 1, positive=False), random_table(space, 2, positive=True)
    budget = budget_at(space, latency, 0.4)
    best = utility.value(maximise(utility, [budget]).architecture)
    regrets = {"random": 0.0, "spos": 0.0}
    for seed in range(5):
        for name in regrets:
            evaluate = PlantedEvaluator(utility)
            if name == "spos":
                options = {"population_size": 20, "num_top": 5, "num_crossover": 10, "num_mutation": 10}
                strategy = SPOS(space, [budget], **options, num_generations=6, seed=seed)
                assert run(strategy, evaluate) == 120
                assert strategy.ask() == []
                assert len({p.architecture for p in evaluate.proposals}) == 120
            else:
                strategy = Random(space, [budget], seed=seed)
                run(strategy, evaluate, max_trials=120)
            assert all(budget.holds(p.architecture) for p in evaluate.proposals)
            regrets[name] += best - utility.value(strategy.derive([budget]).architecture)
    assert regrets["spos"] < 0.7 * regrets["random"]


def test_children_come_from_the_best():
    """With neither mutants nor random ones every option of a child is one that a parent has."""
    options = {"population_size": 6, "num_top": 2, "num_crossover": 6, "num_mutation": 0, "num_generations": 2}
    space = Space([Choice(f"c{i}", tuple(range(8))) for i in range(8)])
    utility = random_table(space, 5, positive=False)
    strategy, evaluate = SPOS(space, **options), PlantedEvaluator(utility)
    run(strategy, evaluate)
    first, second = evaluate.proposals[:6], evaluate.proposals[6:]
    parents = sorted((p.architecture for p in first), key=utility.value)[-2:]
    assert len(second) == 6
    for child in (p.architecture for p in second):
        assert child not in parents
        assert all(option in (parents[0][name], parents[1][name]) for name, option in child.items())


def test_mutants_differ_from_a_parent_in_few_choices():
    options = {"population_size": 10, "num_top": 1, "num_crossover": 0, "num_mutation": 10, "num_generations": 2}
    space = Space([Choice(f"c{i}", tuple(range(8))) for i in range(20)])
    utility = 0.2 * random_table(space, 5, positive=False)  # so that no two are right about all images
    evaluate = PlantedEvaluator(utility)
    run(SPOS(space, **options), evaluate)
    parent = max((p.architecture for p in evaluate.proposals[:10]), key=utility.value)
    changes = [sum(p.architecture[n] != parent[n] for n in space.names) for p in evaluate.proposals[10:]]
    assert min(changes) >= 1
    assert sum(changes) / 10 == pytest.approx(2.0, abs=1.5)  # 20 choices with probability 0.1


def test_what_is_left_of_a_generation_is_random():
    """Without children every generation is a random one: the proposals do not depend on the outcomes."""
    proposals = []
    for utility in (UTILITY, -UTILITY):
        evaluate = PlantedEvaluator(utility)
        run(SPOS(SPACE, **(SMALL | {"num_crossover": 0, "num_mutation": 0})), evaluate)
        proposals.append(evaluate.proposals)
    assert proposals[0] == proposals[1]


def test_a_small_space_is_exhausted_and_its_best_found():
    space = planted_space(1)  # 3 + 9 + 27 networks
    utility, latency = random_table(space, 1, positive=False), random_table(space, 2, positive=True)
    budget = budget_at(space, latency, 0.5)
    num_feasible = sum(budget.holds(architecture) for architecture in space.enumerate())
    strategy, evaluate = SPOS(space, [budget], **SMALL), PlantedEvaluator(utility)
    assert run(strategy, evaluate) == num_feasible < 39
    assert strategy.derive([budget]).architecture == best_feasible(space, utility, [budget])[0]


def test_a_budget_that_few_keep():
    tight = budget_at(SPACE, LATENCY, 0.02)
    num_feasible = sum(tight.holds(architecture) for architecture in SPACE.enumerate())
    evaluate = PlantedEvaluator(UTILITY)
    assert run(SPOS(SPACE, [tight], **SMALL), evaluate) == min(num_feasible, 50)
    assert all(tight.holds(p.architecture) for p in evaluate.proposals)


def test_same_seed_same_proposals():
    histories = []
    for seed in (3, 3, 4):
        evaluate = PlantedEvaluator(UTILITY)
        run(SPOS(SPACE, **SMALL, seed=seed), evaluate)
        histories.append(evaluate.proposals)
    assert histories[0] == histories[1] != histories[2]


def test_several_at_a_time_never_cross_a_generation():
    one, several = PlantedEvaluator(UTILITY), PlantedEvaluator(UTILITY)
    run(SPOS(SPACE, **SMALL), one)
    strategy, sizes = SPOS(SPACE, **SMALL), []
    while proposals := strategy.ask(4):
        sizes.append(len(proposals))
        for proposal in proposals:
            strategy.tell(proposal, several(proposal))
    assert sizes == [4, 4, 2] * 5
    assert several.proposals == one.proposals


def test_without_outcomes_generations_are_random():
    strategy = SPOS(SPACE, **SMALL)
    asked = [strategy.ask(10) for _ in range(6)]
    assert [len(proposals) for proposals in asked] == [10] * 5 + [0]


def test_a_tightened_budget_repairs_the_best():
    strategy = SPOS(SPACE, **SMALL)
    run(strategy, PlantedEvaluator(UTILITY))
    tight = budget_at(SPACE, LATENCY, 0.0)
    derived = strategy.derive([tight])
    assert tight.holds(derived.architecture)


def test_budgets_that_nothing_keeps():
    impossible = Budget("latency", LATENCY.minimum().value - 1, "ms", LATENCY)
    with pytest.raises(InfeasibleError, match="No architecture of the space keeps latency"):
        SPOS(SPACE, [impossible]).ask()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"population_size": 0, "num_crossover": 0, "num_mutation": 0},
            "`population_size` must be a whole number of at least 1; got 0",
        ),
        ({"num_top": 0}, "`num_top` must be a whole number of at least 1; got 0"),
        ({"num_crossover": -1}, "`num_crossover` must be a whole number of at least 0; got -1"),
        ({"num_mutation": -1}, "`num_mutation` must be a whole number of at least 0; got -1"),
        ({"num_generations": 0}, "`num_generations` must be a whole number of at least 1; got 0"),
        ({"num_crossover": 30}, r"must be at most `population_size` \(50\); got 30 \+ 25"),
        ({"mutation_prob": 0.0}, "`mutation_prob` must be a finite number above 0 and at most 1; got"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        SPOS(SPACE, **options)


def test_the_planted_optimum_is_found():
    """With 200 of 1,521 networks evaluated, against brute force: from most seeds (from about three in four of 24)."""
    options = {"population_size": 20, "num_top": 5, "num_crossover": 10, "num_mutation": 10, "num_generations": 10}
    budget = budget_at(SPACE, LATENCY, 0.6)
    best, _ = best_feasible(SPACE, UTILITY, [budget])
    num_found = 0
    for seed in range(8):
        strategy = SPOS(SPACE, [budget], **options, seed=seed)
        run(strategy, PlantedEvaluator(UTILITY))
        num_found += strategy.derive([budget]).architecture == best
    assert num_found >= 4


def test_a_range_and_a_function_as_filter():
    model = tiny_space()
    macs = FlopsProfiler(model)
    middle = RangeProfilerFilter(macs, min=0.6 * macs.max(), max=0.8 * macs.max())
    evaluate = PlantedEvaluator(random_table(model.space, 1, positive=False))
    strategy = SPOS(model.space, **SMALL, filter=middle)
    run(strategy, evaluate)
    assert evaluate.proposals
    assert all(middle(p.architecture) for p in evaluate.proposals)
    assert middle(strategy.derive([]).architecture)

    evaluate = PlantedEvaluator(random_table(model.space, 1, positive=False))
    strategy = SPOS(model.space, **SMALL, filter=lambda architecture: architecture["first"] == "k3")
    run(strategy, evaluate)
    assert {p.architecture["first"] for p in evaluate.proposals} == {"k3"}
    with pytest.raises(ConfigError, match="filter must accept some architecture: it refused all that were drawn"):
        SPOS(model.space, filter=lambda architecture: False).ask()


def test_a_derivation_that_the_filter_refuses():
    model = tiny_space()
    macs = FlopsProfiler(model)
    strategy = SPOS(model.space, **SMALL, filter=lambda architecture: macs.profile(architecture) > macs.min())
    run(strategy, PlantedEvaluator(random_table(model.space, 1, positive=False)))
    with pytest.raises(ConfigError, match="the filter refuses the best as repaired"):
        strategy.derive([macs.at_most(macs.min())])


def test_a_penalty_pulls_to_cheap_architectures():
    model = tiny_space()
    macs = FlopsProfiler(model)
    found = {}
    for scale in (0.0, -1000.0):
        strategy = SPOS(model.space, **SMALL, penalty=SampleProfilerPenalty(macs, macs.min(), scale))
        run(strategy, PlantedEvaluator(macs.cost))
        found[scale] = macs.profile(strategy.derive([]).architecture)
    assert found[-1000.0] < found[0.0]
    with pytest.raises(ConfigError, match="The penalty of spos must be on sampled architectures"):
        SPOS(model.space, penalty=ExpectationProfilerPenalty(macs, 100.0))
    with pytest.raises(ConfigError, match="`scale` of spos's penalty must not be above 0"):
        SPOS(model.space, penalty=SampleProfilerPenalty(macs, 100.0))


def test_the_papers_supernet_is_trained_for_150_000_steps():
    recipe = SPOS.supernet_recipe
    steps = recipe.epochs * (1_281_167 // recipe.batch_size)  # ImageNet's training images, in whole batches
    assert steps == pytest.approx(150_000, rel=1e-3)
    assert (recipe.scheme, recipe.schedule) == ("single_path", "linear")
