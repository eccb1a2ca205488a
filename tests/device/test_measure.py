"""Filling a table: what is measured, what is kept, what is refused; with a fake and with the real runtime."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hwnas.cost import guarded_sum, latency_cost
from hwnas.device import connect, measure, read_measurements, read_networks, read_table
from hwnas.errors import BadInputError, ExportError, FingerprintError, StoreError, TraceError
from hwnas.nn import LayerChoice, ModelSpace
from hwnas.store import MeasurementStore
from hwnas.testing import FakeRuntime
from tests.device.tiny_space import tiny_space

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A finished table of the tiny space from a fake runtime, and where it lies."""
    path = tmp_path_factory.mktemp("filled") / "table.sqlite"
    space = tiny_space()
    return space, measure(space, FakeRuntime(drift=0.3), out=path, repeats=2, calibrate=4), path


def beside(filled, folder):
    """A path for a new table, with the files that the finished one has exported: exporting again takes long."""
    path = folder / "table.sqlite"
    shutil.copytree(f"{filled[2]}.onnx", f"{path}.onnx")
    return path


def test_every_block_is_in_the_table_with_its_error(filled):
    space, table, path = filled
    assert set(table.milliseconds) == {traced.block.key for traced in space.blocks()}
    assert all(value > 0 for value in table.milliseconds.values())
    assert all(0 < table.standard_errors_ms[key] < 0.02 * table.milliseconds[key] for key in table.milliseconds)
    assert 0 < table.noise_floor < 0.02
    assert table.fingerprint == FakeRuntime().fingerprint
    assert table.reference.startswith("network ")
    assert read_table(path) == table


def test_the_calibrated_sum_predicts_whole_networks(filled):
    """The fake's latencies are file sizes, which add up but for what each file has once."""
    space, table, path = filled
    assert table.calibration.num_networks == 4
    assert table.calibration.max_relative_error < 0.02
    cost = latency_cost(space.space, [traced.block for traced in space.blocks()], table)
    by_uid = {f"network {one.uid}": cost.value(one) for one in space.space.enumerate()}
    networks = [one for one in read_measurements(path) if one.key in by_uid]
    assert len(networks) == 4
    assert {f"network {one.uid}": measured for one, measured in read_networks(path)} == {n.key: n for n in networks}
    for one in networks:
        assert by_uid[one.key] == pytest.approx(one.median_ms, rel=0.02)


def test_raw_and_corrected_are_both_kept(filled):
    _, table, path = filled
    measurements = {one.key: one for one in read_measurements(path)}
    for key, value in table.milliseconds.items():
        assert measurements[key].median_ms == value
        assert measurements[key].raw_median_ms != value
        assert measurements[key].num_rounds == 2


def test_the_same_call_again_measures_nothing(filled):
    space, table, path = filled
    runtime = FakeRuntime(drift=0.3)
    assert measure(space, runtime, out=path, repeats=2, calibrate=4) == table
    assert runtime.visits == []


def test_the_baseline_is_that_of_the_session_that_filled_the_table(filled, tmp_path):
    space, table, path = filled
    copy = beside(filled, tmp_path)
    copy.write_bytes(path.read_bytes())
    slower = FakeRuntime(lambda path: 2 * (0.01 + path.stat().st_size / 2**20))
    again = measure(space, slower, out=copy, repeats=3, calibrate=4)
    assert slower.visits
    assert again.baseline_ms == table.baseline_ms


def test_killed_at_random_moments_and_resumed_it_equals_the_uninterrupted_run(filled, tmp_path):
    def run(num_runs):
        began = tmp_path / "began.txt"
        began.write_text("")
        arguments = [str(path), str(num_runs), str(began)]
        code = subprocess.run(
            [sys.executable, "-m", "tests.device.killed_measure", *arguments],
            check=False,
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        ).returncode
        return code, set(began.read_text().split("\n"))

    path = beside(filled, tmp_path)
    whole_path = beside(filled, tmp_path / "whole")
    whole = measure(tiny_space(), FakeRuntime(drift=0.3, replay=True), out=whole_path, repeats=2, calibrate=4)
    rng = np.random.default_rng(0)
    num_kills = 3 if not os.environ.get("HWNAS_TEST_ALL") else 20
    for kill in range(num_kills):
        finished = set()
        if path.exists():
            with MeasurementStore(path, write=False) as store:
                finished = {f"{visit.key}#{visit.round}" for visit in store.visits()}
        code, began = run(int(rng.integers(1, 2500)))
        assert code == -9, f"kill {kill} came too late"
        assert not finished & began
    assert run(-1)[0] == 0
    assert read_table(path).to_json() == whole.to_json()


