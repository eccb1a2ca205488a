"""What every runtime must do, as tests: subclass in a test file and give one fixture.

class TestMyRuntime(RuntimeContract):
    @pytest.fixture
    def runtime(self):
        return MyRuntime()
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hwnas.device import Runtime
from hwnas.errors import BadInputError, DeviceError, FingerprintError
from hwnas.measurement import Fingerprint

__all__ = ["RuntimeContract"]


class RuntimeContract:
    """Tests of the guarantees in the docstrings of `Runtime` and `Prepared`; needs the fixture `runtime`."""

    @pytest.fixture
    def model_path(self, tmp_path: Path) -> Path:
        """A sum of a 2x3 float tensor and a 2x3 integer one, and a copy of the former."""
        graph = helper.make_graph(
            [
                helper.make_node("Cast", ["b"], ["c"], to=TensorProto.FLOAT),
                helper.make_node("Add", ["a", "c"], ["sum"]),
                helper.make_node("Relu", ["a"], ["positive"]),
            ],
            "sum",
            [
                helper.make_tensor_value_info("a", TensorProto.FLOAT, [2, 3]),
                helper.make_tensor_value_info("b", TensorProto.INT64, [2, 3]),
            ],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("sum", "positive")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        path = tmp_path / "sum.onnx"
        onnx.save(model, path)
        return path

    def test_fingerprint_is_constant_and_complete(self, runtime: Runtime) -> None:
        """It names the device, the runtime and its version, and the same runtime is the same place."""
        fingerprint = runtime.fingerprint
        assert isinstance(fingerprint, Fingerprint)
        assert fingerprint.device
        assert fingerprint.runtime
        assert fingerprint.runtime_version
        assert fingerprint.threads >= 1
        assert fingerprint.batch_size >= 1
        runtime.fingerprint.require_same(fingerprint, what="the runtime")

    def test_other_protocol_is_another_fingerprint(self, runtime: Runtime) -> None:
        """Its fields take part in the comparison."""
        fields = runtime.fingerprint.to_json()
        other = Fingerprint(**{**fields, "protocol": runtime.fingerprint.protocol + 1})  # type: ignore[arg-type]
        with pytest.raises(FingerprintError, match="protocol"):
            runtime.fingerprint.require_same(other, what="the runtime")

    def test_runs_take_time_on_its_clock(self, runtime: Runtime, model_path: Path) -> None:
        """The clock never goes back, and runs move it."""
        runtime.begin("visit")
        prepared = runtime.prepare(model_path)
        times = [runtime.clock_ns()]
        for _ in range(100):
            prepared.run()
            times.append(runtime.clock_ns())
        assert times == sorted(times)
        assert times[-1] > times[0]

    def test_outputs_are_the_models(self, runtime: Runtime, model_path: Path) -> None:
        """In the order of the file, whatever ran before."""
        a = np.array([[1, -2, 3], [-4, 5, -6]], dtype=np.float32)
        b = np.array([[1, 1, 1], [2, 2, 2]], dtype=np.int64)
        prepared = runtime.prepare(model_path)
        prepared.run()
        total, positive = prepared.outputs([a, b])
        np.testing.assert_allclose(total, a + b)
        np.testing.assert_allclose(positive, np.maximum(a, 0))

    def test_two_models_at_once(self, runtime: Runtime, model_path: Path) -> None:
        """An item and the reference are prepared at the same time and run in turns."""
        one, other = runtime.prepare(model_path), runtime.prepare(model_path)
        for _ in range(3):
            one.run()
            other.run()

    def test_arithmetic_is_left_as_it_was(self, runtime: Runtime, model_path: Path) -> None:
        """Where denormals are flushed, that ends with the measurement: they are numbers again in this process."""
        before = np.float32(1e-40) * np.float32(1)
        runtime.begin("visit")
        prepared = runtime.prepare(model_path)
        prepared.run()
        prepared.outputs([np.ones((2, 3), dtype=np.float32), np.ones((2, 3), dtype=np.int64)])
        assert np.float32(1e-40) * np.float32(1) == before

    def test_wrong_number_of_inputs(self, runtime: Runtime, model_path: Path) -> None:
        """The device's refusal is a DeviceError."""
        with pytest.raises(DeviceError, match="takes 2 inputs; got 1"):
            runtime.prepare(model_path).outputs([np.zeros((2, 3), dtype=np.float32)])

    def test_missing_file(self, runtime: Runtime, tmp_path: Path) -> None:
        """Named, with the remedy."""
        with pytest.raises(BadInputError, match=r"There is no file .*missing\.onnx"):
            runtime.prepare(tmp_path / "missing.onnx")

    def test_foreign_file(self, runtime: Runtime, tmp_path: Path) -> None:
        """Not a crash of the device, but bad input."""
        path = tmp_path / "text.onnx"
        path.write_text("this is no ONNX file")
        with pytest.raises(BadInputError, match=r"text\.onnx is not an ONNX file"):
            runtime.prepare(path)
