"""Training from scratch, and inherited weights, as evaluators of trials; both also as another process makes them."""

import json

import numpy as np
import pytest

from hwnas.data import load_data
from hwnas.errors import ArchitectureError, ConfigError, DataError
from hwnas.experiment.config import DataConfig
from hwnas.nn.families import load_space
from hwnas.space import Architecture
from hwnas.testing.layouts import write_cifar10
from hwnas.train import Recipe, SupernetEvaluator, TrainEvaluator, save_supernet
from hwnas.trial import EvaluatorReference, TrialContext, TrialStopped
from tests.train.examples import ends, make_space, make_splits, make_volume_space

RECIPE = Recipe(epochs=2, batch_size=40, learning_rate=0.05)
ARCHITECTURE = Architecture({"first": "k3", "depth": 1, "block0": 0})
DIGITS = {"name": "digits", "seed": 3, "train_size": 200, "search_size": 100}
FAMILY = "mobilenet_v3_8"


def crossed(evaluator):
    """As another process makes it: through JSON."""
    reference = evaluator.reference()
    text = json.dumps({"factory": reference.factory, "options": reference.options})
    return EvaluatorReference(**json.loads(text)).make()


def evaluate(evaluator, architecture=ARCHITECTURE, **context):
    return evaluator.evaluate_trial(architecture, TrialContext(**{"seed": 1, **context}))


def test_training_learns_reports_every_epoch_and_depends_on_the_seed_alone():
    evaluator = TrainEvaluator(make_space, make_splits(), RECIPE)
    reports = []
    first = evaluate(evaluator, report=lambda step, value: reports.append((step, value)))
    assert first.metrics["score"] > 0.5  # of three classes that differ in brightness
    assert [step for step, _ in reports] == [1, 2]
    assert reports[-1][1] == first.metrics["score"] == pytest.approx(first.scores.mean())
    evaluate(evaluator, seed=2)  # leaves no trace
    again = evaluate(evaluator)
    assert again.metrics == first.metrics
    np.testing.assert_array_equal(again.scores, first.scores)
    assert evaluate(evaluator, seed=2).metrics != first.metrics


def test_without_reports_the_result_is_the_same():
    quiet = TrainEvaluator(make_space, make_splits(), RECIPE, reports=False)
    reports = []
    found = evaluate(quiet, report=lambda step, value: reports.append(step))
    assert not reports
    assert found.metrics == evaluate(TrainEvaluator(make_space, make_splits(), RECIPE)).metrics


def test_a_training_is_stopped_at_a_report():
    def stop(step, value):
        raise TrialStopped

    with pytest.raises(TrialStopped):
        evaluate(TrainEvaluator(make_space, make_splits(), RECIPE), report=stop)


def test_training_by_names_crosses():
    data = DataConfig(name="digits", train_size=200, search_size=100, augment=False)
    evaluator = TrainEvaluator(FAMILY, data, RECIPE)
    space = load_space(FAMILY)
    architecture = space.space.sample(np.random.default_rng(0))
    assert evaluate(crossed(evaluator), architecture).metrics == evaluate(evaluator, architecture).metrics


def test_a_factory_crosses_by_its_name(tmp_path):
    evaluator = TrainEvaluator(make_space, DIGITS, RECIPE, space_options={"outputs": 10})
    assert evaluator.reference().options["space"] == "tests.train.examples:make_space"
    with pytest.raises(ConfigError, match=r"must return a ModelSpace; it gave a Splits"):
        evaluate(TrainEvaluator("tests.train.examples:make_splits", DIGITS, RECIPE))


