import dataclasses
import zlib

import pytest

from hwnas.errors import FingerprintError, StoreError
from hwnas.store import MeasurementStore, TrialStore, Visit
from hwnas.testing import FakeRuntime

FINGERPRINT = FakeRuntime().fingerprint


def visit(key="a", number=0):
    return Visit(
        key=key, round=number, kind="block", samples_ms=(1.0, 1.1), references_ms=(2.0, 2.5), steady=(True, False)
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.sqlite"


def test_visits_come_back_sorted(path):
    visits = [visit("b", 1), visit("a", 0), visit("b", -1)]
    with MeasurementStore(path) as store:
        for one in visits:
            store.add(one)
    with MeasurementStore(path, write=False) as store:
        assert store.visits() == [visit("a", 0), visit("b", -1), visit("b", 1)]


def test_a_finished_visit_is_never_replaced(path):
    with MeasurementStore(path) as store:
        store.add(visit())
        with pytest.raises(StoreError, match="already has round 0 of a"):
            store.add(visit())


def test_another_fingerprint_is_refused_by_its_field(path):
    with MeasurementStore(path) as store:
        assert store.fingerprint is None
        store.bind(FINGERPRINT)
    with MeasurementStore(path) as store:
        store.bind(FINGERPRINT)
        assert store.fingerprint == FINGERPRINT
        with pytest.raises(FingerprintError, match="threads is 1 there and 4 here"):
            store.bind(dataclasses.replace(FINGERPRINT, threads=4))


def test_facts_and_models(path):
    with MeasurementStore(path) as store:
        assert store.fact("baseline_ms") is None
        assert store.model("reference") is None
        store.set_fact("baseline_ms", 1.25)
        store.set_model("reference", b"onnx" * 1000)
        assert store.fact("baseline_ms") == 1.25
        assert store.model("reference") == b"onnx" * 1000


@pytest.mark.parametrize(
    ("read", "text", "damage", "match"),
    [
        (MeasurementStore.visits, b"[1.0, 1.1]", b"[1.0, 1.1\x00", r"it has '\[1.0, 1.1\\x00' in the place of JSON"),
        (MeasurementStore.visits, b"[true, false]", b"[true, fals\x7f]", "in the place of JSON. It was left as it is"),
        (lambda store: store.fingerprint, b'"batch_size"', b'"batch_zize"', "'batch_zize': .* place of a fingerprint"),
        (lambda store: store.model("reference"), zlib.compress(b"onnx", 6), b"onnx", "place of a compressed model"),
    ],
)
def test_what_is_damaged_where_sqlite_does_not_notice(path, read, text, damage, match):
    with MeasurementStore(path) as store:
        store.bind(FINGERPRINT)
        store.add(visit())
        store.set_model("reference", b"onnx")
    content = path.read_bytes()
    assert content.count(text) == 1
    path.write_bytes(content.replace(text, damage.ljust(len(text))))
    for write in (False, True):
        with MeasurementStore(path, write=write) as store, pytest.raises(StoreError, match=match):
            read(store)


def test_a_store_of_trials_is_no_table(path):
    TrialStore(path).close()
    with pytest.raises(StoreError, match="not a table of measurements of hwnas"):
        MeasurementStore(path)
