"""Drift, noise, order and resuming, with a fake runtime whose latencies are known."""

import collections

import numpy as np
import pytest

from hwnas.device.noise import noise_of
from hwnas.device.session import RETEST, Item, measure_items
from hwnas.device.statistics import baseline_ms, summarise
from hwnas.errors import DeviceError
from hwnas.store import MeasurementStore
from hwnas.testing import FakeRuntime

LATENCIES = {f"item{index}": float(ms) for index, ms in enumerate(np.geomspace(0.2, 4.0, 20))}
REFERENCE_MS = 1.0


@pytest.fixture
def items(tmp_path):
    made = []
    for name in (*LATENCIES, "reference"):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(b"")
        made.append(Item(key=name, kind="block", path=path))
    return made


def fake(**settings):
    return FakeRuntime(LATENCIES | {"reference": REFERENCE_MS}, **settings)


def measured(items, path, runtime, *, rounds=3, seed=0, progress=None):
    with MeasurementStore(path) as store:
        measure_items(items[:-1], store, runtime, items[-1].path, rounds=rounds, seed=seed, progress=progress)
        return store.visits()


def errors(visits):
    """Relative errors of corrected and of plain medians, in units in which the reference's median is the baseline."""
    baseline = baseline_ms([visit for visit in visits if visit.round != RETEST])
    by_key = collections.defaultdict(list)
    for visit in visits:
        if visit.round != RETEST:
            by_key[visit.key].append(visit)
    corrected, plain = [], []
    for key, truth in LATENCIES.items():
        result = summarise(by_key[key], baseline)
        corrected.append(result.median_ms / (truth * baseline / REFERENCE_MS) - 1)
        plain.append(result.raw_median_ms / (truth * baseline / REFERENCE_MS) - 1)
    return np.abs(corrected), np.abs(plain)


@pytest.mark.parametrize("seed", range(3))
def test_common_drift_of_30_percent_is_corrected_to_1_percent(items, tmp_path, seed):
    runtime = fake(drift=0.3, period_ms=20_000, seed=seed)
    corrected, plain = errors(measured(items, tmp_path / "table.sqlite", runtime, seed=seed))
    assert corrected.max() < 0.01
    assert plain.max() > 0.05
    assert np.mean(plain > 0.01) > 0.5


def test_items_that_drift_apart_widen_the_noise_floor(items, tmp_path):
    common = noise_of(measured(items, tmp_path / "common.sqlite", fake(drift=0.3, period_ms=20_000)))
    assert common.floor < 0.015
    assert common.apart == 0
    memory_bound = list(LATENCIES)[::2]
    runtime = fake(drift=0.3, drift_apart=0.3, period_ms=20_000, memory_bound=memory_bound)
    apart = noise_of(measured(items, tmp_path / "apart.sqlite", runtime))
    assert apart.floor > 0.03
    assert apart.apart > 0.03


def test_the_order_is_random_in_every_round_and_follows_from_the_seed(items, tmp_path):
    orders = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        runtime = fake()
        measured(items, tmp_path / f"{name}.sqlite", runtime, rounds=2, seed=seed)
        orders[name] = [visit for visit in runtime.visits if not visit.startswith("reference")]
    assert orders["a"] == orders["b"] != orders["c"]
    first, second = orders["a"][:20], orders["a"][20:40]
    assert sorted(first) == sorted(f"{key}#0" for key in LATENCIES)
    assert [visit.split("#")[0] for visit in first] != [visit.split("#")[0] for visit in second]


def test_a_tenth_but_at_least_five_are_visited_again_later(items, tmp_path):
    runtime = fake()
    visits = measured(items, tmp_path / "table.sqlite", runtime, rounds=1)
    assert sum(visit.round == RETEST for visit in visits) == 5
    assert all(visit.endswith("#-1") for visit in runtime.visits[-5:])


def test_a_failure_keeps_what_was_finished_and_only_the_rest_is_measured(items, tmp_path):
    path = tmp_path / "table.sqlite"
    whole = measured(items, tmp_path / "whole.sqlite", fake(drift=0.3, replay=True))
    with pytest.raises(DeviceError, match="failed after 3000 runs"):
        measured(items, path, fake(drift=0.3, replay=True, fail_after_runs=3000))
    with MeasurementStore(path, write=False) as store:
        finished = {f"{visit.key}#{visit.round}" for visit in store.visits()}
    assert finished
    steps = []
    runtime = fake(drift=0.3, replay=True)
    resumed = measured(items, path, runtime, progress=steps.append)
    assert not finished & set(runtime.visits)
    assert [(visit.key, visit.round) for visit in resumed] == [(visit.key, visit.round) for visit in whole]
    for one, other in zip(resumed, whole, strict=True):
        assert one.samples_ms == pytest.approx(other.samples_ms, rel=1e-12)
    assert (steps[0].done, steps[-1].done, steps[-1].total) == (len(finished) + 1, 65, 65)


def test_a_refused_model_is_an_error(items, tmp_path):
    with pytest.raises(DeviceError, match=r"refuses .*item3\.onnx"):
        measured(items, tmp_path / "table.sqlite", fake(failing=["item3"]))


def test_more_rounds_later_add_to_what_is_there(items, tmp_path):
    path = tmp_path / "table.sqlite"
    measured(items, path, fake(), rounds=1)
    runtime = fake()
    visits = measured(items, path, runtime, rounds=2)
    assert len([visit for visit in runtime.visits if visit.endswith("#1")]) == 20 + 1  # and the reference's
    assert not [visit for visit in runtime.visits if visit.endswith("#0")]
    assert len({(visit.key, visit.round) for visit in visits if visit.round != RETEST}) == 40
