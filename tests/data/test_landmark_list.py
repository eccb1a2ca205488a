"""Landmark lists: both published forms, augmentation that takes the points along, and every way to be wrong."""

import numpy as np
import pytest
import torch
from PIL import Image

from hwnas.data import JoinedPart, Request, landmark_list, stream
from hwnas.data.landmark_list import _behind_imgs
from hwnas.errors import ConfigError, DataError
from hwnas.testing.layouts import write_landmark_list


@pytest.fixture
def folder(tmp_path):
    return write_landmark_list(tmp_path, num_train=10, num_test=4, image_size=56)


def edit(folder, change, *, part="train_data", line=3):
    """Change the fields of a line of a list; lines are counted from 1."""
    path = folder / part / "list.txt"
    lines = path.read_text().splitlines()
    fields = lines[line - 1].split()
    change(fields)
    lines[line - 1] = " ".join(fields)
    path.write_text("\n".join(lines) + "\n")


def put(position, value):
    def change(fields):
        fields[position] = value

    return change


@pytest.mark.parametrize(("num_points", "num_attributes"), [(106, 0), (98, 6)])
def test_what_the_fields_are(tmp_path, num_points, num_attributes):
    write_landmark_list(tmp_path, num_train=10, num_test=4, num_points=num_points, image_size=56)
    fields = [line.split() for line in (tmp_path / "test_data" / "list.txt").read_text().splitlines()]
    assert {len(row) for row in fields} == {1 + 2 * num_points + num_attributes + 3}
    targets = landmark_list(tmp_path, seed=0, image_size=56).test.labels
    expected = np.array([row[1 : 1 + 2 * num_points] for row in fields], dtype=float)
    degrees = np.array([row[-3:] for row in fields], dtype=float)
    assert targets.dtype == torch.float32
    np.testing.assert_allclose(targets[:, :-3], expected, rtol=1e-6)
    np.testing.assert_allclose(targets[:, -3:], degrees * np.pi / 180, rtol=1e-5)
    without = landmark_list(tmp_path, seed=0, image_size=56, angles=False)
    np.testing.assert_allclose(without.test.labels, expected, rtol=1e-6)


def test_attributes_are_allowed_beside_106_points_and_not_needed_beside_98(tmp_path):
    for num_points, change in ((106, lambda fields: [fields.insert(-3, "0") for _ in range(6)]), (98, strip)):
        folder = write_landmark_list(tmp_path / str(num_points), num_train=5, num_test=1, num_points=num_points)
        labels = landmark_list(folder, seed=0).train.labels
        for part, num in (("train_data", 5), ("test_data", 1)):
            for line in range(1, num + 1):
                edit(folder, change, part=part, line=line)
        assert torch.equal(landmark_list(folder, seed=0).train.labels, labels)


def strip(fields):
    del fields[-9:-3]


@pytest.mark.parametrize(("num_points", "eyes"), [(106, (35, 93)), (98, (60, 72))])
def test_the_score_is_over_the_outer_eye_corners(tmp_path, num_points, eyes):
    write_landmark_list(tmp_path, num_train=5, num_test=3, num_points=num_points, image_size=16)
    splits = landmark_list(tmp_path, seed=0, image_size=16)
    targets = splits.test.labels
    points = targets[:, :-3].reshape(3, num_points, 2)
    outputs = (points + torch.tensor([0.03, 0.04])).flatten(1)  # every point 0.05 away
    expected = -0.05 / (points[:, eyes[0]] - points[:, eyes[1]]).norm(dim=1)
    torch.testing.assert_close(splits.task.scores(outputs, targets), expected)


def test_images_are_red_first_and_from_0_to_1(folder):
    splits = landmark_list(folder, seed=0, image_size=56, augment=False)
    with Image.open(folder / "test_data" / "imgs" / "2_face_0.png") as image:
        pixels = np.asarray(image)
    given = splits.test.batch(np.array([2])).inputs[0][0]
    np.testing.assert_array_equal((given.permute(1, 2, 0) * 255).round().byte(), pixels)


def test_images_are_brought_to_the_size_and_points_stay_fractions(folder):
    small, large = (landmark_list(folder, seed=0, image_size=size) for size in (28, 112))
    small.check_inputs((torch.zeros(1, 3, 28, 28),))
    large.check_inputs((torch.zeros(1, 3, 112, 112),))
    assert torch.equal(small.test.labels, large.test.labels)


