"""Joined parts against concatenated tensors."""

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from hwnas.data import JoinedPart, Request, ShiftFlip, TensorPart, split, stream
from hwnas.errors import DataError
from tests.data.test_part import dataset_part


def test_batches_are_those_of_the_parts_in_the_order_asked_for():
    images = torch.arange(30.0).reshape(10, 3, 1, 1)
    labels = torch.arange(10) % 3
    first, second, third = (
        TensorPart([images, -images], labels, np.array(indices), num_classes=3) for indices in ([7, 1], [4], [9, 0, 2])
    )
    joined = JoinedPart([first, second, third])
    rows = torch.tensor([7, 1, 4, 9, 0, 2])
    assert len(joined) == 6
    assert joined.num_classes == 3
    assert torch.equal(joined.labels, labels[rows])
    rng = np.random.default_rng(0)
    for size in (1, 3, 6):
        indices = rng.permutation(6)[:size]
        batch = joined.batch(indices)
        assert torch.equal(batch.inputs[0], images[rows[indices]])
        assert torch.equal(batch.inputs[1], -images[rows[indices]])
        assert torch.equal(batch.labels, labels[rows[indices]])
    hashes = {JoinedPart(parts).sha256 for parts in ([first, second], [second, first], [first, third], [first])}
    assert len(hashes) == 4


def test_the_search_part_is_augmented_where_it_is_trained_on_and_nowhere_else():
    images = torch.rand(200, 1, 8, 8)
    splits = split(TensorDataset(images, torch.arange(200) % 2), seed=0, augmentation=ShiftFlip(max_shift=3))
    joined = JoinedPart([splits.train, splits.search])
    last = np.arange(len(splits.train), len(joined))
    plain = splits.search.batch(np.arange(len(splits.search))).inputs[0]
    assert torch.equal(joined.batch(last).inputs[0], plain)
    changed = joined.batch(last, seed=(1, 2)).inputs[0]
    assert not torch.equal(changed, plain)
    assert torch.equal(changed, joined.batch(last, seed=(1, 2)).inputs[0])
    tested = splits.test.batch(np.arange(len(splits.test)))
    assert torch.equal(tested.inputs[0], splits.test.batch(np.arange(len(splits.test)), seed=(1,)).inputs[0])


def test_parts_that_read_ahead_do_so_joined():
    requests = [Request(indices=np.array([k, 5 - k]), seed=(k,)) for k in range(3)]
    inline = JoinedPart([dataset_part(), dataset_part()])
    ahead = JoinedPart([dataset_part(), dataset_part(num_workers=1)])
    assert (inline.num_workers, ahead.num_workers) == (0, 1)
    for a, b in zip(stream(inline, requests), stream(ahead, requests), strict=True):
        assert torch.equal(a.inputs[0], b.inputs[0])
        assert torch.equal(a.labels, b.labels)


def test_parts_that_do_not_go_together():
    images, labels = torch.zeros(4, 1, 2, 2), torch.arange(4) % 2
    two, three = (TensorPart([images], labels, np.arange(4), num_classes=num) for num in (2, 3))
    with pytest.raises(DataError, match=r"all with the same classes; got \[2, 3\] classes"):
        JoinedPart([two, three])
    with pytest.raises(DataError, match="Parts to join must be at least one"):
        JoinedPart([])
