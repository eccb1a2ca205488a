"""Executors by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hwnas.errors import ConfigError
from hwnas.experiment.executor import Executor
from hwnas.experiment.inline import InlineExecutor

__all__ = ["EXECUTORS", "make_executor"]


def _inline(num_slots: int) -> Executor:
    if num_slots > 1:
        raise ConfigError(
            f'In line one trial runs at a time; got concurrency={num_slots}. Set executor="processes" for several.'
        )
    return InlineExecutor()


EXECUTORS: Mapping[str, Callable[[int], Executor]] = MappingProxyType({"inline": _inline})
"""From a name to what makes the executor for a number of trials at a time."""


def make_executor(executor: Executor | str, concurrency: int | None) -> Executor:
    """An executor for `concurrency` trials at a time.

    Args:
        executor: a name of `EXECUTORS`, or an executor, which is taken as it is.
        concurrency: None: one, or as many as the given executor has slots.

    Raises:
        ConfigError: an unknown name, or a concurrency below 1 or above what the executor can do.
    """
    if concurrency is not None and (not isinstance(concurrency, int) or concurrency < 1):
        raise ConfigError(f"`concurrency` must be a whole number of at least 1; got {concurrency!r}.")
    if not isinstance(executor, str):
        if concurrency is not None and concurrency > executor.num_slots:
            raise ConfigError(
                f"`concurrency` must be at most the executor's number of slots, {executor.num_slots}; got "
                f"{concurrency}. Make the executor larger."
            )
        return executor
    if executor not in EXECUTORS:
        raise ConfigError(f"Unknown executor {executor!r}; known are {', '.join(sorted(EXECUTORS))}.")
    return EXECUTORS[executor](concurrency or 1)
