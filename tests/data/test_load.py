"""The data sets with names: digits and Fashion-MNIST as published, image folders made here."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hwnas.data import load_data
from hwnas.errors import ConfigError, DataError

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


def write_images(folder, classes=("cat", "dog"), num=6):
    rng = np.random.default_rng(1)
    for part in ("train", "val"):
        for name in classes:
            where = folder / part / name
            where.mkdir(parents=True)
            for i in range(num):
                pixels = rng.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(where / f"{i}.png")


def load_folder(folder, **options):
    return load_data("image-folder", seed=0, folder=folder, image_size=16, search_size=4, **options)


def test_image_folder(tmp_path):
    write_images(tmp_path)
    splits = load_folder(tmp_path)
    assert [len(part) for part in splits.parts.values()] == [8, 4, 12]
    splits.check_inputs((torch.zeros(1, 3, 16, 16),))
    clean = splits.train.batch(np.arange(4)).inputs[0]
    assert not torch.equal(clean, splits.train.batch(np.arange(4), seed=(0, 1)).inputs[0])
    assert torch.equal(clean, load_folder(tmp_path).train.batch(np.arange(4)).inputs[0])
    before = splits.hashes
    Image.fromarray(np.zeros((9, 9, 3), dtype=np.uint8)).save(tmp_path / "train" / "cat" / "0.png")
    assert load_folder(tmp_path).hashes != before


def test_image_folder_with_a_damaged_image(tmp_path):
    write_images(tmp_path)
    for path in (tmp_path / "train" / "cat").iterdir():
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"The image .*cat.\d\.png cannot be read .* Replace the file or remove it"):
        load_folder(tmp_path).train.batch(np.arange(8))


def test_image_folder_with_an_empty_class(tmp_path):
    write_images(tmp_path)
    (tmp_path / "train" / "emu").mkdir()
    with pytest.raises(DataError, match=r"emu.*Every class needs at least one image"):
        load_folder(tmp_path)


def test_image_folder_without_classes(tmp_path):
    for part in ("train", "val"):
        (tmp_path / part).mkdir()
    with pytest.raises(DataError, match="Every class needs at least one image"):
        load_folder(tmp_path)


def test_image_folder_with_different_classes(tmp_path):
    write_images(tmp_path)
    (tmp_path / "val" / "dog").rename(tmp_path / "val" / "gnu")
    with pytest.raises(DataError, match="same classes; only one of them has dog, gnu"):
        load_folder(tmp_path)


def test_image_folder_without_val(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="val is not a folder"):
        load_folder(tmp_path)


def test_image_folder_needs_a_folder():
    with pytest.raises(ConfigError, match="`folder` must be given"):
        load_data("image-folder", seed=0)


def test_unknown_name():
    with pytest.raises(
        ConfigError,
        match="Unknown data set 'mnist'; known are cifar10, digits, fashion-mnist, image-folder, landmark-list",
    ):
        load_data("mnist", seed=0)
