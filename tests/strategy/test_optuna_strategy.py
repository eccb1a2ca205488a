"""Optuna's samplers as strategies, beside Optuna itself."""

import random
import sys
import warnings

import numpy as np
import optuna
import pytest

from hwnas.cost import Budget, CostTable
from hwnas.errors import ConfigError, InfeasibleError, MissingExtraError, StrategyError
from hwnas.space import Choice, Space
from hwnas.strategy import TPE, OptunaStrategy, Outcome, Proposal, Random
from tests.strategy.planted import PlantedEvaluator, budget_at, planted_space, random_table, run

SAMPLERS = {
    "nsgaii": optuna.samplers.NSGAIISampler,
    "random": optuna.samplers.RandomSampler,
    "tpe": optuna.samplers.TPESampler,
}


def flat_space(num_choices: int = 6) -> Space:
    return Space([Choice(f"c{number}", ("a", "b", "c", "d")) for number in range(num_choices)])


@pytest.mark.parametrize("name", SAMPLERS)
def test_without_budgets_and_conditions_it_proposes_what_optuna_does(name: str) -> None:
    space = flat_space()
    utility = random_table(space, 0, positive=False)
    strategy = OptunaStrategy(space, sampler=name, seed=3)
    study = optuna.create_study(sampler=SAMPLERS[name](seed=3), direction="maximize")
    for _ in range(120):
        [proposal] = strategy.ask()
        trial = study.ask()
        drawn = [trial.suggest_categorical(choice.name, list(range(choice.num_options))) for choice in space.choices]
        assert space.codes(proposal.architecture) == drawn
        score = utility.value(proposal.architecture)
        strategy.tell(proposal, Outcome(score=score))
        study.tell(trial, score)


def test_tpe_is_the_sampler_tpe() -> None:
    space = flat_space()
    utility = random_table(space, 1, positive=False)
    ours, by_name = (
        TPE(space, n_startup_trials=5, seed=1),
        OptunaStrategy(space, sampler_options={"n_startup_trials": 5}, seed=1),
    )
    for _ in range(40):
        [proposal] = ours.ask()
        assert by_name.ask() == [proposal]
        for strategy in (ours, by_name):
            strategy.tell(proposal, Outcome(score=utility.value(proposal.architecture)))


@pytest.mark.parametrize(
    ("space", "share"),
    [(planted_space(), None), (flat_space(12), None), (flat_space(12), 0.4)],
    ids=["conditional", "flat", "flat, budget"],
)
def test_tpe_finds_more_than_random_search(space: Space, share: float | None) -> None:
    """Mean over 3 planted utilities of the best of 120 trials, from 0 for the worst of the space to 1 for its best."""
    found: dict[type, list[float]] = {TPE: [], Random: []}
    for seed in range(3):
        utility = random_table(space, seed, positive=False)
        budgets = [] if share is None else [budget_at(space, random_table(space, 100 + seed, positive=True), share)]
        low, high = utility.minimum().value, utility.maximum().value
        for strategy, shares in found.items():
            made = strategy(space, budgets, seed=seed)
            run(made, PlantedEvaluator(utility), 120)
            shares.append((utility.value(made.derive(budgets).architecture) - low) / (high - low))
    assert np.mean(found[TPE]) > np.mean(found[Random]) + 0.03


@pytest.mark.parametrize("name", ["nsgaii", "tpe"])
def test_the_study_learns_from_what_is_over_budget(name: str) -> None:
    """Every proposal is a trial whose constraints hold; what was drawn and is over budget is one that violates them."""
    space = planted_space()
    budget = budget_at(space, random_table(space, 0, positive=True), 0.2)
    strategy = OptunaStrategy(space, [budget], sampler=name, seed=0)
    proposals = []
    for _ in range(30):
        [proposal] = strategy.ask()
        proposals.append(proposal.architecture)
        strategy.tell(proposal, Outcome(score=random_table(space, 1, positive=False).value(proposal.architecture)))
    trials = strategy._study.get_trials(deepcopy=False)
    kept = [trial for trial in trials if all(excess <= 0 for excess in trial.constraints.values())]
    violated = [trial for trial in trials if trial not in kept]
    assert violated
    assert [trial.params for trial in kept] == [strategy._codes(architecture) for architecture in proposals]
    for trial in violated:
        codes = [trial.params.get(name, -1) for name in space.names]
        cost = budget.cost.value(space.architecture(codes))
        assert trial.constraints == {str(budget): pytest.approx(cost / budget.limit - 1)}
    # It learns: of the draws for the second half of the proposals fewer are over budget.
    half = trials.index(kept[15])
    assert sum(trial in violated for trial in trials[:half]) > sum(trial in violated for trial in trials[half:])


def test_the_last_redraw_is_repaired_and_recorded() -> None:
    """A budget that one of 1521**1.5 architectures keeps cannot be drawn; with no redraws one trial is lost."""
    space = planted_space()
    cost = random_table(space, 0, positive=True)
    budget = Budget("latency", cost.minimum().value, "ms", cost)
    strategy = OptunaStrategy(space, [budget], max_redraws=0, seed=0)
    [proposal] = strategy.ask()
    assert budget.holds(proposal.architecture)
    states = [trial.state.name for trial in strategy._study.get_trials()]
    assert states == ["COMPLETE", "RUNNING"]
    assert strategy._study.get_trials()[1].params == strategy._codes(proposal.architecture)


