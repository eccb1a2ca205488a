"""From quantities under guards (what the traced pass saw) to a cost over the space."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from hwnas.cost.latency_table import LatencyTable
from hwnas.cost.table import CostTable
from hwnas.cost.term import Term
from hwnas.space import Space
from hwnas.trace import Block, Guard

__all__ = ["block_sum", "guarded_sum", "latency_cost"]


def guarded_sum(space: Space, quantities: Iterable[tuple[Guard, float]], *, unit: str = "") -> CostTable:
    """The sum of all quantities whose guard holds, for every architecture.

    The boxes of a guard never overlap, so each is one term: the quantity where every choice of the box has one of its
    codes, 0 elsewhere (also where a choice is inactive). Whole numbers stay exact below 2**53.
    """
    constant = 0.0
    values: dict[tuple[str, ...], NDArray[np.float64]] = {}
    for guard, quantity in quantities:
        for box in guard.boxes:
            if not box:
                constant += quantity
                continue
            names = tuple(name for name, _ in box)
            if names not in values:
                values[names] = np.zeros([space.choice(name).num_options + 1 for name in names])
            values[names][np.ix_(*(codes for _, codes in box))] += quantity
    terms = (_without_idle_axes(space, names, table) for names, table in values.items())
    return CostTable(space, constant, terms, unit=unit)


def _without_idle_axes(space: Space, names: tuple[str, ...], values: NDArray[np.float64]) -> Term:
    """A term without the choices that are always active and make no difference."""
    kept = list(names)
    for name in names:
        axis, choice = kept.index(name), space.choice(name)
        options = values.take(range(choice.num_options), axis)
        if not choice.condition and (options == options.take([0], axis)).all():
            values = np.asarray(options.take(0, axis))
            kept.remove(name)
    return Term(tuple(kept), values)


def block_sum(space: Space, blocks: Iterable[Block], table: LatencyTable) -> CostTable:
    """The sum over the blocks of every architecture, in milliseconds as measured one by one.

    Raises:
        BadInputError: a block is not in the table; unknown is never zero.
    """
    return guarded_sum(space, ((block.guard, table.latency_ms(block.key)) for block in blocks), unit="ms")


def latency_cost(space: Space, blocks: Iterable[Block], table: LatencyTable) -> CostTable:
    """The latency of every architecture: the sum over its blocks, through the table's `Calibration` if it has one.

    Raises:
        BadInputError: a block is not in the table.
    """
    fit = table.calibration
    if fit is None:
        return block_sum(space, blocks, table)
    net = ((block.guard, table.latency_ms(block.key) - fit.isolation_ms) for block in blocks)
    return guarded_sum(space, net, unit="ms") * fit.slope + fit.intercept_ms
