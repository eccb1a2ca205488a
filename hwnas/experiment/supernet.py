"""Training the supernet of a search: the sandwich rule's two ends and the cost are the space's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from hwnas.cost import CostTable
from hwnas.data import Splits
from hwnas.nn import ModelSpace
from hwnas.profiler import FlopsProfiler
from hwnas.train import Progress, Recipe, TrainingResult, train_supernet

__all__ = ["train_whole_space"]


def train_whole_space(
    space: ModelSpace,
    data: Splits,
    recipe: Recipe,
    *,
    seed: int,
    directory: Path,
    weights: Mapping[str, Tensor] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """Train a supernet whose largest and smallest architectures, and whose bins, are by MACs.

    Interrupted and called again, it goes on from the last checkpoint in `directory`.

    Args:
        space: trained in place.
        data: of which only `train` is read.
        recipe: how.
        seed: of all randomness.
        directory: for the checkpoints.
        weights: what training begins with; those that the space has if not given.
        progress: called after every step.

    Raises:
        Exception: whatever `train_supernet` raises.
    """
    macs = FlopsProfiler(space).cost
    assert isinstance(macs, CostTable)  # counts add up
    return train_supernet(
        space,
        data,
        recipe,
        seed=seed,
        largest=macs.maximum().architecture,
        smallest=macs.minimum().architecture,
        cost=macs,
        weights=weights,
        directory=directory,
        progress=progress,
    )