def test_violated_limits_and_failures_are_what_optuna_is_told() -> None:
    strategy = OptunaStrategy(flat_space(), sampler="random")
    outcomes = [Outcome(score=1.0, violation=0.5), Outcome(score=2.0), Outcome(score=float("nan"), failed=True)]
    proposals = strategy.ask(3)
    for proposal, outcome in reversed(list(zip(proposals, outcomes, strict=True))):  # in another order than asked for
        strategy.tell(proposal, outcome)
    trials = strategy._study.get_trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE", "FAIL"]
    assert [trial.values for trial in trials] == [[1.0], [2.0], None]
    assert [trial.constraints["violation"] for trial in trials] == [0.5, 0.0, 0.0]
    assert strategy.derive(()).architecture == proposals[1].architecture


def test_one_architecture_in_two_running_trials() -> None:
    """Each outcome ends one of them."""
    strategy = OptunaStrategy(Space([Choice("only", ("one",))]), sampler="random")
    for proposal, score in zip(strategy.ask(2), (1.0, 2.0), strict=True):
        strategy.tell(proposal, Outcome(score=score))
    assert [trial.value for trial in strategy._study.get_trials()] == [1.0, 2.0]


def test_a_history_that_was_not_asked_for_is_learnt_from() -> None:
    """Told the trials of another object first, TPE needs no random ones any more."""
    space = flat_space()
    utility = random_table(space, 2, positive=False)
    optimum = utility.maximum().architecture
    strategy = TPE(space, n_startup_trials=10, seed=0)
    rng = np.random.default_rng(0)
    for architecture in [space.sample(rng) for _ in range(200)]:
        strategy.tell(Proposal(architecture=architecture), Outcome(score=utility.value(architecture)))
    strategy.tell(Proposal(architecture=optimum), Outcome(score=float("nan"), failed=True))
    trials = strategy._study.get_trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 200 + ["FAIL"]
    scores = [utility.value(proposal.architecture) for proposal in strategy.ask(10)]
    best_tenth = np.quantile([trial.value for trial in trials[:200]], 0.9)
    assert np.mean(scores) > best_tenth


@pytest.mark.parametrize("name", ["nsgaii", "nsgaiii", "tpe"])
def test_several_objectives(name: str) -> None:
    """Two that contradict each other: both ends of the front are found, and Optuna's own front is of what was told."""
    space = flat_space()
    first = random_table(space, 0, positive=True)
    second = CostTable(space, 0.0, [term for term in (first * -1.0).terms if term.choices[0] < "c3"])
    strategy = OptunaStrategy(space, sampler=name, num_objectives=2, seed=0)
    told = {}
    for _ in range(150):
        [proposal] = strategy.ask()
        values = (first.value(proposal.architecture), second.value(proposal.architecture))
        told[proposal.architecture] = values
        strategy.tell(proposal, Outcome(score=values[0], objectives=values))
    front = {
        pair
        for pair in told.values()
        if not any(p[0] >= pair[0] and p[1] >= pair[1] and p != pair for p in told.values())
    }
    assert {tuple(trial.values) for trial in strategy._study.best_trials} == front
    assert len(front) > 3


def test_too_few_objectives() -> None:
    strategy = OptunaStrategy(flat_space(), sampler="random", num_objectives=2)
    [proposal] = strategy.ask()
    with pytest.raises(
        StrategyError, match=r"`num_objectives` is 2, but the outcome has 1\. Give the strategy as many"
    ):
        strategy.tell(proposal, Outcome(score=1.0))
    strategy.tell(proposal, Outcome(score=1.0, failed=True))  # of one that failed it is of no account


def test_global_random_state_is_left_alone() -> None:
    np.random.seed(0)
    random.seed(0)
    before = np.random.get_state()[1].tolist(), random.getstate()
    run(TPE(planted_space(), seed=0), PlantedEvaluator(random_table(planted_space(), 0, positive=False)), 20)
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before


def test_seeds_of_more_than_32_bits() -> None:
    assert TPE(flat_space(), seed=2**40 + 1).ask() == TPE(flat_space(), seed=1).ask()


def test_bad_arguments() -> None:
    space = flat_space()
    for arguments, text in [
        ({"sampler": "gp"}, "Unknown sampler 'gp'; known are nsgaii, nsgaiii, random, tpe."),
        ({"sampler_options": {"size": 3}}, "The sampler 'tpe' has no option 'size'; known are .*n_startup_trials"),
        ({"sampler": "random", "sampler_options": {"seed": 3}}, "'random' has no option 'seed'; known are none."),
        (
            {"sampler": "nsgaii", "sampler_options": {"population_size": 1}},
            "'nsgaii' cannot be made with these options: `population_size` must be",
        ),
        ({"max_redraws": -1}, "`max_redraws` must be a whole number of at least 0; got -1."),
        ({"num_objectives": 0}, "`num_objectives` must be a whole number of at least 1; got 0."),
    ]:
        with pytest.raises(ConfigError, match=text):
            OptunaStrategy(space, **arguments)
    with pytest.raises(ConfigError, match=r"`n_startup_trials` must be a whole number of at least 0; got -1\."):
        TPE(space, n_startup_trials=-1)


def test_impossible_budgets_are_refused_when_it_is_made() -> None:
    space = planted_space()
    cost = random_table(space, 0, positive=True)
    with pytest.raises(InfeasibleError, match="latency"):
        TPE(space, [Budget("latency", 0.5 * cost.minimum().value, "ms", cost)])


def test_without_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)  # what Python has for a package that cannot be imported
    with pytest.raises(MissingExtraError, match=r"needs the package optuna, .* pip install 'hwnas\[optuna\]'"):
        TPE(flat_space())


def test_an_older_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (optuna.trial.BaseTrial, optuna.Trial):
        monkeypatch.delattr(kind, "set_constraint")  # which came with version 5
    with pytest.raises(MissingExtraError, match=r"needs optuna 5 or newer; .* pip install 'hwnas\[optuna\]'"):
        TPE(flat_space())


def test_it_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(TPE(planted_space()), PlantedEvaluator(random_table(planted_space(), 0, positive=False)), 20)
