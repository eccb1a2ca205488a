"""Exact counting and uniform sampling: a dynamic program over the choices of a space.

The number of completions of each state (see `layers.py`), counted from the end, gives the size of the space and the
probabilities under which every architecture is equally likely.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.space.layers import INACTIVE, CodedCondition, decide

__all__ = ["Counting"]

_CHUNK = 16_384


class Counting:
    """The compiled dynamic program of a space.

    Args:
        num_options: of every choice.
        conditions: of every choice, on earlier positions; `ALWAYS` where there is none.

    Raises:
        SpaceError: more than `MAX_STATES` states at once.
    """

    def __init__(self, num_options: Sequence[int], conditions: Sequence[CodedCondition]) -> None:
        self._num_choices = len(num_options)
        self._layers = list(decide(num_options, conditions))
        self._always_active = [bool(layer.active.all()) for layer in self._layers]
        self._has_states = [bool(layer.following.any()) for layer in self._layers]  # after the layer, more than one
        counts = [1]
        self._cumulative: list[NDArray[np.float64] | None] = []  # (n - 1, S); None where all options weigh the same
        for layer in reversed(self._layers):
            totals, rows, even = [], [], True
            for active, following in zip(layer.active.tolist(), layer.following.tolist(), strict=True):
                weights = [counts[state] for state in following[:-1]] if active else [counts[following[-1]]]
                total = sum(weights)
                totals.append(total)
                even = even and len(set(weights)) == 1
                rows.append([weight / total for weight in weights] if active else [0.0] * layer.num_options)
            self._cumulative.append(None if even else np.cumsum(np.array(rows), axis=1).T[:-1].copy())
            counts = totals
        self._cumulative.reverse()
        self.size: int = counts[0]

    def sample(self, num: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Codes (num, num_choices), every architecture equally likely, columns contiguous."""
        codes = np.empty((num, self._num_choices), dtype=np.int32, order="F")
        for start in range(0, num, _CHUNK):
            chunk = codes[start : start + _CHUNK]
            state = np.zeros(len(chunk), dtype=np.intp)
            known = zip(self._layers, self._cumulative, self._always_active, self._has_states, strict=True)
            for layer, cumulative, is_active, has_states in known:
                if cumulative is None:
                    column = rng.integers(layer.num_options, size=len(chunk), dtype=np.int32)
                else:
                    draws = rng.random(len(chunk))
                    column = np.zeros(len(chunk), dtype=np.int32)
                    for bound in cumulative:
                        column += draws >= bound[state]
                if not is_active:
                    column = np.where(layer.active[state], column, np.int32(INACTIVE))
                chunk[:, layer.position] = column
                if has_states:
                    state = layer.following[state, column]
                else:
                    state[:] = 0
        return codes
