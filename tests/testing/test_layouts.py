"""Generated data sets: their files lie as published, the same for the same seed, and simple models learn them."""

import hashlib
import pathlib
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision
from sklearn.linear_model import LogisticRegression, Ridge

from hwnas.data import Part, cifar10, image_folder, landmark_list
from hwnas.errors import ConfigError
from hwnas.testing.layouts import write_cifar10, write_image_folder, write_landmark_list, written_once

Writer = Callable[..., pathlib.Path]


def everything(part: Part) -> tuple[np.ndarray, np.ndarray]:
    batch = part.batch(np.arange(len(part)))
    return batch.inputs[0].flatten(1).numpy(), batch.labels.numpy()


@pytest.mark.parametrize(
    ("write", "options"),
    [
        (write_cifar10, {"num_train": 20, "num_test": 10}),
        (write_image_folder, {"train_per_class": 2, "val_per_class": 1}),
        (write_landmark_list, {"num_train": 3, "num_test": 2}),
    ],
)
def test_a_seed_is_a_data_set(tmp_path: pathlib.Path, write: Writer, options: dict[str, int]) -> None:
    def digest(name: str, seed: int) -> dict[str, str]:
        folder = write(tmp_path / name / "made", seed=seed, **options)
        assert folder == tmp_path / name / "made"
        files = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    first, again, other = digest("a", 0), digest("b", 0), digest("c", 1)
    assert first == again
    assert first.keys() == other.keys()
    assert sum(first[name] == other[name] for name in first) <= 1  # CIFAR-10's names of classes


def test_cifar10_has_the_published_files(tmp_path: pathlib.Path) -> None:
    write_cifar10(tmp_path, num_train=52, num_test=20)
    names = {path.name for path in (tmp_path / "cifar-10-batches-py").iterdir()}
    assert names == {*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"}
    splits = cifar10(tmp_path, seed=0)
    assert torch.bincount(splits.test.labels).tolist() == [2] * 10
    assert torch.bincount(torch.cat([splits.train.labels, splits.search.labels])).tolist() == [6, 6] + [5] * 8


def test_cifar10_is_learned(tmp_path: pathlib.Path) -> None:
    splits = cifar10(write_cifar10(tmp_path), seed=0)
    model = LogisticRegression(max_iter=300).fit(*everything(splits.train))
    assert model.score(*everything(splits.test)) > 0.7  # by guessing 0.1


def test_torchvision_reads_the_image_folder(tmp_path: pathlib.Path) -> None:
    write_image_folder(tmp_path, num_classes=3, train_per_class=5, val_per_class=2, image_size=24)
    for part, num in (("train", 5), ("val", 2)):
        found = torchvision.datasets.ImageFolder(tmp_path / part)
        assert found.classes == ["n00000001", "n00000002", "n00000003"]
        assert np.bincount(found.targets).tolist() == [num] * 3
        assert {image.size for image, _ in found} == {(24, 24)}
    assert (tmp_path / "train" / "n00000002" / "n00000002_4.JPEG").read_bytes()[:3] == b"\xff\xd8\xff"


def test_the_image_folder_is_learned(tmp_path: pathlib.Path) -> None:
    write_image_folder(tmp_path, image_size=32)
    splits = image_folder(tmp_path, seed=0, image_size=28)
    model = LogisticRegression(max_iter=300).fit(*everything(splits.train))
    assert model.score(*everything(splits.test)) > 0.8  # by guessing 0.25


def test_landmarks_and_angles_are_learned(tmp_path: pathlib.Path) -> None:
    write_landmark_list(tmp_path, num_train=200, num_test=30, image_size=28)
    splits = landmark_list(tmp_path, seed=0, image_size=28)
    images, targets = everything(splits.train)
    seen, expected = everything(splits.test)
    found = Ridge(alpha=10.0).fit(images, targets).predict(seen)
    always = np.repeat(targets.mean(0, keepdims=True), len(seen), axis=0)
    nme, nme_always = (
        -splits.task.scores(torch.tensor(outputs).float(), torch.tensor(expected)).mean().item()
        for outputs in (found, always)
    )
    assert nme < 0.6 * nme_always  # than the mean face
    roll, roll_always = (np.abs(outputs[:, -1] - expected[:, -1]).mean() for outputs in (found, always))
    assert roll < 0.6 * roll_always


def test_large_poses_are_said_to_be(tmp_path: pathlib.Path) -> None:
    write_landmark_list(tmp_path, num_train=60, num_test=1, num_points=98, image_size=8)
    rows = [line.split() for line in (tmp_path / "train_data" / "list.txt").read_text().splitlines()]
    assert {row[197] for row in rows} == {"0", "1"}
    assert all((row[197] == "1") == (abs(float(row[-2])) > 20) for row in rows)
    assert {field for row in rows for field in row[198:203]} == {"0"}


@pytest.mark.parametrize(
    ("write", "options", "message"),
    [
        (write_cifar10, {"num_train": 4}, "`num_train` must be at least 5, an image a batch; got 4"),
        (
            write_cifar10,
            {"num_train": 9},
            "`num_classes` must be from 1 to `num_train`, 9, so that none is empty; got 10",
        ),
        (
            write_cifar10,
            {"num_test": 9},
            "`num_classes` must be from 1 to `num_test`, 9, so that none is empty; got 10",
        ),
        (write_cifar10, {"num_classes": 0}, "`num_classes` must be from 1 to `num_train`, 500"),
        (write_image_folder, {"train_per_class": 0}, "`train_per_class` must be at least 1; got 0"),
        (write_image_folder, {"num_classes": 0}, "`num_classes` must be at least 1; got 0"),
        (write_landmark_list, {"num_train": 0}, "`num_train` must be at least 1; got 0"),
        (write_landmark_list, {"num_test": 0}, "`num_test` must be at least 1; got 0"),
        (write_image_folder, {"val_per_class": 0}, "`val_per_class` must be at least 1; got 0"),
        (write_landmark_list, {"num_points": 68}, "`num_points` of a drawn face must be one of 106, 98; got 68"),
    ],
)
def test_what_cannot_be_written(tmp_path: pathlib.Path, write: Writer, options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write(tmp_path, **options)


def test_what_is_there_is_not_written_again(tmp_path: pathlib.Path) -> None:
    folder = written_once(tmp_path / "new" / "data", lambda path: write_landmark_list(path, num_train=2, num_test=1))
    assert folder == tmp_path / "new" / "data"
    assert len(landmark_list(folder, seed=0, search_size=1).test) == 1
    (folder / "mine.txt").write_text("kept")
    assert written_once(folder, lambda path: pytest.fail("written again")) == folder
    assert (folder / "mine.txt").read_text() == "kept"
    assert [path.name for path in folder.parent.iterdir()] == ["data"]


def test_what_is_not_wholly_written_is_not_there(tmp_path: pathlib.Path) -> None:
    def break_off(path: pathlib.Path) -> None:
        write_image_folder(path, train_per_class=1, val_per_class=1)
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        written_once(tmp_path / "data", break_off)
    assert list(tmp_path.iterdir()) == []


def test_another_process_may_be_quicker(tmp_path: pathlib.Path) -> None:
    def write_late(path: pathlib.Path) -> None:
        write_image_folder(path, train_per_class=1, val_per_class=1)
        write_image_folder(tmp_path / "data", train_per_class=2, val_per_class=1)  # as the other does

    written_once(tmp_path / "data", write_late)
    assert len(list((tmp_path / "data" / "train" / "n00000001").iterdir())) == 2
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        written_once(tmp_path / "file", lambda path: write_image_folder(path, train_per_class=1, val_per_class=1))
