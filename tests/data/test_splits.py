"""Splits: disjoint, stratified, by seed and never by file order; and what data are refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.utils.data import Dataset, TensorDataset

from hwnas.data import DatasetPart, Splits, TensorPart, split
from hwnas.errors import DataError


def numbered(labels):
    """A data set whose input is the item's number, so that a part shows which items are in it."""
    labels = torch.as_tensor(labels)
    return TensorDataset(torch.arange(len(labels)).float().reshape(-1, 1), labels)


def numbers(part):
    return part.batch(np.arange(len(part))).inputs[0].flatten().long().tolist()


class Items(Dataset):
    """Any data set, item by item."""

    def __init__(self, labels, shape=(2,)):
        self.labels = labels
        self.shape = shape

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return torch.full(self.shape, float(index)), self.labels[index]


@settings(deadline=None, max_examples=40)
@given(
    counts=st.lists(st.integers(5, 40), min_size=1, max_size=5),
    seed=st.integers(0, 2**31),
    as_tensors=st.booleans(),
)
def test_parts_are_disjoint_complete_and_stratified(counts, seed, as_tensors):
    labels = np.repeat(np.arange(len(counts)), counts).tolist()
    splits = split(numbered(labels) if as_tensors else Items(labels, (1,)), seed=seed)
    drawn = [numbers(part) for part in splits.parts.values()]
    assert sorted(number for part in drawn for number in part) == list(range(len(labels)))
    for part in (splits.search, splits.test):
        shares = np.bincount(part.labels, minlength=len(counts))
        assert np.all(np.abs(shares - 0.2 * np.array(counts)) <= 1.5)


def test_not_by_file_order():
    """The trap: files sorted by class or by time; a part must look like the whole, in no order."""
    splits = split(numbered([0] * 500 + [1] * 500), seed=0)
    for part in splits.parts.values():
        mine = np.array(numbers(part))
        assert abs(mine.mean() - 499.5) < 40
        assert abs(np.corrcoef(mine, np.arange(len(mine)))[0, 1]) < 0.2
        assert (part.labels == 0).float().mean() == pytest.approx(0.5, abs=0.01)


def test_seed_decides_and_hashes_tell():
    data = numbered([0, 1, 2] * 50)
    one, same, other = split(data, seed=3), split(data, seed=3), split(data, seed=4)
    assert one.hashes == same.hashes
    assert [numbers(p) for p in one.parts.values()] == [numbers(p) for p in same.parts.values()]
    assert all(one.hashes[name] != other.hashes[name] for name in one.hashes)
    changed = TensorDataset(data.tensors[0].clone(), data.tensors[1])
    changed.tensors[0][numbers(one.search)[0]] += 1
    after = split(changed, seed=3).hashes
    assert after["search"] != one.hashes["search"]
    assert after["train"] == one.hashes["train"]


def test_hash_of_other_data_sets_has_their_content_in_it():
    items = Items([0, 1] * 20)
    assert split(items, seed=0, content="a").hashes != split(items, seed=0, content="b").hashes
    assert split(items, seed=0, content="a").hashes == split(items, seed=0, content="a").hashes


def test_sizes_and_a_published_test_set():
    test = numbered([0, 1] * 4)
    splits = split(numbered([0, 1] * 50), seed=0, test=test, train_size=30, search_size=10)
    assert [len(part) for part in splits.parts.values()] == [30, 10, 8]
    assert numbers(splits.test) == list(range(8))
    assert not set(numbers(splits.train)) & set(numbers(splits.search))
    assert len(split(numbered([0, 1] * 50), seed=0, test_size=6).test) == 6


def test_normalised_by_the_train_part_alone():
    images = torch.randint(0, 256, (200, 3, 4, 4), dtype=torch.uint8)
    splits = split(TensorDataset(images, torch.arange(200) % 2), seed=0, normalise=True, augmentation=None)
    x = splits.train.batch(np.arange(len(splits.train))).inputs[0]
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    y = splits.search.batch(np.arange(len(splits.search))).inputs[0]
    assert float(y.mean().abs()) > 1e-4


def test_check_inputs():
    splits = split(numbered([0, 1] * 20), seed=0)
    splits.check_inputs((torch.zeros(7, 1),))
    with pytest.raises(DataError, match=r"Input 0 of `train` has the shape \(1,\) an item, but .* has \(2,\)"):
        splits.check_inputs((torch.zeros(7, 2),))
    with pytest.raises(DataError, match=r"takes 2 input\(s\), but `train` has 1"):
        splits.check_inputs((torch.zeros(7, 1), torch.zeros(7, 1)))


def test_several_inputs():
    n = 40
    splits = split(TensorDataset(torch.rand(n, 3, 4), torch.rand(n, 2), torch.arange(n) % 2), seed=0)
    batch = splits.train.batch(np.arange(5))
    assert [tuple(x.shape) for x in batch.inputs] == [(5, 3, 4), (5, 2)]
    splits.check_inputs((torch.zeros(1, 3, 4), torch.zeros(1, 2)))


def test_labels_from_targets():
    items = Items([0, 1] * 20)
    items.targets = [1, 0] * 20
    assert split(items, seed=0).train.labels.tolist() != []
    assert isinstance(split(items, seed=0).train, DatasetPart)
    assert isinstance(split(numbered([0, 1] * 20), seed=0).train, TensorPart)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0, 2] * 20, {}, r"class\(es\) 1 have none"),
        ([0, 1] * 20, {"num_classes": 3}, r"in the data set; class\(es\) 2 have none"),
        ([0, 1, 2] * 20, {"num_classes": 2}, r"must be from 0 to 1 \(2 classes\); they are from 0 to 2"),
        ([-1, 0, 1] * 20, {}, "they are from -1 to 1"),
        ([0.0, 1.0] * 20, {}, "must be one integer an item; got torch.float32"),
        ([[0], [1]] * 20, {}, r"of the shape \(40, 1\)"),
        ([0, 1] * 20, {"train_size": 41}, "`train_size` must be at least 1 and at most 24"),
        ([0, 1] * 20, {"search_size": 0}, "`search_size` must be at least 1"),
        ([0, 1] * 20, {"test": numbered([0, 1]), "test_size": 2}, "`test_size` must not be given beside a test set"),
        ([0, 1] * 20, {"test": numbered([0, 2])}, r"in the data set; class\(es\) 2"),
        ([0, 1] * 20, {"test": numbered([1, 1])}, r"in the test set; class\(es\) 0"),
        ([0] * 39 + [1], {}, r"in the part `train`; class\(es\) 1|in the part `search`; class\(es\) 1"),
    ],
)
def test_refused_data(labels, options, message):
    with pytest.raises(DataError, match=message):
        split(numbered(labels), seed=0, **options)


class Named(Items):
    def __getitem__(self, index):
        return torch.zeros(2), "cat"


def test_labels_that_are_no_numbers():
    with pytest.raises(DataError, match=r"Labels of the data set cannot be read .* last entry of every item"):
        split(Named([0, 1] * 20), seed=0)


def test_empty_data():
    with pytest.raises(DataError, match="must have a length of at least 1; Items has none"):
        split(Items([]), seed=0)


def test_parts_with_different_classes():
    two, three = split(numbered([0, 1] * 20), seed=0), split(numbered([0, 1, 2] * 20), seed=0)
    with pytest.raises(DataError, match="`train` has 2 and `test` has 3"):
        Splits(train=two.train, search=two.search, test=three.test)
