"""Runtimes, timing, filling tables, calibration, verifying."""

from hwnas.device.registry import connect, known_devices, register_runtime
from hwnas.device.runtime import Prepared, Runtime

__all__ = ["Prepared", "Runtime", "connect", "known_devices", "register_runtime"]
