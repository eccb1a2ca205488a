import pytest

from hwnas.cost import STANDARD_UNITS, format_quantity


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (5, "ms", "5 ms"),
        (0.25, "ms", "250 µs"),
        (0.00005, "ms", "50 ns"),
        (0.0, "ms", "0 ms"),
        (-2.5, "ms", "-2.5 ms"),
        (12345.6, "ms", "12.35 s"),
        (5_260_232, "params", "5.26 M params"),
        (224_227_936, "macs", "224.2 M MACs"),
        (999_999, "macs", "1 M MACs"),
        (12, "macs", "12 MACs"),
        (0.5, "params", "0.5 params"),
        (8e6, "bytes", "8 MB"),
        (1024, "bytes", "1.024 kB"),
        (3e9, "bytes", "3 GB"),
        (3.14159, "mJ", "3.142 mJ"),
        (7, "", "7"),
        (float("-inf"), "bytes", "-inf GB"),
    ],
)
def test_format(value, unit, text):
    assert format_quantity(value, unit) == text


def test_standard_units_are_read_only():
    with pytest.raises(TypeError, match="does not support item assignment"):
        STANDARD_UNITS["latency"] = "s"
