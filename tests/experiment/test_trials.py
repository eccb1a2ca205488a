import time

import numpy as np
import pytest

from hwnas.errors import ConfigError, RunDirectoryError
from hwnas.experiment import read_experiment
from hwnas.experiment.trials import TrialOptions, run_trials
from hwnas.store import TrialStore
from hwnas.strategy import Certified, RegularizedEvolution
from hwnas.trial import FunctionEvaluator
from tests.strategy.planted import PlantedEvaluator, planted_space, random_table

SPACE = planted_space(2)
UTILITY = random_table(SPACE, 1, positive=False)


STRATEGIES = [
    lambda seed: Certified(SPACE, num_samples=20, num_finalists=2, seed=seed),
    lambda seed: RegularizedEvolution(SPACE, population_size=8, sample_size=3, seed=seed),
]


@pytest.mark.parametrize("make", STRATEGIES)
def test_interrupted_anywhere_the_history_is_the_same_and_nothing_is_done_twice(tmp_path, make):
    with TrialStore(tmp_path / "whole.sqlite") as store:
        whole = run_trials(make(3), PlantedEvaluator(UTILITY), store, study="s", max_trials=40)
        expected = store.trials("s")
    evaluate = PlantedEvaluator(UTILITY)
    rng = np.random.default_rng(0)
    for stop in [*sorted(rng.integers(1, whole, size=5).tolist()), 40]:
        with TrialStore(tmp_path / "parts.sqlite") as store:
            run_trials(make(3), evaluate, store, study="s", max_trials=stop)
            found = store.trials("s")
    assert found == expected
    assert len(evaluate.proposals) == whole


def test_a_history_of_another_seed_is_refused(tmp_path):
    with TrialStore(tmp_path / "run.sqlite") as store:
        run_trials(RegularizedEvolution(SPACE, seed=0), PlantedEvaluator(UTILITY), store, study="s", max_trials=3)
        with pytest.raises(RunDirectoryError, match="not the one this search asks for"):
            run_trials(RegularizedEvolution(SPACE, seed=1), PlantedEvaluator(UTILITY), store, study="s", max_trials=5)


def test_facts(tmp_path):
    with TrialStore(tmp_path / "run.sqlite") as store:
        assert store.fact("a") is None
        store.set_fact("a", {"b": [1, 2.5]})
        store.set_fact("a", {"b": [3]})
        assert store.fact("a") == {"b": [3]}
    with TrialStore(tmp_path / "run.sqlite", write=False) as reader:
        assert reader.fact("a") == {"b": [3]}


def test_the_main_jobs_trials_are_read_as_an_experiments(tmp_path):
    with TrialStore(tmp_path / "run.sqlite") as store:
        for study in ("first", "second"):
            run_trials(RegularizedEvolution(SPACE, seed=0), PlantedEvaluator(UTILITY), store, study=study, max_trials=6)
    recorded = read_experiment(tmp_path, "second")
    assert recorded.status.num_complete == len(recorded.trials) == 6
    assert read_experiment(tmp_path).study == "first"
    best = recorded.top(1)[0]
    assert best.metrics["score"] == max(trial.metrics["score"] for trial in recorded.trials)
    assert recorded.front().members == (best,)


def test_an_error_of_the_main_jobs_scoring_ends_it_and_the_trial_is_tried_again(tmp_path):
    def broken(architecture):
        raise ValueError("no such weights")

    def go(evaluator):
        return run_trials(RegularizedEvolution(SPACE, seed=0), evaluator, store, study="s", max_trials=3)

    with TrialStore(tmp_path / "run.sqlite") as store:
        for _ in range(5):
            with pytest.raises(ValueError, match="no such weights"):
                go(FunctionEvaluator(broken))
        assert go(PlantedEvaluator(UTILITY)) == 3
        assert {trial.status for trial in store.trials("s")} == {"complete"}


def slow(architecture):
    time.sleep(1.1)
    return UTILITY.value(architecture)


def test_the_time_counts_over_all_calls(tmp_path):
    for _ in range(2):
        with TrialStore(tmp_path / "run.sqlite") as store:
            strategy = RegularizedEvolution(SPACE, seed=0)
            options = TrialOptions(max_duration_seconds=1.0)
            assert run_trials(strategy, FunctionEvaluator(slow), store, study="s", max_trials=9, options=options) == 1


def test_when_the_time_is_up_nothing_is_begun_again(tmp_path):
    def interrupted(architecture):
        raise KeyboardInterrupt

    def strategy():
        return RegularizedEvolution(SPACE, seed=0)

    options = TrialOptions(max_duration_seconds=1e-9)
    with TrialStore(tmp_path / "run.sqlite") as store:
        with pytest.raises(KeyboardInterrupt):
            run_trials(strategy(), FunctionEvaluator(interrupted), store, study="s", max_trials=9)
        evaluator = FunctionEvaluator(interrupted)
        assert run_trials(strategy(), evaluator, store, study="s", max_trials=9, options=options) == 0
        assert run_trials(strategy(), PlantedEvaluator(UTILITY), store, study="s", max_trials=9) == 9


@pytest.mark.parametrize("wrong", [0, True, "5", float("nan")])
@pytest.mark.parametrize("name", ["timeout_seconds", "max_duration_seconds", "max_attempts"])
def test_limits_are_numbers(name, wrong):
    with pytest.raises(ConfigError, match=f"`{name}` must be a .* number .*; got"):
        TrialOptions(**{name: wrong})
