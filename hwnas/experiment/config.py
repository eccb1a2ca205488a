"""The configuration of a search and of the training before it, and how a TOML file fills it.

    space = "mobilenet_v3_28"            # a family, or "file.py:factory"
    budgets = ["latency<=5ms", "params<=4M"]
    supernet = "runs/supernet"           # made by `hwnas train` with this same file
    [data]
    name = "fashion-mnist"
    [train]                              # a Recipe: of the supernet
    epochs = 30

Every key has a default but `space`. A table takes the keys of the dataclass it fills, and keys it does not name keep
that table's defaults. Paths are relative to the working directory.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic

from hwnas.arguments import LARGEST, whole_number
from hwnas.cost import parse_budget
from hwnas.data import DataName, Preprocessing
from hwnas.errors import ConfigError, HwnasError
from hwnas.experiment.search import DEFAULT_FINE_TUNE, DEFAULT_SHORT
from hwnas.experiment.strategies import search_recipe
from hwnas.experiment.study import Rivals
from hwnas.experiment.trials import TrialOptions
from hwnas.train import Recipe

__all__ = ["DataConfig", "DeviceConfig", "SearchConfig", "read_config"]


_DEFAULT_TRAIN = Recipe()
_DEFAULT_TRIALS = TrialOptions()


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which data, and how many of them; the arguments of `hwnas.data.load_data`."""

    name: DataName = "digits"
    folder: str | None = None
    train_size: int | None = None
    search_size: int | None = None
    augment: bool = True
    image_size: int | None = None
    num_workers: int = 0
    preprocessing: Preprocessing = "imagenet"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceConfig:
    """Which device, with which settings, and how thoroughly it is measured.

    Attributes:
        name: one of `hwnas.device.known_devices()`.
        threads: of a run.
        batch_size: images a run.
        repeats: rounds in which every block is visited.
        calibrate: whole networks that are measured to calibrate the sum of blocks.
        table: a table that `hwnas measure` made or goes on with; None: the run's own.
    """

    name: str = "onnxruntime:cpu"
    threads: int = 1
    batch_size: int = 1
    repeats: int = 3
    calibrate: int = 12
    table: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("threads", 1), ("batch_size", 1), ("repeats", 1), ("calibrate", 0)):
            whole_number(name, getattr(self, name), at_least=least)
        if self.calibrate in (1, 2):
            raise ConfigError(f"`calibrate` must be 0 or at least 3; got {self.calibrate}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Everything that the result of a search depends on, and how its trials run.

    Attributes:
        space: the name of a family, or "file.py:factory".
        space_options: arguments of the family or the factory.
        budgets: as in "latency<=5ms"; several on one quantity give several networks.
        strategy: the search algorithm, and `strategy_options` its arguments.
        supernet: folder of a trained supernet; None: the search trains its own first.
        trials: how the trials of a strategy that asks for evaluations run; of no account for what is found.
        seed: of all randomness.
        data: see `DataConfig`.
        device: see `DeviceConfig`.
        train: how the supernet is trained, for strategies that do not train it themselves.
        search: how a one-shot strategy takes its steps; keys that are not given are as in its paper.
        fine_tune: how the network that was found is trained further.
        short: how the finalists are trained before they are compared.
        rivals: what simple searches find is "score"d with the supernet's weights, also "train"ed, or left out ("none").
    """

    space: str
    space_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    budgets: tuple[str, ...] = ()
    strategy: str = "certified"
    strategy_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    supernet: str | None = None
    trials: TrialOptions = _DEFAULT_TRIALS
    seed: int = 0
    data: DataConfig = DataConfig()
    device: DeviceConfig = DeviceConfig()
    train: Recipe = _DEFAULT_TRAIN
    search: Recipe | None = None
    fine_tune: Recipe = DEFAULT_FINE_TUNE
    short: Recipe = DEFAULT_SHORT
    rivals: Rivals = "score"

    def __post_init__(self) -> None:
        whole_number("seed", self.seed, at_least=0, at_most=LARGEST)
        for budget in self.budgets:
            parse_budget(budget)
        if self.search is not None and search_recipe(self.strategy) is None:
            raise ConfigError(
                f"The strategy {self.strategy!r} takes no steps, so [search] has no use; it searches a supernet, which "
                "is trained as [train] says."
            )

    def to_json(self) -> dict[str, Any]:
        """The configuration as a JSON object, defaults included."""
        content: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return content


def read_config(path: str | os.PathLike[str]) -> SearchConfig:
    """Read a configuration from a TOML file.

    Raises:
        ConfigError: no such file, no TOML, an unknown key (the message lists the known ones), or a wrong value.
        BudgetError: a budget that cannot be read.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error.strerror}. Give a TOML file.") from error
    except ValueError as error:  # of tomllib, or no UTF-8, or a number of too many digits
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error
    except RecursionError as error:
        raise ConfigError(f"{path} cannot be read: its arrays or tables are nested too deeply.") from error
    try:
        return _filled(SearchConfig, None, table, prefix="")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


_Record = typing.TypeVar("_Record")


def _filled(record: type[_Record], default: _Record | None, table: Mapping[str, Any], *, prefix: str) -> _Record:
    """`default`, or the record's own defaults, with the fields that the table names."""
    hints = typing.get_type_hints(record)
    fields = {field.name: field for field in dataclasses.fields(record)}  # type: ignore[arg-type]
    _require_known(table, list(fields), prefix=prefix)
    values: dict[str, Any] = {}
    for name, value in table.items():
        key, hint = f"{prefix}{name}", hints[name]
        if name == "search" and isinstance(value, Mapping):  # the strategy's own recipe where keys are left out
            own = search_recipe(table.get("strategy", "certified")) or _DEFAULT_TRAIN
            values[name] = _filled(Recipe, own, value, prefix=f"{key}.")
        elif not dataclasses.is_dataclass(hint):
            values[name] = _typed(hint, value, key=key)
        elif not isinstance(value, Mapping):
            raise ConfigError(f"`{key}` must be a table, written [{key}]; got {value!r}.")
        else:
            values[name] = _filled(typing.cast(type[Any], hint), fields[name].default, value, prefix=f"{key}.")
    for name, field in fields.items():
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if not has_default and name not in values:
            raise ConfigError(f"`{prefix}{name}` must be given.")
    try:
        return record(**values) if default is None else dataclasses.replace(default, **values)  # type: ignore[type-var]
    except HwnasError as error:
        raise (type(error)(f"in [{prefix.removesuffix('.')}], {error}") if prefix else error) from error


def _require_known(table: Mapping[str, Any], known: list[str], *, prefix: str) -> None:
    for name in table:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean `{prefix}{close[0]}`?" if close else ""
            raise ConfigError(f"Unknown key `{prefix}{name}`.{hint} Known here are {', '.join(sorted(known))}.")


def _typed(hint: Any, value: Any, *, key: str) -> Any:
    """The value as the type says, without conversions that guess: 3 is a float, "3" is no number."""
    try:
        return pydantic.TypeAdapter(hint).validate_json(json.dumps(value, default=str), strict=True)
    except pydantic.ValidationError as error:
        [*_, detail] = error.errors()
        where = "".join(f"[{part}]" for part in detail["loc"] if isinstance(part, int))
        reason = detail["msg"][0].lower() + detail["msg"][1:]
        raise ConfigError(f"`{key}{where}` is wrong: {reason}; got {value!r}.") from error
