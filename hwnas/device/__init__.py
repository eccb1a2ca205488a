"""Devices: what they are, how long a network takes on them, and whether it keeps a limit.

runtime       the protocol; onnxruntime_cpu is one, `connect` finds one by name (registry)
machine       the words of a fingerprint that describe this machine
timing        one item beside the reference model, in slices that alternate
session       many items, in random order and several rounds, resumable
denormals     flushed while something is measured, and only then
statistics    from visits to medians, standard errors and (noise) the noise floor
measure       the latency table of a space (filling), calibrated on whole networks (calibration); batching: its inputs
verify        one exported file against a limit
agreement     the exported file against the module
"""

from hwnas.device.agreement import onnx_agrees, onnx_difference
from hwnas.device.batching import batched
from hwnas.device.calibration import calibrated
from hwnas.device.measure import measure, read_measurements, read_networks, read_table
from hwnas.device.registry import connect, known_devices, register_runtime
from hwnas.device.runtime import Prepared, Runtime
from hwnas.device.session import Item, Progress, Step, measure_items
from hwnas.device.timing import Timing
from hwnas.device.verify import Verification, verify

__all__ = [
    "Item",
    "Prepared",
    "Progress",
    "Runtime",
    "Step",
    "Timing",
    "Verification",
    "batched",
    "calibrated",
    "connect",
    "known_devices",
    "measure",
    "measure_items",
    "onnx_agrees",
    "onnx_difference",
    "read_measurements",
    "read_networks",
    "read_table",
    "register_runtime",
    "verify",
]