def test_points_move_with_the_image(folder):
    part = landmark_list(folder, seed=0, image_size=56).train
    plain = part.batch(np.arange(8))
    shifts, factors = set(), set()
    for seed in range(6):
        batch = part.batch(np.arange(8), seed=(seed,))
        for before, after, old, new in zip(plain.inputs[0], batch.inputs[0], plain.labels, batch.labels, strict=True):
            moved = (new[:-3] - old[:-3]).reshape(106, 2) * 56
            torch.testing.assert_close(moved, moved[:1].expand(106, 2), atol=1e-4, rtol=0)  # all points alike
            right, down = moved[0].round().int().tolist()
            torch.testing.assert_close(moved[0], torch.tensor([right, down]).float(), atol=1e-4, rtol=0)
            shifts.add((right, down))
            assert torch.equal(new[-3:], old[-3:])
            inner = slice(2, -2)
            there = after[:, 2 + down : 54 + down, 2 + right : 54 + right]
            brightness = (there / before[:, inner, inner])[(there > 0) & (there < 1)]  # not of what was clipped
            assert 0.699 < brightness.min() <= brightness.max() < 1.301
            torch.testing.assert_close(there, (before[:, inner, inner] * brightness[0]).clamp(max=1.0))
            factors.add(round(brightness[0].item(), 4))
    assert len(factors) > 40  # of 48 images
    assert {x for shift in shifts for x in shift} == {-2, -1, 0, 1, 2}  # 56 / 28 pixels at most
    assert torch.equal(part.labels, plain.labels)


def test_augmentation_only_if_asked_and_only_of_training_images(folder):
    splits = landmark_list(folder, seed=0, image_size=28, augment=False)
    for part in (splits.train, landmark_list(folder, seed=0, image_size=28).test):
        for seed in (None, (1,)):
            batch = part.batch(np.arange(4), seed=seed)
            assert torch.equal(batch.labels, part.labels[:4])
            assert torch.equal(batch.inputs[0], part.batch(np.arange(4)).inputs[0])


def test_workers_change_nothing(folder):
    requests = [Request(indices=np.arange(i, i + 4), seed=(0, i)) for i in range(3)]
    here, there = (
        list(stream(landmark_list(folder, seed=0, image_size=28, num_workers=num).train, requests)) for num in (0, 2)
    )
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one.inputs[0], other.inputs[0])
        assert torch.equal(one.labels, other.labels)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.png", "a.png"),
        ("imgs/a.png", "a.png"),
        ("train_data/imgs/a.png", "a.png"),
        ("/home/someone/imgs/data/train_data/imgs/sub/a.png", "sub/a.png"),
        ("sub/a.png", "sub/a.png"),
        ("/sub/a.png", "sub/a.png"),
    ],
)
def test_only_what_is_behind_imgs_counts(name, found):
    assert str(_behind_imgs(name)) == found


def test_lists_of_another_machine(folder):
    hashes = landmark_list(folder, seed=0).hashes
    for line in range(1, 11):
        edit(folder, lambda fields: fields.__setitem__(0, f"/data/pfld/{fields[0]}"), line=line)
    path = folder / "train_data" / "list.txt"
    path.write_bytes(path.read_text().replace("\n", "\r\n\r\n").encode())  # and empty lines, and those of Windows
    assert landmark_list(folder, seed=0).hashes == hashes


def test_other_images_or_points_are_another_hash(folder):
    before = landmark_list(folder, seed=0).hashes
    edit(folder, put(1, "0.123"), line=1)
    after = landmark_list(folder, seed=0).hashes
    assert (before["train"], before["search"]) != (after["train"], after["search"])
    assert before["test"] == after["test"]
    assert landmark_list(folder, seed=0, image_size=28).hashes["test"] != before["test"]


