import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hwnas.cost import (
    STANDARD_UNITS,
    Budget,
    BudgetRequest,
    CostTable,
    LatencyTable,
    MaxTable,
    keeps_all,
    parse_budget,
    relative_excess,
    rows_within,
)
from hwnas.errors import ArchitectureError, BudgetError
from hwnas.space import Choice, Space
from tests.fingerprints import FINGERPRINT

SPACE = Space([Choice("kernel", (3, 5, 7))])
LATENCY = CostTable.from_options(SPACE, {"kernel": {3: 1.0, 5: 2.0, 7: 3.0}}, unit="ms")


def test_holds_up_to_and_at_the_limit():
    budget = Budget("latency", 2.0, "ms", LATENCY)
    assert [budget.holds({"kernel": kernel}) for kernel in (3, 5, 7)] == [True, True, False]
    assert Budget("latency", 2.0, "ms", MaxTable([LATENCY])).holds({"kernel": 5})
    assert str(budget) == "latency <= 2 ms"


def test_a_budget_from_measurements_is_a_key():
    table = LatencyTable(
        milliseconds={"block": 1.0},
        standard_errors_ms={"block": 0.0},
        fingerprint=FINGERPRINT,
        baseline_ms=1.0,
        reference="reference-v1",
        noise_floor=0.02,
    )
    measured = Budget("latency", 2.0, "ms", LATENCY, table)
    assert {measured: "first", Budget("latency", 2.0, "ms", LATENCY, table): "same"} == {measured: "same"}
    assert measured != Budget("latency", 2.0, "ms", LATENCY)


def test_holds_validates():
    with pytest.raises(ArchitectureError, match="Choice 'kernel' has no option 9"):
        Budget("latency", 2.0, "ms", LATENCY).holds({"kernel": 9})


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), "5", True])
def test_limit_is_finite(limit):
    with pytest.raises(BudgetError, match="limit on latency must be a finite number, in ms; got"):
        Budget("latency", limit, "ms", LATENCY)


@pytest.mark.parametrize("limit", [2, np.float32(2), np.array(2.0)])
def test_limit_is_a_plain_float(limit):
    budget = Budget("latency", limit, "ms", LATENCY)
    assert type(budget.limit) is float
    assert budget == Budget("latency", 2.0, "ms", LATENCY)


def test_all_budgets():
    two, three = (Budget("latency", limit, "ms", LATENCY) for limit in (2.0, 3.0))
    assert [keeps_all({"kernel": kernel}, [three, two]) for kernel in (3, 5, 7)] == [True, True, False]
    assert keeps_all({"kernel": 7}, [])
    assert rows_within([[0], [1], [2]], [three, two]).tolist() == [True, True, False]
    assert rows_within(SPACE.enumerate_codes(), []).tolist() == [True, True, True]


@pytest.mark.parametrize(
    ("value", "limit", "excess"),
    [(3.0, 2.0, 0.5), (2.0, 2.0, 0.0), (1.0, 2.0, -0.5), (-8.0, -10.0, 0.2), (3.0, 0.0, 3.0)],
)
def test_excess_is_a_share_of_the_limit(value, limit, excess):
    assert relative_excess(value, limit) == excess


def test_one_unit():
    with pytest.raises(BudgetError, match="limit on latency is in 's' but its cost in 'ms'; convert one"):
        Budget("latency", 2.0, "s", LATENCY)


