"""Drawing and repairing architectures under hard budgets."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.cost import Budget, CostTable, Term, keeps_all
from hwnas.errors import BudgetError
from hwnas.solve import UniformSampler, maximise
from hwnas.space import Architecture, Space

__all__ = ["FeasibleDraws", "relative_costs", "repair", "require_feasible", "sample_feasible"]

_BLOCK_SIZE = 64


def relative_costs(codes: NDArray[np.integer], budgets: Sequence[Budget]) -> NDArray[np.float64]:
    """The largest cost over limit among the budgets, for each row of `codes`: at most 1 is feasible.

    Args:
        codes: encoded architectures, shape (num, num_choices).
        budgets: the hard limits; without any, every row costs 0. Under a limit of 0 or less there is no ratio: what
            keeps it costs 1, what does not inf.

    Returns:
        Shape (num,), without unit.
    """
    relative = np.zeros(len(codes))
    for budget in budgets:
        costs = budget.cost.values(codes)
        if budget.limit > 0:
            np.maximum(relative, costs / budget.limit, out=relative)
        else:
            np.maximum(relative, np.where(costs <= budget.limit, 1.0, np.inf), out=relative)
    return relative


def require_feasible(space: Space, budgets: Sequence[Budget]) -> Architecture:
    """Some architecture that keeps every budget.

    Raises:
        InfeasibleError: there is none; it names the budgets and the least achievable.
    """
    return maximise(CostTable(space, 0.0, ()), budgets).architecture


def repair(space: Space, architecture: Architecture, budgets: Sequence[Budget]) -> Architecture:
    """The feasible architecture that differs from `architecture` in the fewest of its choices, by the exact solver.

    Raises:
        InfeasibleError: no architecture keeps the budgets.
    """
    if keeps_all(architecture, budgets):
        return architecture
    agreement = []
    for choice in space.choices:
        if choice.name in architecture:
            values = np.zeros(choice.num_options + 1)
            values[choice.index(architecture[choice.name])] = 1.0
            agreement.append(Term((choice.name,), values))
    return maximise(CostTable(space, 0.0, agreement), budgets).architecture


def sample_feasible(space: Space, budgets: Sequence[Budget], num: int, rng: np.random.Generator) -> list[Architecture]:
    """`num` random architectures that keep every budget, each equally likely (`hwnas.solve.uniform`).

    Where several budgets together leave so few that they cannot be drawn, the remaining ones are uniform draws from
    the whole space, repaired by the exact solver: feasible and diverse, but not uniform, as a warning says.

    Raises:
        InfeasibleError: no architecture keeps the budgets.
    """
    try:
        codes = _sampler(space, tuple(budgets)).sample_codes(num, rng)
        return [space.architecture(row) for row in codes.tolist()]
    except BudgetError as error:
        warnings.warn(f"{error} What is drawn is repaired, and so no longer uniform.", stacklevel=2)
    return [repair(space, space.sample(rng), budgets) for _ in range(num)]


class FeasibleDraws:
    """An endless sequence of random architectures that keep every budget; the n-th is a function of (seed, n).

    They are drawn in blocks, which is many times as fast as one by one.

    Args:
        space: what may vary.
        budgets: hard limits.
        seed: of all draws.
    """

    def __init__(self, space: Space, budgets: Sequence[Budget], seed: int) -> None:
        self._space = space
        self._budgets = tuple(budgets)
        self._seed = seed
        self._block: tuple[int, list[Architecture]] = (-1, [])

    def __getitem__(self, n: int) -> Architecture:
        """The n-th draw.

        Raises:
            InfeasibleError: no architecture keeps the budgets.
        """
        number, place = divmod(n, _BLOCK_SIZE)
        if self._block[0] != number:
            rng = np.random.default_rng([self._seed, number])
            self._block = (number, sample_feasible(self._space, self._budgets, _BLOCK_SIZE, rng))
        return self._block[1][place]


@functools.lru_cache(maxsize=16)
def _sampler(space: Space, budgets: tuple[Budget, ...]) -> UniformSampler:
    return UniformSampler(space, budgets)
