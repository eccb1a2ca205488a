"""Architectures drawn uniformly over ranges of cost.

Z. Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", ECCV 2020,
https://arxiv.org/abs/1904.00420: the supernet for a search at 290 to 360 million multiply-accumulates is trained on
paths that are uniform over bins of 10 million, so that its ends are trained as well as its middle, where most
architectures are.

What differs: which bins can be met at all is found out before training, and said.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from hwnas.cost import CostTable, format_quantity
from hwnas.errors import ConfigError
from hwnas.space import Architecture, Space

__all__ = ["CostBins"]

_NUM_TRIED = 65_536
_BATCH_SIZE = 4096
_MAX_BATCHES = 16


class CostBins:
    """Draws a bin uniformly, and then an architecture uniformly from those in it, by rejection.

    A bin that none of some 65,000 random architectures meets is left out, with a warning. Where a bin is so rare that
    as many draws again miss it, one of those met at first is taken.
    """

    def __init__(self, space: Space, cost: CostTable, limits: tuple[float, float], num_bins: int) -> None:
        """See the class.

        Args:
            space: what may vary.
            cost: over this space.
            limits: the ends of the range, in the unit of the cost; both belong to it.
            num_bins: how many bins of one width the range has, at least 1.

        Raises:
            ConfigError: a cost over another space, or a range that no random architecture meets.
        """
        if cost.space != space:
            raise ConfigError("The cost of `macs_range` must be over the space that is trained; it is over another.")
        self._space = space
        self._cost = cost
        self._edges = np.linspace(*limits, num_bins + 1)
        rng = np.random.default_rng(0)  # of what can be met, not of what is drawn: the same for every seed
        batches = [space.sample_codes(_BATCH_SIZE, rng) for _ in range(_NUM_TRIED // _BATCH_SIZE)]
        codes = np.concatenate(batches)
        bins = self._bins_of(codes)
        self._examples = {number: codes[bins == number] for number in range(num_bins) if (bins == number).any()}
        missed = [number for number in range(num_bins) if number not in self._examples]
        if not self._examples:
            drawn = cost.values(codes)
            raise ConfigError(
                f"`macs_range` must hold some architectures; of {_NUM_TRIED:,} random ones none has from "
                f"{self._shown(limits[0])} to {self._shown(limits[1])}. They have from {self._shown(drawn.min())} to "
                f"{self._shown(drawn.max())}, and the space from {self._shown(cost.minimum().value)} to "
                f"{self._shown(cost.maximum().value)}. Give another range."
            )
        if missed:
            ranges = ", ".join(f"{self._shown(a)} to {self._shown(b)}" for a, b in self._edges_of(missed))
            warnings.warn(
                f"{len(missed)} of the {num_bins} bins of `macs_range` are left out of training, since none of "
                f"{_NUM_TRIED:,} random architectures is in them: {ranges}.",
                stacklevel=2,
            )

    def sample(self, rng: np.random.Generator) -> Architecture:
        """One architecture, each bin that can be met as likely as the others."""
        number = list(self._examples)[rng.integers(len(self._examples))]
        examples = self._examples[number]
        # A batch in which some four are expected.
        size = min(_BATCH_SIZE, 4 * _NUM_TRIED // len(examples))
        for _ in range(_MAX_BATCHES):
            codes = self._space.sample_codes(size, rng)
            found = codes[self._bins_of(codes) == number]
            if len(found):
                return self._space.decode(found[:1])[0]
        return self._space.decode(examples[[rng.integers(len(examples))]])[0]

    def _bins_of(self, codes: NDArray[np.integer]) -> NDArray[np.intp]:
        """The number of each architecture's bin; -1 or the number of bins outside the range."""
        costs = self._cost.values(codes)
        numbers = np.searchsorted(self._edges, costs, side="right") - 1
        return np.where(costs == self._edges[-1], len(self._edges) - 2, numbers)

    def _edges_of(self, numbers: list[int]) -> list[tuple[float, float]]:
        return [(float(self._edges[number]), float(self._edges[number + 1])) for number in numbers]

    def _shown(self, value: float) -> str:
        return format_quantity(value, self._cost.unit)
