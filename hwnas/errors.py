"""Every error hwnas raises on purpose, and the exit code the command line gives it.

HwnasError                     1  a defect of ours, if it is raised as itself
├── BadInputError              2  something the user gave; the message names the remedy
│   ├── ArchitectureError         an architecture that the space does not allow
│   ├── BudgetError               a budget that cannot be read, or has no unit
│   ├── CheckpointError           a checkpoint that is truncated, foreign or of another run
│   ├── ConfigError               an unknown key or a wrong value in a configuration
│   ├── DataError                 data of the wrong shape, an empty class, a missing file
│   ├── ExportError               a module that cannot be exported
│   ├── FingerprintError          a table measured elsewhere
│   ├── MetricError               a metric that is missing, not finite or not a number
│   ├── MissingExtraError         a package that is not installed
│   ├── RunDirectoryError         a run directory of another configuration, or in use
│   ├── SpaceError                a space that cannot be: no choices, one label twice
│   ├── StoreError                a damaged, foreign or newer database
│   │   └── StoreInUseError       one that another process is writing
│   ├── StrategyError             a search that cannot be or go on
│   ├── TraceError                a module that cannot be traced, an operator nobody can count
│   └── TrainingError             training that diverged
├── InfeasibleError            3  no architecture keeps the budgets
└── DeviceError                4  the device failed
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "ArchitectureError",
    "BadInputError",
    "BudgetError",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "DeviceError",
    "ExportError",
    "FingerprintError",
    "HwnasError",
    "InfeasibleError",
    "MetricError",
    "MissingExtraError",
    "RunDirectoryError",
    "SpaceError",
    "StoreError",
    "StoreInUseError",
    "StrategyError",
    "TraceError",
    "TrainingError",
]


class HwnasError(Exception):
    """The root of all errors raised on purpose; `exit_code` is the command line's."""

    exit_code = 1


class BadInputError(HwnasError):
    """Something the user gave is wrong; the message names the rule, the value and the remedy."""

    exit_code = 2


class ArchitectureError(BadInputError):
    """An architecture, or a part of one, that the space does not allow."""


class BudgetError(BadInputError):
    """A budget that cannot be read, lacks its unit, or is on an unknown quantity."""


class CheckpointError(BadInputError):
    """A checkpoint that is truncated, foreign, or belongs to another run."""


class ConfigError(BadInputError):
    """A configuration with an unknown key or a value of the wrong kind."""


class DataError(BadInputError):
    """Data that are missing, of the wrong shape, or without an image in some class."""


class ExportError(BadInputError):
    """A module that the exporter refuses; the message names it."""


class FingerprintError(BadInputError):
    """Numbers taken elsewhere: the message names the field that differs."""


class MetricError(BadInputError):
    """A metric that is missing, not finite or not a number: the trial that gave it fails."""


class MissingExtraError(BadInputError):
    """An optional package that is not installed; the message names the extra."""


class RunDirectoryError(BadInputError):
    """A run directory that belongs to another configuration or is in use."""


class SpaceError(BadInputError):
    """A space that cannot be: without choices, or with one label for two lists of options."""


class StoreError(BadInputError):
    """A database that is damaged, of another program, or written by a newer hwnas."""


class StoreInUseError(StoreError):
    """A database that another process is writing; the message names its process id."""


class StrategyError(BadInputError):
    """A search that cannot be or go on: a space that a strategy does not take, or proposals, outcomes, filters or
    profilers with which it comes to nothing.
    """


class TraceError(BadInputError):
    """A module that cannot be traced, or an operator that nobody knows how to count."""


class TrainingError(BadInputError):
    """Training that diverged; the last good checkpoint is kept."""


class InfeasibleError(HwnasError):
    """No architecture of the space keeps the budgets.

    Attributes:
        least: for every budget that cannot be kept (alone, or together with the others), by the
            profiler's name, the least value that can be achieved while the other budgets hold; in
            the budget's unit. Empty where it is not known.
    """

    exit_code = 3

    def __init__(self, message: str, *, least: Mapping[str, float] | None = None) -> None:
        super().__init__(message)
        self.least: dict[str, float] = dict(least or {})


class DeviceError(HwnasError):
    """The device failed while preparing or running a model."""

    exit_code = 4
