import csv
import pathlib

from hwnas.report import FrontPoint, write_front_csv


def test_the_numbers_round_trip_by_rising_latency(tmp_path: pathlib.Path) -> None:
    front = [FrontPoint(cost=2.5, utility=-0.1), FrontPoint(cost=0.1 + 0.2, utility=-1 / 3)]
    with write_front_csv(front, tmp_path / "front.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    read = [FrontPoint(cost=float(row["latency_ms"]), utility=float(row["utility"])) for row in rows]
    assert read == front[::-1]
    assert [path.name for path in tmp_path.iterdir()] == ["front.csv"]
