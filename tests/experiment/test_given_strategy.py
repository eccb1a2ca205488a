import pytest

from hwnas.cost import Budget
from hwnas.experiment import Experiment, read_experiment
from hwnas.nn.families import family
from hwnas.profiler import FlopsProfiler
from hwnas.strategy import Certified, Chain, Deduplication, PredictorGuided, unbound
from tests.experiment.examples import tiny_space
from tests.experiment.many_trials import COST, SPACE, score

BUDGET = Budget("cost", 6.0, "", COST)
FEW = {"num_samples": 30, "num_held_out": 5, "num_candidates": 2}


@pytest.mark.parametrize(
    "strategy",
    [
        "certified",
        Certified,
        Certified(SPACE, [BUDGET], **FEW),
        unbound.Certified(**FEW),
        unbound.Chain(unbound.Certified(**FEW), unbound.MultipleEvaluation(2)),
        lambda space, budgets, seed: Chain(Certified(space, budgets, seed=seed, **FEW), Deduplication()),
    ],
    ids=["name", "class", "object", "unbound", "unbound chain", "factory of a chain"],
)
def test_certified_proposes_within_the_budgets_and_nothing_twice(tmp_path, strategy):
    # The score is additive, so that what is found is the best of all, by brute force.
    best = max(score(architecture) for architecture in SPACE.enumerate() if BUDGET.holds(architecture))
    experiment = Experiment(SPACE, score, strategy, budgets=[BUDGET], directory=tmp_path)
    status = experiment.run()
    trials = read_experiment(tmp_path).trials
    evaluated = {(str(trial.architecture), trial.repeat) for trial in trials}
    assert status.num_refused == 0
    assert {trial.fidelity for trial in trials} == {"full"}
    assert status.num_complete == len(trials) == len(evaluated)
    assert experiment.top(1)[0].metrics["score"] == best


def test_certified_by_name_with_a_network(tmp_path):
    space = tiny_space()
    cost = FlopsProfiler(space).cost
    experiment = Experiment(space, cost.value, "certified", budgets=["macs<=60%"], directory=tmp_path)
    status = experiment.run()
    limit = 0.6 * cost.maximum().value
    kept = [value for value in cost.values(space.space.enumerate_codes()).tolist() if value <= limit]
    assert (status.num_refused, status.num_complete) == (0, len(kept))  # the space is smaller than what it may explore
    assert experiment.top(1)[0].metrics["score"] == max(kept)


def test_by_name_and_without_its_space_it_has_the_same_features(tmp_path):
    """Of a network: MACs and parameters, which its own choices do not say."""
    space = family("nasbench201_8")
    cost = FlopsProfiler(space).cost
    proposed = []
    for name, strategy in (("name", "predictor_guided"), ("unbound", unbound.PredictorGuided())):
        Experiment(space, cost.value, strategy, directory=tmp_path / name).run(28)
        proposed.append([trial.architecture for trial in read_experiment(tmp_path / name).trials])
    without = PredictorGuided(space.space)
    Experiment(space, cost.value, without, directory=tmp_path / "without").run(28)
    proposed.append([trial.architecture for trial in read_experiment(tmp_path / "without").trials])
    assert proposed[0] == proposed[1] != proposed[2]
