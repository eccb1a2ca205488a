"""The fake keeps the contract of runtimes, and its latencies are what was asked for."""

import numpy as np
import pytest

from hwnas.errors import BadInputError, DeviceError
from hwnas.testing import FakeRuntime
from hwnas.testing.fake_runtime import latency_by_size
from hwnas.testing.runtime_contract import RuntimeContract


class TestFakeRuntime(RuntimeContract):
    @pytest.fixture
    def runtime(self):
        return FakeRuntime()


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"")
    return path


def times_ms(runtime, path, num_runs):
    prepared = runtime.prepare(path)
    times = [runtime.clock_ns()]
    for _ in range(num_runs):
        prepared.run()
        times.append(runtime.clock_ns())
    return np.diff(times) / 1e6


def test_without_noise_a_run_takes_the_latency(model):
    np.testing.assert_allclose(times_ms(FakeRuntime({"a": 2.0}, noise=0.0), model, 5), 2.0)


def test_noise_and_drift_have_the_size_asked_for(model):
    noisy = np.log(times_ms(FakeRuntime({"a": 1.0}, noise=0.03), model, 4000))
    assert np.std(noisy) == pytest.approx(0.03, rel=0.1)
    drifting = times_ms(FakeRuntime({"a": 10.0}, noise=0.0, drift=0.3, period_ms=1000), model, 300)
    assert drifting.min() == pytest.approx(10.0, rel=1e-3)
    assert drifting.max() == pytest.approx(13.0, rel=1e-3)


def test_only_memory_bound_models_drift_apart(model):
    runtime = FakeRuntime({"a": 10.0}, noise=0.0, drift_apart=0.2, period_ms=1000)
    assert np.ptp(times_ms(runtime, model, 300)) == 0
    runtime = FakeRuntime({"a": 10.0}, noise=0.0, drift_apart=0.2, period_ms=1000, memory_bound=["a"])
    assert np.ptp(times_ms(runtime, model, 300)) == pytest.approx(2.0, rel=1e-2)


def test_replay_repeats_a_visit_whatever_ran_before(model):
    first = FakeRuntime({"a": 1.0}, drift=0.3, replay=True)
    first.begin("visit")
    expected = times_ms(first, model, 20)
    second = FakeRuntime({"a": 1.0}, drift=0.3, replay=True)
    times_ms(second, model, 7)
    second.begin("visit")
    np.testing.assert_allclose(times_ms(second, model, 20), expected, rtol=1e-12)
    second.begin("another visit")
    assert not np.allclose(times_ms(second, model, 20), expected)


def test_latency_by_size(tmp_path):
    path = tmp_path / "b.onnx"
    path.write_bytes(bytes(2048))
    assert latency_by_size(path) == pytest.approx(0.012)


def test_fails_as_told(model):
    with pytest.raises(DeviceError, match="refuses"):
        FakeRuntime({"a": 1.0}, failing=["a"]).prepare(model)
    with pytest.raises(DeviceError, match="failed after 3 runs"):
        times_ms(FakeRuntime({"a": 1.0}, fail_after_runs=3), model, 5)


def test_unknown_model_is_never_zero(model):
    with pytest.raises(BadInputError, match="knows no latency of 'a'"):
        FakeRuntime({"b": 1.0}).prepare(model)
