"""Drawing and repairing architectures under hard budgets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.cost import Budget, CostTable, Term
from hwnas.solve import maximise
from hwnas.space import Architecture, Space

__all__ = ["relative_costs", "repair", "require_feasible", "sample_feasible"]

_BATCH_SIZE = 4096
_MAX_DRAWS = 16 * _BATCH_SIZE


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
    if all(budget.holds(architecture) for budget in budgets):
        return architecture
    agreement = []
    for choice in space.choices:
        if choice.name in architecture:
            values = np.zeros(choice.num_options + 1)
            values[choice.index(architecture[choice.name])] = 1.0
            agreement.append(Term((choice.name,), values))
    return maximise(CostTable(space, 0.0, agreement), budgets).architecture


def sample_feasible(space: Space, budgets: Sequence[Budget], num: int, rng: np.random.Generator) -> list[Architecture]:
    """`num` random architectures that keep every budget.

    Uniform over the feasible ones by rejection, as long as some 65,000 draws suffice. Where feasible
    architectures are rarer than that, the remaining ones are uniform draws repaired by the exact
    solver: feasible and diverse, but no longer uniform. Never loops for ever.

    Raises:
        InfeasibleError: no architecture keeps the budgets.
    """
    found: list[Architecture] = []
    for _ in range(_MAX_DRAWS // _BATCH_SIZE):
        codes = space.sample_codes(_BATCH_SIZE, rng)
        accepted = codes[relative_costs(codes, budgets) <= 1.0][: num - len(found)]
        found += space.decode(accepted)
        if len(found) == num:
            return found
    require_feasible(space, budgets)
    return found + [repair(space, space.sample(rng), budgets) for _ in range(num - len(found))]
