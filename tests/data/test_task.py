"""Tasks beside PyTorch's own losses and numbers by hand."""

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils.data import TensorDataset

from hwnas.data import CLASSIFICATION, REGRESSION, Splits, Task, landmarks, split
from hwnas.errors import DataError


def test_classification_is_cross_entropy_and_right_or_wrong():
    outputs, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    torch.testing.assert_close(
        CLASSIFICATION.losses(outputs, labels), functional.cross_entropy(outputs, labels, reduction="none")
    )
    smooth = functional.cross_entropy(outputs, labels, label_smoothing=0.1)
    assert torch.equal(CLASSIFICATION.training_loss(outputs, labels, label_smoothing=0.1), smooth)
    assert CLASSIFICATION.scores(outputs, labels).tolist() == (outputs.argmax(1) == labels).float().tolist()


def test_regression_is_squared_error_and_ignores_smoothing():
    outputs, targets = torch.randn(5, 2), torch.randn(5, 2)
    expected = functional.mse_loss(outputs, targets)
    torch.testing.assert_close(REGRESSION.training_loss(outputs, targets, label_smoothing=0.1), expected)
    torch.testing.assert_close(REGRESSION.scores(outputs, targets).mean(), -expected)
    assert REGRESSION.losses(torch.randn(5, 1), torch.randn(5)).shape == (5,)
    torch.testing.assert_close(REGRESSION.distillation(outputs, targets), expected)


@pytest.mark.parametrize("task", [CLASSIFICATION, REGRESSION])
def test_a_teacher_of_other_outputs_is_refused(task):
    message = r"A teacher must give outputs of the network's shape, \(4, 9\); got \(4, 1\)\. .* without one"
    with pytest.raises(DataError, match=message):
        task.distillation(torch.zeros(4, 9), torch.zeros(4, 1))


def test_landmarks_by_hand():
    """One image, three points; each is off by (3, 4), that is by 5; the eyes are 10 apart: NME 0.5."""
    targets = torch.tensor([[0.0, 0.0, 10.0, 0.0, 5.0, 5.0]])
    outputs = targets + torch.tensor([3.0, 4.0] * 3)
    task = landmarks(eyes=(0, 1))
    assert task.losses(outputs, targets).tolist() == [75.0]
    assert task.scores(outputs, targets).tolist() == pytest.approx([-0.5])


def test_landmarks_with_angles_by_hand():
    """The same image; angles off by 0, 60 and 90 degrees: 1 - cos is 0, 1/2 and 1, and the loss 75 * 1.5."""
    targets = torch.tensor([[0.0, 0.0, 10.0, 0.0, 5.0, 5.0, 0.1, 0.2, 0.3]])
    points = targets[:, :6] + torch.tensor([3.0, 4.0] * 3)
    outputs = torch.cat([points, targets[:, 6:] + torch.tensor([0.0, torch.pi / 3, -torch.pi / 2])], 1)
    task = landmarks(eyes=(0, 1), angles=True)
    assert task.losses(outputs, targets).tolist() == pytest.approx([112.5])
    assert task.losses(points, targets).tolist() == [75.0]
    assert task.scores(outputs, targets).tolist() == task.scores(points, targets).tolist() == pytest.approx([-0.5])
    assert (task.num_auxiliary, landmarks().num_auxiliary) == (3, 0)


def test_both_factors_of_the_weighted_loss_have_a_gradient():
    task = landmarks(eyes=(0, 1), angles=True)
    outputs, targets = torch.randn(4, 9, dtype=torch.double, requires_grad=True), torch.randn(4, 9, dtype=torch.double)
    assert torch.autograd.gradcheck(lambda given: task.loss(given, targets), outputs)


@pytest.mark.parametrize(
    ("angles", "num_outputs", "message"),
    [
        (False, 1, r"\(2, 1\) and .* \(2, 9\): 4.5 points want 9 outputs; got 1"),
        (True, 7, "3 points want 6 outputs, or 9 with the angles; got 7"),
    ],
)
def test_outputs_that_are_no_points_are_refused(angles, num_outputs, message):
    task = landmarks(eyes=(0, 1), angles=angles)
    for function in (task.losses, task.scores):
        with pytest.raises(DataError, match=message):
            function(torch.zeros(2, num_outputs), torch.zeros(2, 9))


def test_a_task_of_ones_own_gives_one_number_an_example():
    task = Task(name="mine", loss=lambda outputs, targets: (outputs - targets).abs().mean(), score=lambda o, t: 1.0)
    with pytest.raises(DataError, match=r"loss of the task 'mine' must give one number an example, shape \(4,\); got"):
        task.losses(torch.zeros(4, 1), torch.zeros(4, 1))
    with pytest.raises(DataError, match=r"score of the task 'mine' must give one number an example.*float"):
        task.scores(torch.zeros(4, 1), torch.zeros(4, 1))
    with pytest.raises(DataError, match=r"loss of the task 'regression' fails on outputs of the shape \(4, 3\)"):
        REGRESSION.losses(torch.zeros(4, 3), torch.zeros(4))


def test_targets_without_classes_are_divided_without_strata():
    inputs, targets = torch.randn(50, 4), torch.randn(50, 2).double()
    splits = split(TensorDataset(inputs, targets), seed=0, task=REGRESSION)
    assert [len(part) for part in splits.parts.values()] == [30, 10, 10]
    batch = splits.train.batch(np.arange(3))
    assert batch.labels.shape == (3, 2)
    assert batch.labels.dtype == torch.float32
    rows = {tuple(row) for part in splits.parts.values() for row in part.labels.tolist()}
    assert len(rows) == 50
    assert splits.num_classes == 0

    class Items(torch.utils.data.Dataset):
        def __len__(self):
            return 20

        def __getitem__(self, index):
            return torch.full((3,), float(index)), torch.tensor([index, 2.0 * index])

    again = split(Items(), seed=0, task=REGRESSION)
    batch = again.search.batch(np.arange(2))
    assert torch.equal(batch.labels[:, 1], 2 * batch.inputs[0][:, 0])


def test_an_empty_part_is_refused():
    splits = split(TensorDataset(torch.randn(50, 4), torch.randn(50, 2)), seed=0, task=REGRESSION)

    class Empty:
        labels, num_classes, sha256 = torch.zeros(0, 2), 0, ""

        def __len__(self):
            return 0

        def batch(self, indices, *, seed=None):
            raise AssertionError

    for search in (Empty(), None):
        with pytest.raises(DataError, match="part `search` is missing or empty"):
            Splits(train=splits.train, search=search, test=splits.test, task=REGRESSION)


def test_words_for_labels_are_refused():
    class Words(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return torch.zeros(1), "word"

    with pytest.raises(DataError, match="not 4 numbers or tensors of one shape, but list"):
        split(Words(), seed=0, task=REGRESSION)
