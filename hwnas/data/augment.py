"""Random changes of small images, a whole batch at a time. B images, C channels, H high, W wide."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from hwnas.errors import ConfigError

__all__ = ["ShiftFlip"]


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
