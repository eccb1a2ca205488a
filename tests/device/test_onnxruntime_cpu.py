"""ONNX Runtime keeps the contract of runtimes."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from hwnas.device.onnxruntime_cpu import OnnxRuntime
from hwnas.errors import BadInputError, DeviceError
from hwnas.testing.runtime_contract import RuntimeContract


@pytest.fixture
def runtime():
    return OnnxRuntime()


class TestOnnxRuntime(RuntimeContract):
    @pytest.fixture
    def runtime(self):
        return OnnxRuntime()


class TestOnnxRuntimeTwoThreads(RuntimeContract):
    @pytest.fixture
    def runtime(self):
        return OnnxRuntime(threads=2)


def write_relu(path: Path, shape, *, kind=TensorProto.FLOAT, operator="Relu", domain=""):
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], domain=domain)],
        "relu",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
    )
    opsets = [helper.make_opsetid("", 18)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def test_settings_are_in_the_fingerprint():
    fingerprint = OnnxRuntime(threads=2, batch_size=8).fingerprint
    assert (fingerprint.threads, fingerprint.batch_size, fingerprint.precision) == (2, 8, "float32")


@pytest.mark.parametrize("name", ["threads", "batch_size"])
def test_counts_are_positive(name):
    with pytest.raises(BadInputError, match=rf"`{name}` must be a whole number of at least 1; got 0\."):
        OnnxRuntime(**{name: 0})


def test_threads_that_no_machine_has():
    with pytest.raises(BadInputError, match=r"`threads` must be a whole number of at most 1024; got 1000"):
        OnnxRuntime(threads=100_000_000_000)


def test_a_dynamic_batch_is_the_runtimes(tmp_path):
    OnnxRuntime(batch_size=4).prepare(write_relu(tmp_path / "a.onnx", ["N", 3])).run()


def test_another_dynamic_dimension_is_refused(runtime, tmp_path):
    path = write_relu(tmp_path / "a.onnx", [1, "H"])
    with pytest.raises(BadInputError, match=r"Dimension 1 \('H'\) of input 'x' .* is not fixed"):
        runtime.prepare(path)


def test_an_unknown_input_type_is_refused(runtime, tmp_path):
    path = write_relu(tmp_path / "a.onnx", [1], kind=TensorProto.STRING, operator="Identity")
    with pytest.raises(BadInputError, match=r"is a tensor\(string\); known are"):
        runtime.prepare(path)


def test_an_operator_the_device_lacks(runtime, tmp_path):
    path = write_relu(tmp_path / "a.onnx", [1], operator="Nonesuch", domain="my.own")
    with pytest.raises((DeviceError, BadInputError), match="Nonesuch"):
        runtime.prepare(path)


def test_inputs_of_the_wrong_shape(runtime, tmp_path):
    import numpy as np

    prepared = runtime.prepare(write_relu(tmp_path / "a.onnx", [1, 3]))
    with pytest.raises(DeviceError, match="failed while running"):
        prepared.outputs([np.zeros((2, 2), dtype=np.float32)])
