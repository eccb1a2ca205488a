"""From a configuration to the run it describes, and from a run back to its configuration."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from hwnas.data import Splits, load_data
from hwnas.device import connect
from hwnas.errors import DataError, RunDirectoryError
from hwnas.experiment.config import SearchConfig
from hwnas.experiment.final_recipes import final_options, final_recipe
from hwnas.experiment.found_network import found_networks
from hwnas.experiment.phases import Advance, ignore
from hwnas.experiment.result import SearchResult
from hwnas.experiment.retraining import RetrainingResult, retrain
from hwnas.experiment.scoring import Named
from hwnas.experiment.search import search_each
from hwnas.experiment.supernet import train_whole_space
from hwnas.nn import ModelSpace
from hwnas.nn.families import load_space
from hwnas.train import Progress, TrainingResult, read_weights

__all__ = ["retrain_configured", "search_configured", "train_configured"]

_MADE_FROM = "made_from"
"""The part of a run's configuration that says how space, data and device are made again."""


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
        trials=config.trials,
        named=Named(
            space=config.space,
            space_options=config.space_options,
            data=dataclasses.asdict(config.data) | {"seed": config.seed},
        ),
        rivals=config.rivals,
        seed=config.seed,
        directory=directory,
        title=title or f"{config.space} on {config.data.name}",
        space_name=config.space,
        configuration={_MADE_FROM: _made_from(config)},
        progress=progress,
    )


def train_configured(
    config: SearchConfig,
    directory: str | Path,
    *,
    weights: str | Path | None = None,
    allow_url: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """Train the supernet that a configuration describes, or go on with it.

    Args:
        config: of which the space, the data, `train` and the seed are used.
        directory: for the checkpoints; a search finds the supernet there.
        weights: the file or address of weights to begin with, as of `read_weights`; new ones if not given.
        allow_url: whether an address may be fetched.
        progress: called after every step.

    Raises:
        Exception: whatever `read_weights` and `train_whole_space` raise.
    """
    given = None if weights is None else read_weights(weights, allow_url=allow_url)
    space, data = _loaded(config)
    return train_whole_space(
        space, data, config.train, seed=config.seed, directory=Path(directory), weights=given, progress=progress
    )


def retrain_configured(
    run: str | Path,
    *,
    epochs: float | None = None,
    batch_size: int | None = None,
    inherit: bool | None = None,
    directory: str | Path | None = None,
    progress: Callable[[Advance], None] = ignore,
) -> list[RetrainingResult]:
    """Train the networks that a configured search has found by their paper's final recipe, or go on with it.

    Space, data and device are made again as the run's configuration says. Where there are no budgets to keep, and
    nothing is inherited, networks have the options of their family's final training (`final_options`): those of the
    full family `darts` grow to 20 cells and 36 channels, for example. Options of the configuration stay what they are.

    Args:
        run: the folder of a finished search: all its networks; or the folder of one of its results: that one.
        epochs, batch_size, inherit, progress: as of `retrain`.
        directory: where to, with a folder for each of several networks; `retrain` in each result's folder if not given.

    Raises:
        RunDirectoryError: no finished run, or one that was made from Python, without a configuration.
        DataError: the data are not those of the search any more.
        Exception: whatever `retrain` raises.
    """
    networks = found_networks(run)
    configuration = networks[0].configuration
    made: Mapping[str, Any] | None = configuration.get(_MADE_FROM)
    if made is None:
        raise RunDirectoryError(
            f"The run in {networks[0].run} was made from Python: its folder does not say how its space and data are "
            "made. Retrain from Python as well: hwnas.retrain(make_space, data, run)."
        )
    options = dict(made["data"])
    data = load_data(options.pop("name"), seed=configuration["seed"], **options)
    changed = [name for name, sha256 in data.hashes.items() if sha256 != configuration["data"][name]]
    if changed:
        raise DataError(
            f"The data are not those of the search in {networks[0].run}: of {', '.join(changed)} the content differs. "
            "Put the files back, or call hwnas.retrain with the data you mean."
        )
    results = []
    for found in networks:
        searched = load_space(made["space"], **made["space_options"])
        recipe = final_recipe(configuration["strategy"], searched, inherit=inherit)
        final = {} if recipe.inherits or found.budgets else final_options(made["space"])
        device = dict(made["device"])
        table = device.pop("table")
        if directory is None:
            out = None
        else:
            out = Path(directory) / found.directory.name if len(networks) > 1 else Path(directory)
        results.append(
            retrain(
                functools.partial(load_space, made["space"], **(final | made["space_options"])),
                data,
                found.directory,
                recipe,
                epochs=epochs,
                batch_size=batch_size,
                device=None if found.fingerprint is None else connect(device.pop("name"), **device),
                table=table,
                directory=out,
                progress=progress,
            )
        )
    return results


def _made_from(config: SearchConfig) -> dict[str, Any]:
    device = config.device
    return {
        "space": config.space,
        "space_options": dict(config.space_options),
        "data": dataclasses.asdict(config.data),
        "device": {
            "name": device.name,
            "threads": device.threads,
            "batch_size": device.batch_size,
            "table": device.table,
        },
    }


def _loaded(config: SearchConfig) -> tuple[ModelSpace, Splits]:
    options = dataclasses.asdict(config.data)
    data = load_data(options.pop("name"), seed=config.seed, **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # of the weights that the space begins with
        return load_space(config.space, **config.space_options), data
