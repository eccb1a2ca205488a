"""Denormals are flushed while something is measured, in every thread that computes, and in this process not after."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from hwnas.device import Item, Timing
from hwnas.device.denormals import denormals_flushed
from hwnas.device.onnxruntime_cpu import OnnxRuntime
from hwnas.device.session import ready, visit_item
from hwnas.testing import FakeRuntime

SIZE = 200_000  # enough for ONNX Runtime to divide among its threads


def denormals_are_numbers():
    return bool(np.float32(1e-40) * np.float32(1) != 0) and bool(torch.tensor([1e-40]).mul(1).item() != 0)


def write_doubling(path):
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "doubling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, SIZE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, SIZE])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def test_within_the_block_and_in_threads_that_it_starts_alone():
    found = []
    assert denormals_are_numbers()
    with denormals_flushed():
        found.append(denormals_are_numbers())
        thread = threading.Thread(target=lambda: found.append(denormals_are_numbers()))
        thread.start()
        thread.join()
    assert found == [False, False]
    assert denormals_are_numbers()


def test_who_flushes_them_anyway_goes_on_so():
    torch.set_flush_denormal(True)
    try:
        with denormals_flushed():
            pass
        assert not denormals_are_numbers()
    finally:
        torch.set_flush_denormal(False)
    assert denormals_are_numbers()


def test_after_an_error_as_before():
    with pytest.raises(KeyError), denormals_flushed():
        raise KeyError
    assert denormals_are_numbers()


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_measured_computes_without_them(tmp_path, threads):
    prepared = OnnxRuntime(threads=threads).prepare(write_doubling(tmp_path / "doubling.onnx"))
    numbers = np.full((1, SIZE), 1e-40, dtype=np.float32)
    with denormals_flushed():
        [flushed] = prepared.outputs([numbers])
    assert (flushed == 0).all()
    assert denormals_are_numbers()


PROGRAM = """
import sys
from pathlib import Path

from hwnas.device import verify
from hwnas.device.onnxruntime_cpu import OnnxRuntime
from tests.device.test_denormals import denormals_are_numbers

assert denormals_are_numbers()
path = Path(sys.argv[1])
OnnxRuntime(threads=2).prepare(path).run()  # the first session of the process
assert denormals_are_numbers()
verify(path, OnnxRuntime(), limit_ms=1e3, rounds=2)
assert denormals_are_numbers()
"""


def test_a_process_that_has_measured_computes_with_them(tmp_path):
    path = write_doubling(tmp_path / "doubling.onnx")
    command = [sys.executable, "-c", PROGRAM, path]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Recording(FakeRuntime):
    """Notes at every run of a model whether denormals are numbers."""

    def prepare(self, path):
        prepared, run = super().prepare(path), super().prepare(path).run

        def noted():
            self.found.add(denormals_are_numbers())
            run()

        prepared.run = noted
        return prepared


def test_every_run_that_is_timed_is_without_them(tmp_path):
    runtime = Recording({"reference": 1.0, "doubling": 2.0})
    runtime.found = set()
    for name in ("reference", "doubling"):
        write_doubling(tmp_path / f"{name}.onnx")
    visit_item(
        Item(key="doubling", kind="block", path=tmp_path / "doubling.onnx"),
        0,
        runtime,
        ready(tmp_path / "reference.onnx", runtime, "reference#0"),
        Timing(),
    )
    assert runtime.found == {False}
    assert denormals_are_numbers()
