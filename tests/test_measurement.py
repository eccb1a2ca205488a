import dataclasses
import json

import pytest

from hwnas.errors import FingerprintError
from hwnas.measurement import PROTOCOL_VERSION, Fingerprint, Measurement
from tests.fingerprints import FINGERPRINT


def test_json_round_trip():
    back = Fingerprint(**json.loads(json.dumps(FINGERPRINT.to_json())))
    assert back == FINGERPRINT
    assert back.uid == FINGERPRINT.uid
    assert FINGERPRINT.to_json()["protocol"] == PROTOCOL_VERSION


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Fingerprint)])
def test_every_field_counts(name):
    value = getattr(FINGERPRINT, name)
    other = dataclasses.replace(FINGERPRINT, **{name: value + 1 if isinstance(value, int) else value + "x"})
    assert other.uid != FINGERPRINT.uid
    assert dict(FINGERPRINT.differences(other)) == {name: (value, getattr(other, name))}
    with pytest.raises(FingerprintError, match=rf"The table t was measured under another fingerprint: {name} is "):
        FINGERPRINT.require_same(other, what="The table t")


def test_the_same_is_accepted():
    FINGERPRINT.require_same(dataclasses.replace(FINGERPRINT), what="the table")
    assert FINGERPRINT.differences(FINGERPRINT) == {}


def test_the_message_names_every_field_and_the_remedy():
    other = dataclasses.replace(FINGERPRINT, threads=2, layout="NHWC")
    with pytest.raises(FingerprintError, match=r"threads is 1 there and 2 here, layout is 'NCHW' .*Measure again with"):
        FINGERPRINT.require_same(other, what="the table")


def test_measurement_is_a_frozen_record():
    measurement = Measurement(
        key="k",
        median_ms=1.0,
        raw_median_ms=1.1,
        p10_ms=0.9,
        p90_ms=1.2,
        mad_ms=0.05,
        standard_error_ms=0.01,
        num_samples=100,
        num_rounds=5,
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        measurement.median_ms = 2.0
