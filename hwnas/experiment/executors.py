"""Executors by name."""

from __future__ import annotations

from pathlib import Path

from hwnas.arguments import whole_number
from hwnas.errors import ConfigError
from hwnas.experiment.executor import Executor
from hwnas.experiment.inline import InlineExecutor
from hwnas.experiment.process_pool import ProcessPool
from hwnas.experiment.ray_executor import RayExecutor

__all__ = ["EXECUTORS", "check_executor", "make_executor"]

EXECUTORS = ("inline", "processes", "ray")
"""Their names."""

_PROTOCOL = ("num_slots", "start", "submit", "wait", "close")


def check_executor(executor: Executor | str) -> None:
    """Refuse what no trial can be run by.

    Raises:
        ConfigError: an unknown name, or an object that is no executor.
    """
    if isinstance(executor, str):
        if executor not in EXECUTORS:
            raise ConfigError(f"Unknown executor {executor!r}; known are {', '.join(EXECUTORS)}.")
    elif isinstance(executor, type) or not all(hasattr(executor, name) for name in _PROTOCOL):
        raise ConfigError(
            f"`executor` must be {', '.join(map(repr, EXECUTORS))}, or an executor, such as ProcessPool(4); got "
            f"{executor!r:.80}."
        )


def make_executor(
    executor: Executor | str, concurrency: int | None, *, log_folder: Path | None = None, address: str | None = None
) -> Executor:
    """An executor for `concurrency` trials at a time.

    Args:
        executor: one of `EXECUTORS`, or an executor, which is taken as it is.
        concurrency: None: one, or as many as the given executor has slots.
        log_folder: where workers of "processes" write what trials print; None: nowhere.
        address: of the cluster for "ray", as of `RayExecutor`.

    Raises:
        ConfigError: what `check_executor` refuses, a concurrency below 1 or above what the executor can do, or an
            address for another executor than "ray".
    """
    check_executor(executor)
    if concurrency is not None:
        concurrency = whole_number("concurrency", concurrency, at_least=1)
    if address is not None and executor != "ray":
        raise ConfigError(f'`address` is of a cluster, for executor="ray"; got {address!r} for {executor!r}.')
    if not isinstance(executor, str):
        if concurrency is not None and concurrency > executor.num_slots:
            raise ConfigError(
                f"`concurrency` must be at most the executor's number of slots, {executor.num_slots}; got "
                f"{concurrency}. Make the executor larger."
            )
        return executor
    num_slots = concurrency or 1
    if executor == "inline":
        if num_slots > 1:
            raise ConfigError(
                f'In line one trial runs at a time; got concurrency={num_slots}. Set executor="processes" for several.'
            )
        return InlineExecutor()
    if executor == "processes":
        return ProcessPool(num_slots, log_folder=log_folder)
    return RayExecutor(num_slots, address=address)
