import json

import pytest

from hwnas.cost import Calibration, LatencyTable
from hwnas.errors import BadInputError
from tests.fingerprints import FINGERPRINT

CALIBRATION = Calibration(intercept_ms=0.1, slope=0.9, r2=0.99, max_relative_error=0.03, num_networks=20)


def table(**changes):
    fields = {
        "milliseconds": {"one": 1.25, "two": 0.0},
        "standard_errors_ms": {"one": 0.01, "two": 0.0},
        "fingerprint": FINGERPRINT,
        "baseline_ms": 3.5,
        "reference": "reference-v1",
        "noise_floor": 0.02,
        "calibration": CALIBRATION,
    }
    return LatencyTable(**{**fields, **changes})


@pytest.mark.parametrize("calibration", [None, CALIBRATION])
def test_json_round_trip(calibration):
    record = table(calibration=calibration)
    assert LatencyTable.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_latency_of_a_block():
    assert table().latency_ms("one") == 1.25
    with pytest.raises(
        BadInputError, match=r"Block 'three' is not in the latency table of onnxruntime:cpu. Measure again"
    ):
        table().latency_ms("three")


def test_read_only():
    with pytest.raises(TypeError, match=r"does not support item assignment"):
        table().milliseconds["one"] = 2.0


def test_every_block_has_both_numbers():
    with pytest.raises(BadInputError, match=r"a latency and a standard error; \['two'\] have one only"):
        table(standard_errors_ms={"one": 0.01})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"milliseconds": {"one": -1.0, "two": 0.0}}, "the latency of 'one' must be finite and at least 0; got -1.0"),
        ({"milliseconds": {"one": float("nan"), "two": 0.0}}, "the latency of 'one' must be finite"),
        ({"standard_errors_ms": {"one": 0.0, "two": float("inf")}}, "the standard error of 'two' must be finite"),
        ({"noise_floor": -0.1}, "noise_floor must be finite and at least 0; got -0.1"),
        ({"baseline_ms": float("nan")}, "baseline_ms must be finite and at least 0; got nan"),
        ({"baseline_ms": 0.0}, "baseline_ms must be positive; got 0"),
    ],
)
def test_numbers(changes, message):
    with pytest.raises(BadInputError, match=message):
        table(**changes)


@pytest.mark.parametrize("changes", [{"slope": 0.0}, {"slope": -1.0}, {"r2": float("nan")}])
def test_calibration(changes):
    fields = {"intercept_ms": 0.1, "slope": 0.9, "r2": 0.99, "max_relative_error": 0.03, "num_networks": 20}
    with pytest.raises(BadInputError, match=r"calibration must be finite with a positive slope; got .* Measure more"):
        Calibration(**{**fields, **changes})


def test_foreign_json():
    value = table().to_json()
    for changed, message in [
        (None, "not a latency table: the whole: "),
        ({key: value[key] for key in value if key != "reference"}, "not a latency table: reference: Field required"),
        ({**value, "more": 1}, "not a latency table: more: Unexpected keyword argument"),
        (
            {**value, "milliseconds": {"one": "fast"}},
            "not a latency table: milliseconds.one: Input should be a valid num",
        ),
        ({**value, "fingerprint": {}}, "fingerprint.device: Field required"),
        ({**value, "calibration": {**value["calibration"], "b": 1}}, "calibration.b: Unexpected keyword"),
    ]:
        with pytest.raises(BadInputError, match=message):
            LatencyTable.from_json(changed)
