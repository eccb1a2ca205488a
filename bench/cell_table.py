"""Scores all 15,625 cells of NAS-Bench-201's space in one small supernet: a tabulated objective for `bench/regret.py`.

    python bench/cell_table.py [--out runs/cells.csv]

NAS-Bench-201's own table is a large download: of networks that were trained one by one, on three data sets. This one is
measured too, but of less: the same cells in a narrow network of two stages (`nasbench201_8`), whose weights they share,
a supernet trained by uniform single paths on scikit-learn's digits. A cell's score is minus its mean cross-entropy, in
nats, on the 359 images of the search split, with batch norm on the statistics of these images. Such a table says how
well a strategy finds good entries of it, and nothing about which cell is the best on CIFAR-10.

`TableEvaluator(path, metrics=["score"])` takes the file: a column for every edge of the cell, and `score`. Some minutes
of one core; interrupted and called again, it goes on.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"  # read when torch and numpy are imported

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from hwnas import load_data
from hwnas.nn.families import load_space
from hwnas.train import Recipe, batch_statistics, train_supernet

SPACE = "nasbench201_8"
RECIPE = Recipe(epochs=60.0, batch_size=64, learning_rate=0.1, scheme="single_path")
_CHUNK = 125


@torch.no_grad()
def write_table(path: Path, *, recipe: Recipe = RECIPE, num_cells: int | None = None) -> None:
    """Train the supernet, and score the cells that the file has not yet.

    Args:
        path: of the table; the supernet's checkpoints are in a folder beside it.
        recipe: of the supernet.
        num_cells: the first so many in the space's order; None: all.
    """
    torch.manual_seed(0)  # of the first weights
    space, splits = load_space(SPACE), load_data("digits", seed=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.enable_grad():
        train_supernet(space, splits, recipe, seed=0, directory=path.with_suffix(".supernet"))
    batch = splits.search.batch(np.arange(len(splits.search)))
    done = _rows_of(path)
    cells = space.space.decode(space.space.enumerate_codes()[len(done) : num_cells])
    with batch_statistics(space):
        for start in range(0, len(cells), _CHUNK):
            rows = []
            for cell in cells[start : start + _CHUNK]:
                losses = splits.task.losses(space.view(cell)(*batch.inputs), batch.labels)
                rows.append({**cell, "score": repr(-float(losses.mean()))})
            with path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, [*space.space.names, "score"])
                if file.tell() == 0:
                    writer.writeheader()
                writer.writerows(rows)
            print(f"\r{len(done) + start + len(rows)} cells", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _rows_of(path: Path) -> list[str]:
    """The rows that are there; what a killed process left of a row goes."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8", newline="")
    return whole.splitlines()[1:]


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench/cell_table.py", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/cells.csv"), help="the table; default: runs/cells.csv")
    write_table(parser.parse_args(given).out)


if __name__ == "__main__":
    main()
