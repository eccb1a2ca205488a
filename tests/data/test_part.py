"""Parts and streams of batches: seeded, whole batches, the same with and without worker processes."""

import random

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from hwnas.data import DatasetPart, Request, ShiftFlip, TensorPart, stream
from hwnas.errors import DataError

LABELS = torch.arange(40) % 4
INDICES = np.arange(39, -1, -2)


class Plain(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, index):
        return torch.full((3,), float(index)), int(LABELS[index])


class Noisy(Plain):
    """Random transforms draw from all three global generators."""

    def __getitem__(self, index):
        x, label = super().__getitem__(index)
        return x + torch.rand(3) + random.random() + np.random.rand(), label


def dataset_part(**options):
    return DatasetPart(Plain(), LABELS, INDICES, num_classes=4, content="", augmented=Noisy(), **options)


def tensor_part():
    images = torch.rand(40, 1, 6, 6)
    return TensorPart([images], LABELS, INDICES, num_classes=4, augmentation=ShiftFlip(max_shift=2))


@pytest.mark.parametrize("make", [dataset_part, tensor_part])
def test_batches_follow_their_arguments_alone(make):
    part = make()
    where = np.array([3, 0, 7])
    clean = part.batch(where)
    assert torch.equal(clean.inputs[0], part.batch(where).inputs[0])
    assert clean.labels.tolist() == [int(LABELS[INDICES[i]]) for i in where] == part.labels[where].tolist()
    first = part.batch(where, seed=(1, 2)).inputs[0]
    random.random(), np.random.rand(), torch.rand(1)
    assert torch.equal(first, part.batch(where, seed=(1, 2)).inputs[0])
    assert not torch.equal(first, part.batch(where, seed=(1, 3)).inputs[0])
    assert not torch.equal(first, clean.inputs[0])


def test_global_generators_are_put_back():
    part = dataset_part()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = random.random(), np.random.rand(), torch.rand(1)
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    part.batch(np.arange(3), seed=(5,))
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected


def test_workers_change_nothing_and_a_stream_begins_anywhere():
    requests = [Request(indices=np.arange(i, i + 4), seed=(0, i)) for i in range(6)]
    here = [batch.inputs[0] for batch in stream(dataset_part(), requests)]
    there = [batch.inputs[0] for batch in stream(dataset_part(num_workers=2), requests)]
    later = [batch.inputs[0] for batch in stream(dataset_part(num_workers=1), iter(requests[4:]))]
    assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(here[4:], later, strict=True))


class Ragged(Plain):
    def __getitem__(self, index):
        return torch.zeros(index + 1), int(LABELS[index])


def test_items_that_do_not_stack():
    part = DatasetPart(Ragged(), LABELS, INDICES, num_classes=4, content="")
    with pytest.raises(DataError, match="Items of Ragged do not stack into a batch"):
        part.batch(np.arange(3))


class Moved(Dataset):
    """Targets that random transforms change together with the input."""

    def __len__(self):
        return 40

    def __getitem__(self, index):
        shift = torch.rand(2, dtype=torch.float64)
        return torch.full((2,), float(index)) + shift, index + shift


def test_targets_that_are_no_classes_move_with_their_input():
    targets = torch.arange(40.0)[:, None].repeat(1, 2)
    part = DatasetPart(Plain(), targets, INDICES, num_classes=0, content="", augmented=Moved())
    where = np.array([3, 0, 7])
    assert torch.equal(part.batch(where).labels, part.labels[where])
    batch = part.batch(where, seed=(1,))
    assert batch.labels.dtype == torch.float32
    torch.testing.assert_close(batch.labels, batch.inputs[0].float())
    assert not torch.equal(batch.labels, part.labels[where])


def test_data_that_a_worker_cannot_read_are_told_as_here():
    class Broken(Plain):
        def __getitem__(self, index):
            raise OSError("no such disk")

    for num_workers in (0, 1):
        part = DatasetPart(Broken(), LABELS, INDICES, num_classes=4, content="", num_workers=num_workers)
        with pytest.raises(DataError, match=r"^Item 39 of the data cannot be read \(no such disk\)\. Replace the file"):
            list(stream(part, [Request(indices=np.arange(2))]))
