"""A probability for every option of every choice: the alphas and betas of the papers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwnas.errors import SpaceError
from hwnas.space.architecture import Architecture
from hwnas.space.layers import INACTIVE
from hwnas.space.space import Space

__all__ = ["Distribution"]

TOLERANCE = 1e-4
"""How far a sum may be from 1: softmax in float32 passes, a forgotten option does not."""


class Distribution(Mapping[str, NDArray[np.float64]]):
    """Independent choices: the probability of an option *given that its choice is active*.

    Immutable; maps the name of every choice of the space to an array (num_options,) that is taken
    as it is given, not normalised.
    """

    def __init__(self, space: Space, probabilities: Mapping[str, ArrayLike]) -> None:
        """See the class.

        Raises:
            SpaceError: a choice that is missing or unknown; probabilities of the wrong shape,
                negative, not finite, or whose sum is not 1.
        """
        self.space = space
        self._probabilities: dict[str, NDArray[np.float64]] = {}
        _require_choices(space, probabilities, what="probabilities")
        for choice in space.choices:
            values = np.asarray(probabilities[choice.name], dtype=np.float64).copy()
            if values.shape != (choice.num_options,):
                raise SpaceError(
                    f"The probabilities of {choice.name!r} must have the shape ({choice.num_options},); "
                    f"got {values.shape}."
                )
            if not (values >= 0).all() or abs(values.sum() - 1) > TOLERANCE:
                raise SpaceError(
                    f"The probabilities of {choice.name!r} must be at least 0 and sum to 1; got {values.tolist()}. "
                    "`Distribution.from_logits` takes any finite numbers."
                )
            values.flags.writeable = False
            self._probabilities[choice.name] = values

    @classmethod
    def uniform(cls, space: Space) -> Distribution:
        """Every option of a choice as likely as the others (which is not uniform over architectures)."""
        return cls(
            space, {choice.name: np.full(choice.num_options, 1 / choice.num_options) for choice in space.choices}
        )

    @classmethod
    def from_logits(cls, space: Space, logits: Mapping[str, ArrayLike]) -> Distribution:
        """The softmax of each choice's logits.

        Raises:
            SpaceError: a choice that is missing or unknown; logits of the wrong shape or not finite.
        """
        _require_choices(space, logits, what="logits")
        probabilities = {}
        for choice in space.choices:
            values = np.array(logits[choice.name], dtype=np.float64)
            if values.shape != (choice.num_options,) or not np.isfinite(values).all():
                raise SpaceError(
                    f"The logits of {choice.name!r} must be {choice.num_options} finite numbers; got {values.tolist()}."
                )
            weights = np.exp(values - values.max())
            probabilities[choice.name] = weights / weights.sum()
        return cls(space, probabilities)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self._probabilities[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._probabilities)

    def __len__(self) -> int:
        return len(self._probabilities)

    __hash__ = None  # type: ignore[assignment]  # arrays

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Distribution):
            return NotImplemented
        return self.space == other.space and all(np.array_equal(self[name], other[name]) for name in self)

    def sample_codes(self, num: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Encoded architectures (num, num_choices) drawn from this distribution."""
        codes = np.full((num, len(self.space.choices)), INACTIVE, dtype=np.int32, order="F")
        for position, name in enumerate(self.space.names):
            cumulative = np.cumsum(self[name])
            # Divided by the total, so that rounding cannot draw an option behind the last.
            drawn = np.searchsorted(cumulative / cumulative[-1], rng.random(num), side="right")
            active = self.space.active(position, codes)
            codes[active, position] = drawn[active]
        return codes

    def sample(self, rng: np.random.Generator) -> Architecture:
        """An architecture drawn from this distribution."""
        return self.space.decode(self.sample_codes(1, rng))[0]


def _require_choices(space: Space, values: Mapping[str, ArrayLike], *, what: str) -> None:
    missing = [name for name in space.names if name not in values]
    unknown = [name for name in values if name not in space.names]
    if missing or unknown:
        raise SpaceError(
            f"A distribution must have {what} for every choice of the space and for no other; "
            f"missing {missing!r}, unknown {unknown!r}."
        )
