"""Random changes of small images, a whole batch at a time. B images, C channels, H high, W wide."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from hwnas.errors import ConfigError, DataError

__all__ = ["Cutout", "ShiftFlip"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShiftFlip:
    """Shift every image by up to `max_shift` pixels both ways (zeros move in), and mirror half of them.

    Raises:
        ConfigError: for a negative shift.
    """

    max_shift: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        if self.max_shift < 0:
            raise ConfigError(f"`max_shift` must be at least 0 pixels; got {self.max_shift}.")

    def __call__(self, images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """The changed images; the input is left alone."""
        num, _, height, width = images_BCHW.shape
        padded = functional.pad(images_BCHW, (self.max_shift,) * 4)
        offsets = torch.randint(0, 2 * self.max_shift + 1, (2, num, 1), generator=generator)
        rows_BH = offsets[0] + torch.arange(height)
        columns_BW = offsets[1] + torch.arange(width)
        if self.flip:
            mirrored_B1 = torch.rand(num, 1, generator=generator) < 0.5
            columns_BW = torch.where(mirrored_B1, columns_BW.flip(1), columns_BW)
        images_BHWC = padded.permute(0, 2, 3, 1)[
            torch.arange(num)[:, None, None], rows_BH[:, :, None], columns_BW[:, None]
        ]
        return images_BHWC.permute(0, 3, 1, 2).contiguous()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cutout:
    """Set a square of every image to 0 in all channels: to the mean, where images are normalised before.

    Terrance DeVries, Graham W. Taylor: "Improved Regularization of Convolutional Neural Networks with Cutout", 2017,
    https://arxiv.org/abs/1708.04552. The square's centre is any pixel, so that parts of it may lie outside.

    Attributes:
        size: side of the square in pixels; 16 for CIFAR's 32x32 images.

    Raises:
        ConfigError: for a size below 1.
    """

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError(f"`size` of a cutout must be at least 1 pixel; got {self.size}.")

    def __call__(self, images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """The changed images; the input is left alone.

        Args:
            images_BCHW: on any device.
            generator: on the CPU, so that every device cuts out the same.

        Raises:
            DataError: for inputs that are no images.
        """
        if images_BCHW.ndim != 4:
            raise DataError(
                f"Cutout takes images of the shape (batch, channels, height, width); got {tuple(images_BCHW.shape)}."
            )
        num, _, height, width = images_BCHW.shape
        rows_BH, columns_BW = (self._inside(num, side, generator) for side in (height, width))
        square_B1HW = rows_BH[:, None, :, None] & columns_BW[:, None, None, :]
        return images_BCHW.masked_fill(square_B1HW.to(images_BCHW.device), 0)

    def _inside(self, num: int, side: int, generator: torch.Generator) -> Tensor:
        """Which of a side's pixels are in each image's square, (num, side)."""
        first = torch.randint(side, (num, 1), generator=generator) - self.size // 2
        pixels = torch.arange(side)
        return (first <= pixels) & (pixels < first + self.size)
