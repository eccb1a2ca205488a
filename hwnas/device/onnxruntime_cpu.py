"""ONNX Runtime on this machine's CPU; the only file that imports onnxruntime."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from hwnas.arguments import whole_number
from hwnas.device.denormals import denormals_flushed
from hwnas.device.machine import processor_flags, processor_name
from hwnas.device.runtime import Array, example_array
from hwnas.errors import BadInputError, DeviceError
from hwnas.measurement import Fingerprint

__all__ = ["OnnxRuntime"]

_STATE = onnxruntime.capi.onnxruntime_pybind11_state
_NO_MODEL = (_STATE.InvalidProtobuf, _STATE.NoSuchFile, _STATE.InvalidGraph)
_ERRORS_ONLY = 3
_MAX_THREADS = 1024  # all are started with every session
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int8)": np.int8,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


class OnnxRuntime:
    """ONNX Runtime's CPU provider, one model at a time, graph optimisations as shipped.

    With several threads the pool stops spinning when a run ends: otherwise the reference model's threads would take
    the cores from the item that is measured next.

    Args:
        threads: of one operator; operators run one after another.
        batch_size: what networks and blocks are exported with, and what stands for a dynamic first dimension.

    Raises:
        ConfigError: a count is less than 1, or there are too many threads.
    """

    def __init__(self, *, threads: int = 1, batch_size: int = 1) -> None:
        threads = whole_number("threads", threads, at_least=1, at_most=_MAX_THREADS)
        batch_size = whole_number("batch_size", batch_size, at_least=1)
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.inter_op_num_threads = 1
        self._options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        self._options.log_severity_level = _ERRORS_ONLY
        self._options.add_session_config_entry("session.set_denormal_as_zero", "1")  # in threads of its own
        self._options.add_session_config_entry("session.force_spinning_stop", "1")
        self._fingerprint = Fingerprint(
            device="cpu",
            processor=processor_name(),
            processor_flags=processor_flags(),
            runtime="onnxruntime",
            runtime_version=onnxruntime.__version__,
            precision="float32",
            threads=threads,
            batch_size=batch_size,
            layout="NCHW",
        )

    @property
    def fingerprint(self) -> Fingerprint:
        """Where and how this runtime measures."""
        return self._fingerprint

    @denormals_flushed()  # the first session of a process sets the thread that makes it, and leaves it so
    def prepare(self, path: Path) -> PreparedSession:
        """Load an ONNX file and bind its inputs and outputs; see `Runtime.prepare`."""
        if not path.is_file():
            raise BadInputError(f"There is no file {path}. Give the path of an ONNX file.")
        try:
            session = onnxruntime.InferenceSession(path, self._options, providers=["CPUExecutionProvider"])
        except _NO_MODEL as error:
            raise BadInputError(f"{path} is not an ONNX file that can be read: {_first_line(error)}.") from error
        except Exception as error:  # the classes of onnxruntime's errors have no common base but this
            raise DeviceError(f"ONNX Runtime refuses {path}: {_first_line(error)}.") from error
        return PreparedSession(session, path, batch_size=self._fingerprint.batch_size)

    def begin(self, visit: str) -> None:
        """Nothing: a CPU neither rests nor plays a part."""

    def clock_ns(self) -> int:
        """`time.perf_counter_ns`."""
        return time.perf_counter_ns()


class PreparedSession:
    """A session with its inputs and outputs bound once, so that a run copies nothing."""

    def __init__(self, session: onnxruntime.InferenceSession, path: Path, *, batch_size: int) -> None:
        self._session = session
        self._path = path
        self._binding = session.io_binding()
        rng = np.random.default_rng(0)
        for node in session.get_inputs():
            array = example_array(_shape(node, path, batch_size), _dtype(node, path), rng)
            self._binding.bind_ortvalue_input(node.name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        for node in session.get_outputs():
            self._binding.bind_output(node.name)
        self.run()  # the first run allocates the outputs; they are bound for good
        values = self._binding.get_outputs()
        for node, value in zip(session.get_outputs(), values, strict=True):
            self._binding.bind_ortvalue_output(node.name, value)

    def run(self) -> None:
        """Run once; see `Prepared.run`."""
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:
            raise DeviceError(f"ONNX Runtime failed while running {self._path}: {_first_line(error)}.") from error

    def outputs(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs for these inputs; see `Prepared.outputs`."""
        nodes = self._session.get_inputs()
        if len(nodes) != len(inputs):
            raise DeviceError(f"{self._path} takes {len(nodes)} inputs; got {len(inputs)}.")
        try:
            feeds = {node.name: array for node, array in zip(nodes, inputs, strict=True)}
            return list(self._session.run(None, feeds))
        except Exception as error:
            raise DeviceError(f"ONNX Runtime failed while running {self._path}: {_first_line(error)}.") from error


def _shape(node: Any, path: Path, batch_size: int) -> list[int]:
    shape = [batch_size if axis == 0 and not isinstance(size, int) else size for axis, size in enumerate(node.shape)]
    for axis, size in enumerate(shape):
        if not isinstance(size, int):
            raise BadInputError(
                f"Dimension {axis} ({size!r}) of input {node.name!r} of {path} is not fixed. "
                "Export the model with fixed shapes; only the first dimension, the batch, may be dynamic."
            )
    return shape


def _dtype(node: Any, path: Path) -> np.dtype[Any]:
    if node.type not in _DTYPES:
        raise BadInputError(f"Input {node.name!r} of {path} is a {node.type}; known are {', '.join(sorted(_DTYPES))}.")
    return np.dtype(_DTYPES[node.type])


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip(".")
