"""Shifts and mirror images against numpy's own."""

import pytest
import torch

from hwnas.data import ShiftFlip
from hwnas.errors import ConfigError


def shifted(image, down, right):
    """The image moved by slicing a zero canvas."""
    _, height, width = image.shape
    canvas = torch.zeros(image.shape[0], 3 * height, 3 * width, dtype=image.dtype)
    canvas[:, height + down : 2 * height + down, width + right : 2 * width + right] = image
    return canvas[:, height : 2 * height, width : 2 * width]


def test_every_image_is_a_shift_or_mirrored_shift_of_itself():
    images = torch.rand(64, 2, 5, 7)
    before = images.clone()
    changed = ShiftFlip(max_shift=2, flip=True)(images, torch.Generator().manual_seed(0))
    assert torch.equal(images, before)
    found = set()
    for image, result in zip(images, changed, strict=True):
        for down in range(-2, 3):
            for right in range(-2, 3):
                moved = shifted(image, down, right)
                found |= {(down, right, False)} if torch.equal(moved, result) else set()
                found |= {(down, right, True)} if torch.equal(moved.flip(2), result) else set()
        assert any(
            torch.equal(candidate, result)
            for d in range(-2, 3)
            for r in range(-2, 3)
            for candidate in (shifted(image, d, r), shifted(image, d, r).flip(2))
        )
    assert len(found) > 30  # of 50


def test_no_change_without_shift_and_flip():
    images = torch.randint(0, 255, (4, 1, 3, 3), dtype=torch.uint8)
    assert torch.equal(ShiftFlip()(images, torch.Generator()), images)


def test_negative_shift():
    with pytest.raises(ConfigError, match="`max_shift` must be at least 0 pixels; got -1"):
        ShiftFlip(max_shift=-1)
