"""Scores: of the right images, the same in any order, without a trace in the supernet."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from hwnas.data import REGRESSION, Splits, split
from hwnas.errors import ConfigError, DataError
from hwnas.nn import ModelSpace
from hwnas.train import (
    Evaluation,
    Recipe,
    SupernetEvaluator,
    evaluate_accuracy,
    fine_tune,
    reestimate_batch_norm,
    train_supernet,
)
from tests.train.examples import ends, make_space, make_splits, weights


class Counting:
    """A part that notes which of its images were asked for."""

    def __init__(self, part):
        self.part, self.asked = part, set()
        self.labels, self.num_classes, self.sha256 = part.labels, part.num_classes, part.sha256

    def __len__(self):
        return len(self.part)

    def batch(self, indices, *, seed=None):
        assert seed is None, "scores are taken without augmentation"
        self.asked |= set(indices.tolist())
        return self.part.batch(indices, seed=seed)


@pytest.fixture(scope="module")
def space():
    made = make_space(elastic=True)
    train_supernet(made, make_splits(), Recipe(epochs=2, batch_size=16), seed=0)
    return made


@pytest.fixture(scope="module")
def architectures(space):
    rng = np.random.default_rng(0)
    return [space.space.sample(rng) for _ in range(6)]


def evaluator(space, splits=None, **options):
    options = {"teacher": teacher_of(space), "batch_size": 16, "num_bn_batches": 4} | options
    return SupernetEvaluator(space, splits or make_splits(), **options)


def teacher_of(space):
    return space.space.sample(np.random.default_rng(1))


def test_evaluate_accuracy_by_hand():
    splits = make_splits()
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(36, 3))
    found = evaluate_accuracy(module, splits.search, batch_size=7)
    assert module.training
    batch = splits.search.batch(np.arange(len(splits.search)))
    outputs = module.eval()(batch.inputs[0]).detach()
    assert found.loss == pytest.approx(float(nn.functional.cross_entropy(outputs, batch.labels)))
    np.testing.assert_array_equal(found.scores, (outputs.argmax(1) == batch.labels).numpy())
    assert found.accuracy == pytest.approx(found.scores.sum() / 48)


def test_standard_error_is_binomial():
    scores = np.array([1.0] * 75 + [0.0] * 25, dtype=np.float32)
    assert Evaluation(scores=scores, loss=0.0).standard_error == pytest.approx(math.sqrt(0.75 * 0.25 / 100))


def test_equals_the_frozen_network_and_leaves_no_trace(space, architectures):
    """The traps: statistics leaking from one candidate to the next, or into the supernet."""
    before = weights(space)
    modes = [m.training for m in space.modules()]
    scorer = evaluator(space)
    there = [scorer.evaluate(a) for a in architectures]
    back = [scorer.evaluate(a) for a in reversed(architectures)][::-1]
    alone = [evaluator(space).evaluate(a) for a in architectures]
    for a, b, c in zip(there, back, alone, strict=True):
        assert a.loss == b.loss == c.loss
        np.testing.assert_array_equal(a.scores, b.scores)
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(space).items())
    assert [m.training for m in space.modules()] == modes

    frozen = space.freeze(architectures[0])
    reestimate_batch_norm(frozen, scorer._bn_inputs)
    by_hand = evaluate_accuracy(frozen, make_splits().search)
    assert by_hand.loss == there[0].loss


def test_which_images_are_used(space, architectures):
    """Batch norm from the train part, scores from the search part, and the test part never touched."""
    splits = make_splits()
    counting = Splits(**{name: Counting(part) for name, part in splits.parts.items()})
    scorer = evaluator(space, counting)
    assert 4 * 16 <= len(counting.train.asked) <= 4 * 16 + 1
    assert not counting.search.asked - {0}  # shapes are checked on the first image of a part
    scorer.evaluate(architectures[0])
    scorer.batch_losses(architectures[:2], 1)
    assert counting.search.asked == set(range(48))
    assert counting.test.asked <= {0}


def test_at_the_end_on_test(space, architectures):
    splits = make_splits()
    found = evaluator(space, splits, split="test").evaluate(architectures[0])
    assert len(found.scores) == len(splits.test)


def test_batch_losses_by_hand(space, architectures):
    """Expected: frozen copies in training mode without dropout, on the same batch."""
    splits, before = make_splits(), weights(space)
    scorer = evaluator(space, splits)
    found = scorer.batch_losses(architectures, 2)
    batch = scorer._search_batch(2)
    assert len(batch.labels) == 16

    def loss(architecture):
        frozen = space.freeze(architecture).train()
        for module in frozen.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        with torch.no_grad():
            return float(nn.functional.cross_entropy(frozen(*batch.inputs), batch.labels))

    teacher = loss(teacher_of(space))
    np.testing.assert_allclose(found, [loss(a) - teacher for a in architectures], atol=1e-5)
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(space).items())
    np.testing.assert_array_equal(found, [scorer.batch_losses([a], 2)[0] for a in architectures])
    np.testing.assert_array_equal(found, evaluator(space, splits).batch_losses(architectures, 2))
    assert evaluator(space, splits).batch_losses([teacher_of(space)], 5)[0] == 0.0


def test_batches_go_through_the_part_in_another_order_each_time(space):
    scorer = evaluator(space)  # 48 images, 3 batches a pass
    passes = [torch.cat([scorer._search_batch(p * 3 + i).inputs[0] for i in range(3)]) for p in range(2)]
    assert not torch.equal(passes[0], passes[1])
    sums = [torch.sort(p.flatten(1).sum(1)).values for p in passes]
    assert torch.equal(sums[0], sums[1])
    other = evaluator(space, seed=1)._search_batch(0).inputs[0]
    assert not torch.equal(other, scorer._search_batch(0).inputs[0])


def test_small_parts_and_large_batches(space, architectures):
    scorer = evaluator(space, batch_size=100_000, num_bn_batches=1000)
    assert scorer.evaluate(architectures[0]).loss > 0
    assert np.isfinite(scorer.batch_losses(architectures[:1], 7)).all()


@pytest.mark.parametrize(("name", "least"), [("num_bn_batches", 1), ("batch_size", 1), ("seed", 0)])
def test_numbers_out_of_range(space, name, least):
    for wrong in (least - 1, "8", True, 2.5):
        with pytest.raises(ConfigError, match=f"`{name}` must be a whole number of at least {least}; got {wrong!r}"):
            evaluator(space, **{name: wrong})


def test_batch_losses_need_a_teacher(space, architectures):
    with pytest.raises(ConfigError, match="`batch_losses` needs a teacher"):
        evaluator(space, teacher=None).batch_losses(architectures, 0)


def test_data_of_another_shape(space):
    other = ModelSpace(space.module, torch.zeros(1, 1, 28, 28))
    with pytest.raises(DataError, match=r"Input 0 of `train` has the shape \(1, 6, 6\) an item"):
        evaluator(other)


def test_example_inputs_by_keyword(space):
    other = ModelSpace(space.module, {"input": torch.zeros(1, 1, 6, 6)})
    with pytest.raises(ConfigError, match="not a tuple of tensors"):
        evaluator(other)


def test_a_task_without_classes_trains_and_scores():
    """Squared errors, beside numbers taken from the frozen network by hand."""
    rng = torch.Generator().manual_seed(0)
    inputs = torch.randn(200, 1, 6, 6, generator=rng)
    targets = torch.stack([inputs.mean((1, 2, 3)), inputs.amax((1, 2, 3))], 1)
    splits = split(TensorDataset(inputs, targets), seed=0, task=REGRESSION)
    space = make_space(outputs=2)
    recipe = Recipe(epochs=3, batch_size=20, learning_rate=0.02)
    train_supernet(space, splits, recipe, seed=0, **ends(space))
    architecture = ends(space)["largest"]
    evaluator = SupernetEvaluator(space, splits, teacher=architecture)
    network = evaluator.calibrated(architecture)
    fine_tune(network, splits, dataclasses.replace(recipe, distillation=1.0), seed=0, teacher=network)
    found = evaluate_accuracy(network, splits.test, REGRESSION)
    batch = splits.test.batch(np.arange(len(splits.test)))
    with torch.no_grad():
        errors = (network.eval()(*batch.inputs) - batch.labels).square().mean(1)
    np.testing.assert_allclose(found.scores, -errors.numpy(), rtol=1e-5)
    assert found.loss == pytest.approx(float(errors.mean()), rel=1e-5)
    assert found.accuracy > -float(batch.labels.var(0).mean())  # better than the mean
    smallest = evaluator.batch_losses([ends(space)["smallest"]], 0)
    assert np.isfinite(smallest).all()
