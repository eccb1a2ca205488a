import dataclasses

import pytest

from hwnas.device import Verification, measure, verify
from hwnas.errors import BadInputError, FingerprintError, StoreError
from hwnas.store import MeasurementStore
from hwnas.testing import FakeRuntime
from tests.device.tiny_space import tiny_space


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("verify") / "table.sqlite"
    measure(tiny_space(), FakeRuntime(drift=0.4, period_ms=20_000), out=path, repeats=2, calibrate=0)
    return path


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "network.onnx"
    path.write_bytes(b"")
    return path


def fake(reference_ms, network_ms=5.0, **settings):
    return FakeRuntime({"reference": reference_ms, "network": network_ms}, **settings)


@pytest.mark.parametrize("slower", [1.0, 1.4])
def test_corrected_by_the_tables_baseline(table, network, slower):
    """However slow the machine is now, the network takes what it would have taken in the table's session."""
    runtime = fake(2.0 * slower, 5.0 * slower, drift=0.4, period_ms=5_000)
    result = verify(network, runtime, 10.0, table=table)
    assert result.corrected_ms == pytest.approx(2.5 * result.baseline_ms, rel=0.01)
    assert result.lower_ms < result.corrected_ms < result.upper_ms
    assert result.upper_ms / result.lower_ms < 1.05
    assert result.raw_ms > 5.0 * slower
    assert result.rounds == 7
    assert result.fingerprint == runtime.fingerprint


def test_without_a_table_the_baseline_is_the_sessions(network):
    result = verify(network, fake(2.0, drift=0.3), 10.0)
    assert result.baseline_ms == result.reference_ms
    assert result.corrected_ms == pytest.approx(result.raw_ms, rel=0.05)


def test_an_accepted_network_passes_again_and_again(table, network):
    """Accepted at the very edge of the limit, the final verification still passes nine times of ten."""
    passed = 0
    for seed in range(20):
        candidate = verify(network, fake(2.0, seed=seed, drift=0.4, period_ms=5_000), 10.0, table=table)
        limit = candidate.upper_ms
        assert dataclasses.replace(candidate, limit_ms=limit).accepted
        passed += verify(network, fake(2.0, seed=1000 + seed, drift=0.4, period_ms=2_000), limit, table=table).passed
    assert passed >= 18


def test_the_bounds_hold_the_truth(table, network):
    """95 % bounds, 40 sessions: fewer than 33 holding it would happen once in 10,000 times (binomial)."""
    held = 0
    for seed in range(40):
        result = verify(network, fake(2.0, seed=seed, noise=0.1), 10.0, table=table, rounds=5)
        held += result.lower_ms <= 2.5 * result.baseline_ms <= result.upper_ms
    assert held >= 33


def test_accepted_and_passed():
    result = Verification(
        raw_ms=5, corrected_ms=5, lower_ms=4.9, upper_ms=5.1, limit_ms=5.05, baseline_ms=1, reference_ms=1,
        fingerprint=FakeRuntime().fingerprint, rounds=7,
    )  # fmt: skip
    assert result.passed
    assert not result.accepted
    assert dataclasses.replace(result, limit_ms=5.1).accepted
    assert not dataclasses.replace(result, limit_ms=4.99).passed


@pytest.mark.parametrize("limit_ms", [0.0, -1.0, float("nan"), float("inf")])
def test_the_limit_is_positive(network, limit_ms):
    with pytest.raises(BadInputError, match="limit must be a positive number"):
        verify(network, fake(1.0), limit_ms)


def test_the_number_of_rounds(network):
    with pytest.raises(BadInputError, match="`rounds` must be at least 2"):
        verify(network, fake(1.0), 1.0, rounds=1)


def test_another_fingerprint_is_refused(table, network):
    with pytest.raises(FingerprintError, match="batch_size is 1 there and 2 here"):
        verify(network, fake(1.0, batch_size=2), 1.0, table=table)


def test_an_unfinished_table_is_refused(tmp_path, network):
    path = tmp_path / "table.sqlite"
    MeasurementStore(path).close()
    with pytest.raises(StoreError, match="is not finished"):
        verify(network, fake(1.0), 1.0, table=path)
    with pytest.raises(StoreError, match="does not exist"):
        verify(network, fake(1.0), 1.0, table=tmp_path / "missing.sqlite")


def test_a_missing_network(tmp_path):
    with pytest.raises(BadInputError, match="There is no file"):
        verify(tmp_path / "network.onnx", fake(1.0), 1.0)
