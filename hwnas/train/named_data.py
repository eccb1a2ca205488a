"""Data as objects of this process, or as what names them to another one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwnas.data import Splits, load_data
from hwnas.errors import ConfigError

__all__ = ["data_reference", "loaded_data"]


def loaded_data(data: Splits | Mapping[str, Any] | object) -> Splits:
    """Data as objects, from those objects or from the arguments of `load_data`.

    Raises:
        ConfigError: neither of them.
        DataError: they cannot be loaded.
    """
    if isinstance(data, Splits):
        return data
    options = {"seed": 0} | _options(data)
    try:
        return load_data(options.pop("name"), **options)
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"`data` must be a Splits or the arguments of load_data, such as {{'name': 'digits', 'seed': 0}}; got "
            f"{data!r}: {error}."
        ) from error


def data_reference(data: Splits | Mapping[str, Any] | object, *, needed_by: str) -> dict[str, Any]:
    """The arguments of `load_data`, as JSON; the folder by its whole path, for a worker may run in another one.

    Raises:
        ConfigError: the data are objects of this process.
    """
    if isinstance(data, Splits):
        raise ConfigError(
            f"Data given to {needed_by} as objects stay in this process: they run in line only. Give the arguments of "
            "load_data, such as {'name': 'digits', 'seed': 0}, or use the executor 'inline'."
        )
    options = _options(data)
    if options.get("folder") is not None:
        options["folder"] = str(Path(options["folder"]).resolve())
    return options


def _options(data: object) -> dict[str, Any]:
    if isinstance(data, Mapping):
        return dict(data)
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        return dataclasses.asdict(data)
    raise ConfigError(
        f"`data` must be a Splits or the arguments of load_data, such as {{'name': 'digits', 'seed': 0}}; got {data!r}."
    )
