"""Weighted paths: several options of one choice at once."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from hwnas.errors import ArchitectureError

__all__ = ["Paths"]


@dataclasses.dataclass(frozen=True, eq=False)
class Paths:
    """What runs for one choice, and with what weight.

    An option runs if its weight is not 0, or if the weights require a gradient. With weights per image an option
    runs on those images only: with one-hot rows each image takes a path of its own. (A batch norm in training mode
    then sees these images only.) Every tensor that is passed to the module must then have the images first.

    Attributes:
        weights: shape (num_options,), or (batch, num_options) for each image its own; floating point, and on the
            device of the data.
        options: the codes of the options that may run at all; None for all. With a gradient, memory is that of these
            options; the weights of the others count as 0 and get no gradient.

    Raises:
        ArchitectureError: weights or options of another kind, shape or range.
    """

    weights: Tensor
    options: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        weights = self.weights
        if not isinstance(weights, Tensor):
            raise ArchitectureError(f"Paths must have a tensor of weights; got {weights!r}.")
        if weights.dim() not in (1, 2) or not weights.is_floating_point():
            raise ArchitectureError(
                "Paths must have floating-point weights of shape (num_options,) or (batch, num_options); got shape "
                f"{tuple(weights.shape)} of {weights.dtype}."
            )
        if self.options is None:
            return
        num = weights.shape[-1]
        are_codes = isinstance(self.options, tuple) and all(
            isinstance(code, int) and not isinstance(code, bool) and 0 <= code < num for code in self.options
        )
        if not are_codes or not self.options or len(set(self.options)) < len(self.options):
            raise ArchitectureError(
                f"The `options` of Paths must be a tuple of one or more different codes from 0 to {num - 1}, or None; "
                f"got {self.options!r}."
            )

    @property
    def codes(self) -> tuple[int, ...]:
        """The codes of the options that may run."""
        return tuple(range(self.weights.shape[-1])) if self.options is None else self.options
