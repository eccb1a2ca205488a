"""Devices by name: `connect("onnxruntime:cpu", threads=1)`."""

from __future__ import annotations

from collections.abc import Callable

from hwnas.device.runtime import Runtime
from hwnas.errors import BadInputError, MissingExtraError

__all__ = ["connect", "known_devices", "register_runtime"]

Factory = Callable[[int, int], Runtime]


def _onnxruntime_cpu(threads: int, batch_size: int) -> Runtime:
    from hwnas.device.onnxruntime_cpu import OnnxRuntime

    return OnnxRuntime(threads=threads, batch_size=batch_size)


_FACTORIES: dict[str, tuple[Factory, str]] = {"onnxruntime:cpu": (_onnxruntime_cpu, "onnxruntime")}


def register_runtime(name: str, factory: Factory, *, extra: str = "") -> None:
    """Make a runtime of one's own known to `connect` and so to the command line.

    Args:
        name: "runtime:device".
        factory: takes threads and batch size; imports its package only when it is called.
        extra: what to install when that import fails.

    Raises:
        BadInputError: the name is taken.
    """
    if name in _FACTORIES:
        raise BadInputError(f"A device named {name!r} is known already; register yours under another name.")
    _FACTORIES[name] = (factory, extra)


def known_devices() -> tuple[str, ...]:
    """The names that `connect` takes, sorted."""
    return tuple(sorted(_FACTORIES))


def connect(device: str, *, threads: int = 1, batch_size: int = 1) -> Runtime:
    """A device with its runtime and settings.

    Args:
        device: one of `known_devices()`.
        threads: how many threads a run uses.
        batch_size: how many images a run takes.

    Raises:
        BadInputError: no device of that name, or a count less than 1.
        MissingExtraError: the device's package is not installed; the message names what to install.
    """
    if device not in _FACTORIES:
        raise BadInputError(
            f"Unknown device {device!r}. Known are: {', '.join(known_devices())}. Latencies are measured, so a device "
            "of your own needs a runtime: make it known with hwnas.device.register_runtime."
        )
    factory, extra = _FACTORIES[device]
    try:
        return factory(threads, batch_size)
    except ImportError as error:
        raise MissingExtraError(
            f"The device {device!r} needs a package that is not installed ({error}). Install it: pip install {extra}"
        ) from error
