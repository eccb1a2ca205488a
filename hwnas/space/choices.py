"""What a space is to the functions that work on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hwnas.space.choice import Choice

__all__ = ["Choices"]


class Choices(Protocol):
    """Choices in order, each active or not by the codes of those before it; see `Space`."""

    @property
    def choices(self) -> Sequence[Choice]:
        """A condition names earlier ones only."""

    @property
    def num_options(self) -> Sequence[int]:
        """Of the choices, in order."""

    @property
    def size(self) -> int:
        """How many architectures there are."""

    def active(self, position: int, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether a choice is active (n,), given encoded architectures (n, num_choices)."""

    def is_active(self, position: int, codes: Sequence[int]) -> bool:
        """Whether a choice is active, given the codes of the earlier ones."""
