"""Image folders made here, their preprocessing against torchvision's functions."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional

from hwnas.data import Request, image_folder, stream
from hwnas.errors import ConfigError, DataError


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
    return image_folder(folder, seed=0, **({"image_size": 16, "search_size": 4} | options))


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


def test_spos_preprocessing_is_blue_first_from_0_to_255(tmp_path):
    write_images(tmp_path)
    splits = load_folder(tmp_path, image_size=14, preprocessing="spos")
    batch = splits.test.batch(np.array([0, 6]))
    for image_CHW, name in zip(batch.inputs[0], ("cat", "dog"), strict=True):
        with Image.open(tmp_path / "val" / name / "0.png") as image:
            red_first = functional.pil_to_tensor(functional.center_crop(functional.resize(image, 16), 14))
        assert torch.equal(image_CHW, red_first[[2, 1, 0]].float())  # (16 is 14 / 0.875)


def test_spos_trains_on_changed_images_of_the_same_range(tmp_path):
    write_images(tmp_path)
    train = load_folder(tmp_path, preprocessing="spos").train
    images = train.batch(np.arange(8), seed=(0, 1)).inputs[0]
    assert not torch.equal(images, train.batch(np.arange(8)).inputs[0])
    assert images.dtype == torch.float32
    assert 0 <= images.min() < 30 < 225 < images.max() <= 255


def test_the_preprocessings_have_different_hashes(tmp_path):
    write_images(tmp_path)
    assert not set(load_folder(tmp_path).hashes.values()) & set(
        load_folder(tmp_path, preprocessing="spos").hashes.values()
    )


def test_an_unknown_preprocessing(tmp_path):
    write_images(tmp_path)
    with pytest.raises(ConfigError, match="Unknown preprocessing 'caffe'; known are imagenet, spos"):
        load_folder(tmp_path, preprocessing="caffe")


def test_a_damaged_image_in_a_worker_is_told_as_here(tmp_path):
    write_images(tmp_path)
    for path in (tmp_path / "train" / "cat").iterdir():
        path.write_bytes(b"no image")
    part = load_folder(tmp_path, num_workers=1).train
    with pytest.raises(DataError) as raised:
        list(stream(part, [Request(indices=np.arange(len(part)))]))
    assert str(raised.value).startswith("The image ")
    assert "Traceback" not in str(raised.value)


def test_a_link_to_nowhere(tmp_path):
    write_images(tmp_path)
    (tmp_path / "train" / "cat" / "link.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"link\.png is not there \(No such file"):
        load_folder(tmp_path)