def test_another_number_of_points(folder):
    for part, num in (("train_data", 10), ("test_data", 4)):
        for line in range(1, num + 1):
            edit(folder, lambda fields: fields.__delitem__(slice(11, 213)), part=part, line=line)
    with pytest.raises(DataError, match=r"list\.txt, line 1 has 14 fields\. Known are 216 for 106 points; 222 for 106"):
        landmark_list(folder, seed=0)
    with pytest.raises(
        ConfigError, match="`eyes` must be given for 5 points: the numbers of the two outer eye corners"
    ):
        landmark_list(folder, seed=0, num_points=5)
    splits = landmark_list(folder, seed=0, num_points=5, eyes=(0, 4))
    assert splits.train.labels.shape == (8, 13)
    with pytest.raises(DataError, match=r"line 1 has 14 fields\. Known are 18 for 7 points; 24 for 7 points"):
        landmark_list(folder, seed=0, num_points=7, eyes=(0, 4))


@pytest.mark.parametrize("eyes", [(0, 106), (-1, 3), (4, 4)])
def test_eyes_that_are_no_points(folder, eyes):
    with pytest.raises(ConfigError, match=r"`eyes` must be two points from 0 to 105; got \("):
        landmark_list(folder, seed=0, eyes=eyes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fields: fields.pop(), r"line 3 has 215 fields; lines before have 216\. A line must be: image, x and y"),
        (put(5, "nose"), r"line 3 has a field that is no number \(could not convert string to float: 'nose'\)"),
        (put(5, "nan"), "line 3 has a field that is not finite"),
        (put(-1, "inf"), "line 3 has a field that is not finite"),
        (put(7, "56.5"), "line 3 has the coordinate 56.5; divide by the image's width and height"),
        (put(8, "-0.1"), "line 3 has the coordinate -0.1; divide by the image's width and height"),
    ],
)
@pytest.mark.parametrize("part", ["train_data", "test_data"])
def test_malformed_lines(folder, part, change, message):
    edit(folder, change, part=part)
    with pytest.raises(DataError, match=rf"{part}/list\.txt, {message}"):
        landmark_list(folder, seed=0)


def test_eye_corners_in_one_place(folder):
    def change(fields):
        fields[1 + 2 * 35 : 3 + 2 * 35] = fields[1 + 2 * 93 : 3 + 2 * 93]

    path = folder / "train_data" / "list.txt"
    path.write_text("\n" + path.read_text())  # empty lines count
    edit(folder, change, line=5)
    with pytest.raises(DataError, match="line 5 has the eye corners, points 35 and 93, in one place"):
        landmark_list(folder, seed=0)


def test_lists_with_different_points(folder, tmp_path):
    other = write_landmark_list(tmp_path / "other", num_train=2, num_test=2, num_points=98)
    (folder / "test_data").rename(folder / "of_106")
    (other / "test_data").rename(folder / "test_data")
    with pytest.raises(DataError, match="must have the same points; train_data has 106 and test_data 98"):
        landmark_list(folder, seed=0)


def test_missing_images(folder):
    for number in (4, 7):
        (folder / "train_data" / "imgs" / f"{number}_face_0.png").unlink()
    message = r"2 of the 10 images in .*train_data/list\.txt are missing; the first is .*imgs/4_face_0\.png\. Put them"
    with pytest.raises(DataError, match=message):
        landmark_list(folder, seed=0)


def test_a_missing_list(folder):
    (folder / "test_data" / "list.txt").unlink()
    with pytest.raises(DataError, match=r"test_data/list\.txt cannot be read .*No such file.* Landmarks must lie in"):
        landmark_list(folder, seed=0)


def test_a_list_that_is_no_text(folder):
    (folder / "train_data" / "list.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataError, match=r"list\.txt cannot be read \('utf-8' codec"):
        landmark_list(folder, seed=0)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_list(folder, text):
    (folder / "train_data" / "list.txt").write_text(text)
    with pytest.raises(DataError, match=r"list\.txt is empty; it must have a line for every image"):
        landmark_list(folder, seed=0)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_damaged_image(folder, num_workers):
    (folder / "train_data" / "imgs" / "4_face_0.png").write_bytes(b"no image")
    splits = landmark_list(folder, seed=0, num_workers=num_workers)
    joined = JoinedPart([splits.train, splits.search])
    with pytest.raises(DataError, match=r"^The image .*imgs/4_face_0\.png cannot be read"):
        list(stream(joined, [Request(indices=np.arange(10))]))


@pytest.mark.parametrize("option", ["image_size", "num_workers"])
def test_sizes_that_cannot_be(folder, option):
    with pytest.raises(ConfigError, match=f"`{option}` must be at least"):
        landmark_list(folder, seed=0, **{option: -1})
