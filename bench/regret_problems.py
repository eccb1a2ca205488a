"""What strategies are compared on: spaces with a score for every architecture, so that the best one is known.

`cells`: the 15,625 cells of NAS-Bench-201's space, scored by `cell_table.py`; the budget is on multiply-accumulates.
`additive_0`, `pairwise_1`, `deceptive_2`, ...: ten small spaces, drawn by their number. Each choice but the first two
has, with probability 0.4, a condition on one before it; costs are additive. Scores are from 0 (the worst) to 1 (the
best), and one of

    additive    the sum over active choices c of u_c(option)
    pairwise    half of that, and the sum of w_cd(option, option) over as many random pairs as there are choices
    deceptive   traps: the choices form groups of three, each with a hidden combination. A group scores 1 if all of it
                is chosen, else 0.8 (k - 1 - hits) / (k - 1) with k choices: fewer hits look better. K. Deb,
                D. E. Goldberg: Analyzing Deception in Trap Functions. FOGA 1992. Groups weigh between 1/2 and 1

with u and w normal. No noise: an architecture has one score. The limit of the budget is the largest that a quarter of
the space keeps.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwnas.cost import Budget, CostTable
from hwnas.nn.families import load_space
from hwnas.profiler import FlopsProfiler
from hwnas.space import INACTIVE, Architecture, Choice, Requirement, Space
from hwnas.trial import TableEvaluator, TrialContext

__all__ = ["CELLS", "SMALL", "Problem", "small_problem"]

_SIZES = (2_000, 20_000)
_SHARE = 0.25
Codes = NDArray[np.int32]
Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """A space that is known throughout.

    Attributes:
        name: of the space.
        kind: what is put together in one column of the table.
        space: what may vary.
        budget: what a quarter keeps.
        scores: of every architecture.
        costs: of every architecture, in the budget's unit.
    """

    name: str
    kind: str
    space: Space
    budget: Budget
    scores: Mapping[Architecture, float]
    costs: Mapping[Architecture, float]

    def best(self, *, within_budget: bool) -> float:
        """The best score, by looking at all of them."""
        return max(s for a, s in self.scores.items() if not within_budget or self.costs[a] <= self.budget.limit)


def _problem(name: str, kind: str, space: Space, cost: CostTable, score_of: Callable[[Codes], Floats]) -> Problem:
    codes = space.enumerate_codes()
    architectures, costs = space.decode(codes), cost.values(codes)
    limit = float(np.quantile(costs, _SHARE, method="lower"))
    return Problem(
        name=name,
        kind=kind,
        space=space,
        budget=Budget("cost", limit, cost.unit, cost),
        scores=dict(zip(architectures, score_of(codes).tolist(), strict=True)),
        costs=dict(zip(architectures, costs.tolist(), strict=True)),
    )


def cells(table: Path) -> Problem:
    """All cells, with the scores of the file that `cell_table.py` wrote."""
    space = load_space("nasbench201_8")
    evaluator = TableEvaluator(table, metrics=["score"])

    def scores(codes: Codes) -> Floats:
        context = TrialContext(seed=0)
        found = [evaluator.evaluate_trial(cell, context).metrics["score"] for cell in space.space.decode(codes)]
        return np.array(found)

    return _problem("cells", "cells", space.space, FlopsProfiler(space).cost, scores)


@functools.lru_cache(maxsize=1)
def small_problem(name: str) -> Problem:
    """One of the ten, from its name alone."""
    kind, _, number = name.rpartition("_")
    rng = np.random.default_rng([int(number), 5])
    space = _small_space(rng)
    while not _SIZES[0] <= space.size <= _SIZES[1]:
        space = _small_space(rng)
    costs = {c.name: dict(zip(c.options, rng.uniform(1.0, 10.0, c.num_options), strict=True)) for c in space.choices}
    raw = _OBJECTIVES[kind](space, space.enumerate_codes(), rng)
    scaled = (raw - raw.min()) / (raw.max() - raw.min())
    return _problem(name, kind, space, CostTable.from_options(space, costs), lambda codes: scaled)


def _small_space(rng: np.random.Generator) -> Space:
    choices: list[Choice] = []
    for number in range(int(rng.integers(7, 10))):
        condition = []
        if number >= 2 and rng.random() < 0.4:
            earlier = choices[rng.integers(number)]
            some = rng.choice(earlier.num_options, size=rng.integers(1, earlier.num_options), replace=False)
            condition = [[Requirement(earlier.name, tuple(sorted(some.tolist())))]]
        choices.append(Choice(f"c{number}", range(int(rng.integers(2, 6))), condition=condition))
    return Space(choices)


def _additive(space: Space, codes: Codes, rng: np.random.Generator) -> Floats:
    total = np.zeros(len(codes))
    for position, num in enumerate(space.num_options):
        table = rng.normal(size=num)
        total += np.where(codes[:, position] == INACTIVE, 0.0, table[codes[:, position]])
    return total


def _pairwise(space: Space, codes: Codes, rng: np.random.Generator) -> Floats:
    total = 0.5 * _additive(space, codes, rng)
    positions = range(len(space.choices))
    pairs = [(first, second) for second in positions for first in range(second)]
    for chosen in rng.choice(len(pairs), size=len(positions), replace=False):
        first, second = codes[:, pairs[chosen][0]], codes[:, pairs[chosen][1]]
        table = rng.normal(size=(space.num_options[pairs[chosen][0]], space.num_options[pairs[chosen][1]]))
        total += np.where((first == INACTIVE) | (second == INACTIVE), 0.0, table[first, second])
    return total


def _deceptive(space: Space, codes: Codes, rng: np.random.Generator) -> Floats:
    hidden = codes[rng.integers(len(codes))]  # an architecture of the space, so that all groups can score 1 at once
    order = rng.permutation(len(space.choices))
    total = np.zeros(len(codes))
    for start in range(0, len(order), 3):
        group = order[start : start + 3]
        hits = (codes[:, group] == hidden[group]).sum(axis=1)
        others = 0.8 * (len(group) - 1 - hits) / max(len(group) - 1, 1)
        total += rng.uniform(0.5, 1.0) * np.where(hits == len(group), 1.0, others)
    return total


_OBJECTIVES: Mapping[str, Callable[[Space, Codes, np.random.Generator], Floats]] = {
    "additive": _additive,
    "pairwise": _pairwise,
    "deceptive": _deceptive,
}
CELLS = "cells"
SMALL = tuple(f"{tuple(_OBJECTIVES)[number % 3]}_{number}" for number in range(10))
