"""From a configuration to the run it describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from hwnas.data import Splits, load_data
from hwnas.device import connect
from hwnas.experiment.config import SearchConfig
from hwnas.experiment.phases import Advance, ignore
from hwnas.experiment.result import SearchResult
from hwnas.experiment.search import search_each
from hwnas.experiment.supernet import train_whole_space
from hwnas.nn import ModelSpace
from hwnas.nn.families import load_space
from hwnas.train import Progress, TrainingResult

__all__ = ["search_configured", "train_configured"]


def search_configured(
    config: SearchConfig, directory: str | Path, *, title: str = "", progress: Callable[[Advance], None] = ignore
) -> list[SearchResult]:
    """Run the search that a configuration describes, or go on with it.

    Args:
        config: what to search, with what.
        directory: the run's folder.
        title: of the report.
        progress: told of every advance.

    Raises:
        Exception: whatever `search_each` raises.
    """
    space, data = _loaded(config)
    return search_each(
        space,
        data,
        config.budgets,
        device=connect(config.device.name, threads=config.device.threads, batch_size=config.device.batch_size),
        table=config.device.table,
        repeats=config.device.repeats,
        calibrate=config.device.calibrate,
        strategy=config.strategy,
        strategy_options=config.strategy_options,
        recipe=config.train,
        search=config.search,
        fine_tune=config.fine_tune,
        short=config.short,
        supernet=config.supernet,
        rivals=config.rivals,
        seed=config.seed,
        directory=directory,
        title=title or f"{config.space} on {config.data.name}",
        space_name=config.space,
        progress=progress,
    )


def train_configured(
    config: SearchConfig, directory: str | Path, *, progress: Callable[[Progress], None] | None = None
) -> TrainingResult:
    """Train the supernet that a configuration describes, or go on with it.

    Args:
        config: of which the space, the data, `train` and the seed are used.
        directory: for the checkpoints; a search finds the supernet there.
        progress: called after every step.

    Raises:
        Exception: whatever `train_whole_space` raises.
    """
    space, data = _loaded(config)
    return train_whole_space(space, data, config.train, seed=config.seed, directory=Path(directory), progress=progress)


def _loaded(config: SearchConfig) -> tuple[ModelSpace, Splits]:
    options = dataclasses.asdict(config.data)
    data = load_data(options.pop("name"), seed=config.seed, **options)
    return load_space(config.space, **config.space_options), data
