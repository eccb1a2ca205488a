"""CIFAR-10's layout: generated files against torchvision's own class, and every way in which a file may be wrong."""

import hashlib
import os
import pickle

import numpy as np
import pytest
import torch
import torchvision

from hwnas.data import cifar10
from hwnas.errors import DataError
from hwnas.testing import python2_pickle
from hwnas.testing.layouts import write_cifar10

LAYOUT = "cifar-10-batches-py"


@pytest.fixture
def folder(tmp_path):
    return write_cifar10(tmp_path, num_train=60, num_test=30)


def rewrite(folder, name="data_batch_3", **changes):
    """Change entries of a file; None removes one."""
    path = folder / LAYOUT / name
    content = pickle.loads(path.read_bytes(), encoding="bytes")
    content.update({key.encode(): value for key, value in changes.items()})
    path.write_bytes(python2_pickle.dumps({key: value for key, value in content.items() if value is not None}))


def torchvision_class(folder):
    """torchvision's CIFAR10 for other files: as its CIFAR100 is made, by other names and MD5 hashes."""

    def listed(name):
        return [name, hashlib.md5((folder / LAYOUT / name).read_bytes()).hexdigest()]

    class Generated(torchvision.datasets.CIFAR10):
        train_list = [listed(f"data_batch_{number}") for number in range(1, 6)]
        test_list = [listed("test_batch")]
        meta = {"filename": "batches.meta", "key": "label_names", "md5": listed("batches.meta")[1]}

    return Generated


def channels(images_BCHW):
    """One row a pixel, image by image."""
    return images_BCHW.permute(0, 2, 3, 1).reshape(-1, 3).double().numpy()


def test_the_same_images_and_labels_as_torchvision(folder):
    splits = cifar10(folder, seed=0, augment=False)
    train, test = (torchvision_class(folder)(folder, train=train) for train in (True, False))
    assert train.classes == [f"class_{number}" for number in range(10)]
    assert [len(part) for part in splits.parts.values()] == [48, 12, len(test)]

    given = splits.test.batch(np.arange(30))
    normalised, raw = channels(given.inputs[0]), test.data.reshape(-1, 3)
    scale, shift = np.array([np.polyfit(normalised[:, c], raw[:, c], 1) for c in range(3)]).T  # undo the normalisation

    def rows(part):
        batch = part.batch(np.arange(len(part)))
        pixels = (channels(batch.inputs[0]) * scale + shift).round().astype(np.uint8)
        return list(zip(map(bytes, np.split(pixels, len(part))), batch.labels.tolist(), strict=True))

    def their_rows(data):
        return list(zip(map(bytes, data.data), data.targets, strict=True))

    assert rows(splits.test) == their_rows(test)
    assert sorted(rows(splits.train) + rows(splits.search)) == sorted(their_rows(train))  # the parts are shuffled


def test_normalised_over_the_train_part(folder):
    splits = cifar10(folder, seed=1)
    images = splits.train.batch(np.arange(len(splits.train))).inputs[0]
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    assert splits.num_classes == 10
    splits.check_inputs((torch.zeros(1, 3, 32, 32),))


def test_training_images_alone_are_augmented_and_only_if_asked(folder):
    for augment in (True, False):
        splits = cifar10(folder, seed=0, augment=augment)
        for name, part in splits.parts.items():
            same = torch.equal(part.batch(np.arange(9)).inputs[0], part.batch(np.arange(9), seed=(0,)).inputs[0])
            assert same == (name == "test" or not augment)


def test_the_folder_itself_and_other_pickles(folder):
    hashes = cifar10(folder, seed=0).hashes
    assert cifar10(folder / LAYOUT, seed=0).hashes == hashes
    for path in (folder / LAYOUT).iterdir():  # as Python 3 writes them
        path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes(), encoding="bytes"), protocol=4))
    assert cifar10(folder, seed=0).hashes == hashes


def test_as_many_classes_as_are_named(tmp_path):
    write_cifar10(tmp_path, num_train=20, num_test=10, num_classes=3)
    assert cifar10(tmp_path, seed=0).num_classes == 3


