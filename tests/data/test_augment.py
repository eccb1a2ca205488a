"""Shifts and mirror images against slices of a canvas, cutout against its rule, pixel by pixel."""

import pytest
import torch

from hwnas.data import Cutout, ShiftFlip
from hwnas.errors import ConfigError, DataError


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


def test_cutout_zeroes_one_clipped_square_around_any_pixel():
    images = torch.rand(3000, 2, 8, 6) + 1
    before = images.clone()
    changed = Cutout(size=4)(images, torch.Generator().manual_seed(0))
    assert torch.equal(images, before)
    zeros = changed == 0
    assert torch.equal(changed[~zeros], images[~zeros])
    assert torch.equal(zeros[:, 0], zeros[:, 1])  # every channel
    # Around a centre at y lie the rows y-2 to y+1 that exist; 8 rows and 6 columns.
    squares = {(y, x): torch.zeros(8, 6, dtype=torch.bool) for y in range(8) for x in range(6)}
    for (y, x), square in squares.items():
        square[max(0, y - 2) : y + 2, max(0, x - 2) : x + 2] = True
    drawn = [sum(torch.equal(square, image) for image in zeros[:, 0]) for square in squares.values()]
    assert min(drawn) > 0
    assert sum(drawn) == 3000  # all squares differ, so that every image is one of them
    # Sums over y of the rows are 2+3+4*5+3 = 28 of 8, over x 2+3+4*3+3 = 20 of 6; 4 standard errors.
    areas = zeros[:, 0].sum((1, 2)).double()
    assert float(areas.mean()) == pytest.approx(28 / 8 * 20 / 6, abs=4 * float(areas.std()) / 3000**0.5)


@pytest.mark.parametrize(("size", "num_pixels"), [(1, 1), (16, 64)])
def test_the_smallest_cutout_is_a_pixel_and_one_of_twice_the_side_is_all(size, num_pixels):
    changed = Cutout(size=size)(torch.ones(20, 1, 8, 8), torch.Generator().manual_seed(1))
    assert (changed == 0).sum((1, 2, 3)).tolist() == [num_pixels] * 20


def test_what_cannot_be_cut_out():
    with pytest.raises(ConfigError, match="`size` of a cutout must be at least 1 pixel; got 0"):
        Cutout(size=0)
    with pytest.raises(
        DataError, match=r"Cutout takes images of the shape \(batch, channels, height, width\); got \(2"
    ):
        Cutout(size=1)(torch.ones(2, 3), torch.Generator())
