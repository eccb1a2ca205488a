"""The data sets with names: digits and Fashion-MNIST as published, the others as generated."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from hwnas.data import load_data
from hwnas.errors import ConfigError, DataError
from hwnas.testing.layouts import write_cifar10, write_image_folder, write_landmark_list

INSTALLED = Path("/usr/share/datasets/fashion-mnist")


def test_digits():
    splits = load_data("digits", seed=0)
    assert sum(len(part) for part in splits.parts.values()) == 1797
    assert splits.num_classes == 10
    splits.check_inputs((torch.zeros(1, 1, 8, 8),))
    capped = load_data("digits", seed=0, train_size=100, search_size=50, augment=False)
    assert (len(capped.train), len(capped.search)) == (100, 50)
    plain, seeded = capped.train.batch(np.arange(9)), capped.train.batch(np.arange(9), seed=(0,))
    assert torch.equal(plain.inputs[0], seeded.inputs[0])
    assert not torch.equal(
        splits.train.batch(np.arange(9)).inputs[0], splits.train.batch(np.arange(9), seed=(0,)).inputs[0]
    )


@pytest.mark.skipif(not INSTALLED.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_fashion_mnist_as_published():
    splits = load_data("fashion-mnist", seed=0, train_size=1000, search_size=500)
    assert [len(part) for part in splits.parts.values()] == [1000, 500, 10000]
    assert torch.bincount(splits.train.labels).tolist() == [100] * 10
    assert torch.bincount(splits.test.labels).tolist() == [1000] * 10
    splits.check_inputs((torch.zeros(1, 1, 28, 28),))


def write_idx(path, array):
    data = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def write_fashion(folder, num=60, num_labels=60):
    rng = np.random.default_rng(0)
    for prefix, suffix in (("train", ".gz"), ("t10k", "")):
        images = rng.integers(0, 256, (num, 28, 28), dtype=np.uint8)
        labels = (np.arange(num_labels) % 10).astype(np.uint8)
        write_idx(folder / f"{prefix}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}", labels)


def test_fashion_mnist_from_a_folder(tmp_path):
    write_fashion(tmp_path)
    splits = load_data("fashion-mnist", seed=0, folder=tmp_path)
    assert [len(part) for part in splits.parts.values()] == [48, 12, 60]


def test_fashion_mnist_missing(tmp_path):
    with pytest.raises(DataError, match=r"no file train-images-idx3-ubyte or .*package dataset-fashion-mnist"):
        load_data("fashion-mnist", seed=0, folder=tmp_path)


def test_fashion_mnist_with_too_few_labels(tmp_path):
    write_fashion(tmp_path, num=60, num_labels=50)
    with pytest.raises(DataError, match="60 train images but 50 labels"):
        load_data("fashion-mnist", seed=0, folder=tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "image-folder", "landmark-list"])
def test_a_folder_must_be_given(name):
    with pytest.raises(ConfigError, match=f"`folder` must be given for the data set '{name}'"):
        load_data(name, seed=0)


def test_what_is_for_image_folders_alone():
    with pytest.raises(
        ConfigError, match="`preprocessing` is for the data set 'image-folder'; got 'spos' for 'digits'"
    ):
        load_data("digits", seed=0, preprocessing="spos")
    with pytest.raises(ConfigError, match=r"`image_size` is for .* got 32 for 'cifar10', whose images have the size"):
        load_data("cifar10", seed=0, folder="any", image_size=32)


def test_the_layouts_by_name(tmp_path):
    write_cifar10(tmp_path, num_train=40, num_test=20)
    write_image_folder(tmp_path, num_classes=2, train_per_class=5, val_per_class=1, image_size=16)
    write_landmark_list(tmp_path, num_train=10, num_test=3, image_size=16)
    splits = load_data("cifar10", seed=0, folder=tmp_path, search_size=10)
    assert [len(part) for part in splits.parts.values()] == [30, 10, 20]
    splits = load_data("image-folder", seed=0, folder=tmp_path, train_size=6, image_size=8, preprocessing="spos")
    assert [len(part) for part in splits.parts.values()] == [6, 2, 2]
    splits.check_inputs((torch.zeros(1, 3, 8, 8),))
    splits = load_data("landmark-list", seed=0, folder=tmp_path, num_workers=1)
    assert [len(part) for part in splits.parts.values()] == [8, 2, 3]
    splits.check_inputs((torch.zeros(1, 3, 112, 112),))
    assert splits.train.num_workers == 1


def test_unknown_name():
    with pytest.raises(
        ConfigError,
        match="Unknown data set 'mnist'; known are cifar10, digits, fashion-mnist, image-folder, landmark-list",
    ):
        load_data("mnist", seed=0)
