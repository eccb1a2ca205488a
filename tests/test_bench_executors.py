"""The benchmark of executors runs, with few short trials; what it measures is not asserted."""

import pathlib
import subprocess
import sys

EXECUTORS = pathlib.Path(__file__).parents[1] / "bench" / "executors.py"


def test_a_line_for_each_executor() -> None:
    command = [
        sys.executable,
        str(EXECUTORS),
        "--executors",
        "inline",
        "processes",
        "--trials",
        "2",
        "--seconds",
        "0.1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = [[cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines() if line.startswith("|")]
    assert [row[1:3] for row in table[2:]] == [["inline", "1"], ["processes", "2"]]
    for row in table[2:]:
        assert 0 < float(row[3].rstrip("%")) <= 100
        assert float(row[4]) > 0