@pytest.mark.parametrize(
    ("text", "profiler", "value"),
    [
        ("latency<=5ms", "latency", 5.0),
        ("latency<=250us", "latency", 0.25),
        ("latency<=250µs", "latency", 0.25),
        ("latency<=250\N{GREEK SMALL LETTER MU}s", "latency", 0.25),
        ("latency<=0.1s", "latency", 100.0),
        ("latency<=500ns", "latency", 0.0005),
        (" Latency  <= 5 ms ", "latency", 5.0),
        ("LATENCY<=5e0ms", "latency", 5.0),
        ("params<=4M", "params", 4e6),
        ("params <= 4 M params", "params", 4e6),
        ("macs <= 12 MACs", "macs", 12.0),
        ("params<=4.1M", "params", 4_100_000.0),  # 4.1 * 1e6 is 4099999.9999999995
        ("params<=4000000", "params", 4e6),
        ("params<=.5k", "params", 500.0),
        ("macs<=300M", "macs", 3e8),
        ("macs<=1.5G", "macs", 1.5e9),
        ("memory<=8MB", "memory", 8e6),
        ("memory<=8 M", "memory", 8e6),
        ("memory<=8MiB", "memory", 8 * 2**20),
        ("memory<=8KiB", "memory", 8192.0),
        ("memory<=8kB", "memory", 8000.0),
        ("size<=16MB", "size", 16e6),
        ("size<=2GiB", "size", 2.0**31),
        ("size<=100B", "size", 100.0),
    ],
)
def test_absolute(text, profiler, value):
    expected = BudgetRequest(profiler=profiler, value=value, unit=STANDARD_UNITS[profiler], relative=False)
    assert parse_budget(text) == expected
    assert expected.limit(7.0) == value


@pytest.mark.parametrize("profiler", STANDARD_UNITS)
def test_relative(profiler):
    request = parse_budget(f"{profiler}<=60 %")
    assert (request.value, request.relative, request.unit) == (0.6, True, STANDARD_UNITS[profiler])
    assert request.limit(500.0) == 300.0


@given(
    st.sampled_from(sorted(STANDARD_UNITS)),
    st.floats(min_value=1e-9, max_value=1e15),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_str_is_read_back(profiler, value, relative):
    request = BudgetRequest(profiler=profiler, value=value, unit=STANDARD_UNITS[profiler], relative=relative)
    assert parse_budget(str(request)) == request


def test_str():
    assert str(parse_budget("macs<=60%")) == "macs<=60%"
    assert str(parse_budget("params <= 4M")) == "params<=4000000"
    assert str(parse_budget("size<=16MB")) == "size<=16000000B"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must read profiler<=limit, as in latency<=5ms; got ''"),
        ("latency", "must read profiler<=limit"),
        ("latency 5ms", "must read profiler<=limit"),
        ("<=5ms", "must read profiler<=limit"),
        (5, "must read profiler<=limit, as in latency<=5ms; got 5"),
        (None, "must read profiler<=limit"),
        ("latency<5ms", "must be an upper bound, written <=; got '<' in 'latency<5ms'"),
        ("latency>=5ms", "written <=; got '>='"),
        ("latency=5ms", "written <=; got '='"),
        ("latency==5ms", "written <=; got '=='"),
        ("latency≤5ms", "written <=; got '≤'"),
        ("energy<=5ms", "must be on one of latency, macs, memory, params, size; got 'energy' in 'energy<=5ms'"),
        ("latency<=5", "'latency<=5': The limit '5' needs a unit; known here: ns, us, µs, ms, s, or % of the largest"),
        ("memory<=8", "The limit '8' needs a unit; known here: B, K, kB, KB, M, MB, G, GB, KiB, MiB, GiB, or %"),
        ("latency<=5m", "'5m' has the unknown unit 'm'; known here: ns, us, µs, ms, s"),
        ("latency<=5MB", "has the unknown unit 'MB'"),
        ("params<=4m", "has the unknown unit 'm'; known here: none, K, k, M, G"),
        ("params<=4MiB", "has the unknown unit 'MiB'"),
        ("params<=1,000", "has the unknown unit ',000'"),
        ("latency<=ms", "must be a positive number with its unit, as in 5ms; got 'ms'"),
        ("latency<=", "must be a positive number with its unit, as in 5ms; got ''"),
        ("size<=nan", "must be a positive number with its unit, as in 8MB; got 'nan'"),
        ("macs<=inf", "must be a positive number with its unit, as in 4M; got 'inf'"),
        ("latency<=-5ms", "must be a positive finite number, as in 5ms; got '-5ms'"),
        ("latency<=0ms", "must be a positive finite number"),
        ("macs<=0%", "must be a positive finite number"),
        ("latency<=1e999ms", "must be a positive finite number"),
        ("latency<=1e308s", "must be a positive finite number"),
        ("latency<=1e-999999999ms", "must be a positive finite number"),
        ("latency<=1e-323ns", "must be a positive finite number"),
    ],
)
def test_refused(text, message):
    with pytest.raises(BudgetError, match=message):
        parse_budget(text)
