import pytest

from hwnas.report.formats import format_count, format_percent, format_score, format_seconds


@pytest.mark.parametrize(
    ("count", "text"),
    [(6, "6"), (123_456, "123,456"), (5_916_343_431_431_431_431_431, "5.9 × 10²¹"), (10**400, "1 × 10⁴⁰⁰")],
)
def test_counts(count: int, text: str) -> None:
    assert format_count(count) == text


def test_percentages() -> None:
    assert format_percent(0.9234) == "92.3 %"
    assert format_percent(0.9234, 0.0031) == "92.3 ± 0.3 %"


@pytest.mark.parametrize(
    ("score", "error", "name", "text"),
    [
        (0.9781, 0.0022, "accuracy", "97.8 ± 0.2 %"),
        (0.9781, None, "top-5 accuracy", "97.8 %"),
        (-0.05532, 0.00213, "minus NME", "-0.0553 ± 0.0021"),
        (-1234.5, 31.4, "minus squared error", "-1234 ± 31"),
        (-3.14159, 1.2, "score", "-3.1 ± 1.2"),
        (0.5, None, "score", "0.5"),
        (0.5, 0.0, "score", "0.5"),
        (0.5, float("nan"), "score", "0.5"),
    ],
)
def test_scores(score: float, error: float | None, name: str, text: str) -> None:
    assert format_score(score, error, name=name) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0421, "0.042 s"), (31.4, "31 s"), (59.7, "1 min 0 s"), (250, "4 min 10 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