def test_another_fingerprint_is_refused(filled):
    space, _, path = filled
    with pytest.raises(FingerprintError, match="batch_size is 1 there and 8 here"):
        measure(space, FakeRuntime(batch_size=8), out=path)


def test_an_unfinished_table_says_so(tmp_path):
    path = tmp_path / "table.sqlite"
    MeasurementStore(path).close()
    with pytest.raises(StoreError, match="is not finished"):
        read_table(path)
    with pytest.raises(StoreError, match="is not finished"):
        read_measurements(path)


@pytest.mark.parametrize(("name", "value"), [("repeats", 0), ("calibrate", 2), ("calibrate", -1)])
def test_counts(name, value):
    with pytest.raises(BadInputError, match=f"`{name}` must be .*; got {value}"):
        measure(tiny_space(), FakeRuntime(), **{name: value})


def test_without_out_and_calibration():
    table = measure(tiny_space(), FakeRuntime(), repeats=1, calibrate=0)
    assert table.calibration is None
    assert table.noise_floor > 0


def test_items_that_drift_apart_are_told(filled, tmp_path):
    space, path = filled[0], beside(filled, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none on a quiet machine
        measure(space, FakeRuntime(), out=path, repeats=2, calibrate=0)
    path.unlink()
    blocks = [file.stem for file in Path(f"{path}.onnx").iterdir() if file.stem != "reference"]
    busy = FakeRuntime(drift_apart=0.5, memory_bound=blocks, period_ms=3000)
    with pytest.warns(UserWarning, match=r"drifted apart from the reference model by .*%.*noise floor is widened"):
        table = measure(space, busy, out=path, repeats=3, calibrate=0)
    assert table.noise_floor > 0.03


def test_the_batch_is_the_runtimes(tmp_path):
    import onnx

    path = tmp_path / "table.sqlite"
    space = tiny_space()
    table = measure(space, FakeRuntime(batch_size=3), out=path, repeats=1, calibrate=0)
    assert set(table.milliseconds) == {traced.block.key for traced in space.blocks()}
    sizes = {
        onnx.load(file).graph.input[0].type.tensor_type.shape.dim[0].dim_value
        for file in (tmp_path / "table.sqlite.onnx").iterdir()
    }
    assert sizes == {3}


class DependsOnBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.choice = LayerChoice([nn.Linear(4, 4), nn.Identity()])
        self.more = nn.Linear(4, 4)

    def forward(self, x):
        x = self.choice(x)
        return self.more(x).relu() if len(x) > 1 else x


def test_a_network_that_depends_on_the_batch_is_refused():
    with pytest.raises(TraceError, match="other blocks at batch size 2"):
        measure(ModelSpace(DependsOnBatch(), torch.zeros(1, 4)), FakeRuntime(batch_size=2), calibrate=0)


class NoOnnx(nn.Module):
    def forward(self, x):
        return torch.linalg.eigvals(x).real


def test_a_block_that_cannot_be_exported_is_named():
    space = ModelSpace(nn.Sequential(LayerChoice([nn.Identity(), NoOnnx()])), torch.zeros(1, 4, 4))
    with pytest.raises((ExportError, TraceError), match=r"NoOnnx|linalg"):
        measure(space, FakeRuntime(), calibrate=0)


def test_weights_on_the_meta_device_are_made_up(tmp_path):
    with torch.device("meta"):
        net = nn.Sequential(LayerChoice([nn.Linear(8, 8), nn.Linear(8, 8, bias=False)]), nn.BatchNorm1d(8))
    space = ModelSpace(net, torch.zeros(2, 8))
    assert measure(space, FakeRuntime(batch_size=2), repeats=1, calibrate=0).milliseconds


def test_the_real_runtime(filled, tmp_path):
    space, path = filled[0], beside(filled, tmp_path)
    runtime = connect("onnxruntime:cpu")
    table = measure(space, runtime, out=path, repeats=1, calibrate=3)
    blocks = [traced.block for traced in space.blocks()]
    num_blocks = guarded_sum(space.space, ((block.guard, 1) for block in blocks))
    assert num_blocks.minimum().value == num_blocks.maximum().value == 4
    assert all(value > 0 for value in table.milliseconds.values())
    assert table.fingerprint == runtime.fingerprint
    assert table.calibration.slope > 0
    assert measure(space, runtime, out=path, repeats=1, calibrate=3) == table
