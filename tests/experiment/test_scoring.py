import numpy as np
import pytest

from hwnas.errors import ConfigError
from hwnas.experiment.scoring import Scorer
from hwnas.experiment.trials import TrialOptions, run_trials
from hwnas.store import TrialStore
from hwnas.strategy import Random
from hwnas.train import SupernetEvaluator, evaluate_accuracy, fine_tune
from hwnas.trial import TrialContext
from tests.experiment.examples import SHORT, tiny_data, tiny_space


@pytest.fixture(scope="module")
def made():
    space, data = tiny_space(), tiny_data()
    teacher = space.space.sample(np.random.default_rng(0))
    return space, data, teacher, Scorer(space, data, teacher=teacher, short_recipe=SHORT, seed=3)


@pytest.mark.parametrize("fidelity", ["batch", "full", "trained"])
def test_scores_are_a_supernets_evaluators_but_after_a_short_training(made, fidelity):
    space, data, teacher, scorer = made
    context = TrialContext(seed=1, fidelity=fidelity, batch_index=2)
    architecture = space.space.sample(np.random.default_rng(1))
    found = scorer.evaluate_trial(architecture, context)
    evaluator = SupernetEvaluator(space, data, teacher=teacher, seed=3)
    if fidelity == "trained":
        network = evaluator.calibrated(architecture)
        fine_tune(network, data, SHORT, seed=3)
        evaluation = evaluate_accuracy(network, data.search, data.task)
        assert found.metrics == {"score": evaluation.accuracy, "loss": evaluation.loss}
    else:
        assert found.metrics == evaluator.evaluate_trial(architecture, context).metrics
    assert (found.scores is None) == (fidelity == "batch")


def test_a_scorer_of_what_nothing_names_stays_in_this_process(made, tmp_path):
    space, _, _, scorer = made
    with TrialStore(tmp_path / "run.sqlite") as store, pytest.raises(ConfigError, match="scored in line only; use"):
        run_trials(Random(space.space, seed=0), scorer, store, study="s", options=TrialOptions(executor="processes"))