def test_files_cross_by_their_whole_paths(tmp_path, monkeypatch):
    """A worker on a cluster runs in another folder."""
    monkeypatch.chdir(tmp_path)
    write_cifar10("images", num_train=200)
    (tmp_path / "mine.py").write_text(
        f"from hwnas.nn.families import load_space\nmake = lambda: load_space({FAMILY!r})\n"
    )
    trained = TrainEvaluator("mine.py:make", {"name": "cifar10", "folder": "images"}, RECIPE).reference().options
    assert trained["space"] == f"{tmp_path / 'mine.py'}:make"
    assert trained["data"] == {"name": "cifar10", "folder": str(tmp_path / "images")}
    save_supernet(load_space("mine.py:make"), "supernet")
    inherited = SupernetEvaluator.load("mine.py:make", DIGITS, "supernet").reference().options
    assert inherited["space"] == f"{tmp_path / 'mine.py'}:make"
    assert inherited["supernet"] == str(tmp_path / "supernet")


def test_a_space_of_volumes_is_trained():
    assert Recipe().channels_last
    evaluator = TrainEvaluator(make_volume_space, DIGITS, RECIPE)
    assert evaluate(evaluator, Architecture({"volume": "k3"})).metrics["score"] > 0.1


def test_what_training_refuses():
    with pytest.raises(ConfigError, match=r"trains new weights, and a ModelSpace has its own\. Give what makes"):
        TrainEvaluator(make_space(), DIGITS, RECIPE)
    with pytest.raises(ConfigError, match=r"given to TrainEvaluator as objects stay in this process.*load_data"):
        TrainEvaluator(FAMILY, make_splits(), RECIPE).reference()
    for data in (3, {"seed": 0}, {"name": "digits", "colour": 1}):
        with pytest.raises(ConfigError, match="`data` must be a Splits or the arguments of load_data"):
            TrainEvaluator(FAMILY, data, RECIPE)
    with pytest.raises(DataError, match="has no file"):
        TrainEvaluator(FAMILY, {"name": "fashion-mnist", "folder": "/nowhere"}, RECIPE)
    with pytest.raises(ArchitectureError):
        evaluate(TrainEvaluator(make_space, make_splits(), RECIPE), Architecture({"no": 1}))


def test_inherited_weights_at_each_fidelity():
    space = make_space()
    teacher = ends(space)["largest"]
    evaluator = SupernetEvaluator(space, make_splits(), teacher=teacher)
    found = evaluate(evaluator)
    plain = evaluator.evaluate(ARCHITECTURE)
    assert found.metrics == {"score": plain.accuracy, "loss": plain.loss}
    np.testing.assert_array_equal(found.scores, plain.scores)
    loss = float(evaluator.batch_losses([ARCHITECTURE], 3)[0])
    assert evaluate(evaluator, fidelity="batch", batch_index=3).metrics == {"score": -loss, "loss": loss}
    with pytest.raises(ConfigError, match="trains nothing, but the strategy wants an architecture trained"):
        evaluate(evaluator, fidelity="trained")
    with pytest.raises(ConfigError, match=r"runs in line only\. Make it with SupernetEvaluator\.load"):
        evaluator.reference()


def test_a_supernet_in_a_folder_crosses(tmp_path):
    space, data = load_space(FAMILY), load_data(**DIGITS)
    save_supernet(space, tmp_path / "supernet")
    architecture = space.space.sample(np.random.default_rng(0))
    direct = SupernetEvaluator(space, data, teacher=architecture, num_bn_batches=1, batch_size=50)
    named = SupernetEvaluator.load(
        FAMILY, DIGITS, tmp_path / "supernet", teacher=architecture, num_bn_batches=1, batch_size=50
    )
    for fidelity in ("full", "batch"):
        expected = evaluate(direct, architecture, fidelity=fidelity).metrics
        assert evaluate(named, architecture, fidelity=fidelity).metrics == expected
        assert evaluate(crossed(named), architecture, fidelity=fidelity).metrics == expected


@pytest.mark.parametrize("recipe", [{"epoch": 1}, {"epochs": "3"}, 3])
def test_wrong_recipes(recipe):
    with pytest.raises(ConfigError, match=r"has no field 'epoch'|`epochs` must be a finite|must be a Recipe"):
        TrainEvaluator(make_space, make_splits(), recipe)