@pytest.mark.parametrize("name", ["data_batch_1", "data_batch_5", "test_batch", "batches.meta"])
def test_a_missing_file(folder, name):
    (folder / LAYOUT / name).unlink()
    with pytest.raises(
        DataError, match=rf"has no file {name}; CIFAR-10 must lie in .*{LAYOUT} as data_batch_1, .* Unpack"
    ):
        cifar10(folder, seed=0)


def test_no_folder_at_all(tmp_path):
    with pytest.raises(DataError, match="has no file data_batch_1; CIFAR-10 must lie in"):
        cifar10(tmp_path / "none", seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": None}, r"data_batch_3 must have the key 'data'; it has 'batch_label', 'labels', .* CIFAR-100"),
        ({"labels": None}, r"must have the key 'labels'"),
        ({"data": np.zeros((12, 3071), np.uint8)}, r"must be an array uint8 \(N, 3072\); got uint8 \(12, 3071\)"),
        ({"data": np.zeros(3072, np.uint8)}, r"must be an array uint8 \(N, 3072\); got uint8 \(3072,\)"),
        ({"data": b"pixels"}, r"must be an array uint8 \(N, 3072\); got str"),
        ({"labels": 3}, r"`labels` must be a list of integers; got 3\."),
        ({"labels": [b"cat"] * 12}, r"`labels` must be a list of integers; got \['cat', 'cat'"),
        ({"labels": [0] * 11}, "holds 12 images but 11 labels"),
        ({"labels": [0] * 11 + [10]}, r"labels must be from 0 to 9, as batches\.meta names 10 classes; got 10\."),
        ({"labels": [0] * 11 + [-1]}, r"labels must be from 0 to 9, .* got -1\."),
    ],
)
def test_a_file_with_something_else(folder, changes, message):
    rewrite(folder, **changes)
    with pytest.raises(DataError, match=message):
        cifar10(folder, seed=0)


def test_floating_point_pixels(folder):
    content = {"data": np.zeros((12, 3072)), "labels": [0] * 12}
    (folder / LAYOUT / "data_batch_3").write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(DataError, match=r"must be an array uint8 \(N, 3072\); got float64 \(12, 3072\)"):
        cifar10(folder, seed=0)


@pytest.mark.parametrize("names", [[], 10])
def test_class_names_that_are_none(folder, names):
    rewrite(folder, "batches.meta", label_names=names)
    with pytest.raises(DataError, match=r"batches\.meta: `label_names` must be a list of the classes' names; got "):
        cifar10(folder, seed=0)


def test_a_list_in_the_place_of_the_dictionary(folder):
    (folder / LAYOUT / "test_batch").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DataError, match="test_batch must hold a dictionary; got list"):
        cifar10(folder, seed=0)


def test_a_class_without_images(folder):
    rewrite(folder, "test_batch", labels=[0] * 30)
    with pytest.raises(DataError, match=r"Every class needs at least one image in the test set; class\(es\) 1, 2, 3"):
        cifar10(folder, seed=0)


@pytest.mark.parametrize("keep", [0, 1, 20, 3000, -1])
def test_a_truncated_pickle(folder, keep):
    path = folder / LAYOUT / "data_batch_2"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"data_batch_2 is no readable pickle .* Fetch the file again"):
        cifar10(folder, seed=0)


def test_bytes_that_are_no_pickle(folder):
    rng = np.random.default_rng(0)
    for _ in range(200):
        (folder / LAYOUT / "data_batch_1").write_bytes(rng.bytes(40))
        with pytest.raises(DataError, match="data_batch_1"):
            cifar10(folder, seed=0)


class Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_no_code_comes_from_a_file(folder, tmp_path):
    harmed = tmp_path / "harmed"
    content = pickle.dumps({"data": Harm(harmed), "labels": []}, protocol=4)
    (folder / LAYOUT / "data_batch_1").write_bytes(content)
    with pytest.raises(
        DataError, match=r"data_batch_1: the pickle asks for posix\.mkdir, which may run code; only numpy"
    ):
        cifar10(folder, seed=0)
    assert not harmed.exists()
    pickle.loads(content)  # the file would have
    assert harmed.exists()
