"""From logits to the architecture of the largest ones, under hard budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from hwnas.cost import Budget, CostTable, Term
from hwnas.solve import maximise
from hwnas.space import Space
from hwnas.strategy.protocol import Derived

__all__ = ["derive_from_scores", "relative_to_largest"]


def derive_from_scores(
    space: Space,
    scores: Mapping[str, ArrayLike],
    budgets: Sequence[Budget],
    *,
    time_limit_seconds: float | None = 60.0,
) -> Derived:
    """The architecture with the largest sum of scores over its active choices, among those that keep every budget.

    Args:
        space: what may vary.
        scores: by choice, shape (num_options,): what each option adds where its choice is active.
        budgets: hard limits.
        time_limit_seconds: for the solve; None for no limit.

    Raises:
        InfeasibleError: no architecture keeps the budgets.
    """
    terms = [Term((choice.name,), np.append(np.asarray(scores[choice.name]), 0.0)) for choice in space.choices]
    solution = maximise(CostTable(space, 0.0, terms), budgets, time_limit_seconds=time_limit_seconds)
    return Derived(architecture=solution.architecture, certificate=solution.certificate)


def relative_to_largest(logits: Mapping[str, ArrayLike]) -> dict[str, ArrayLike]:
    """Each logit minus the largest of its choice.

    An inactive choice then counts as much as a choice whose best option is taken, 0, so that shallow networks are not
    favoured, and without a budget the best architecture is the papers' argmax.
    """
    return {name: np.asarray(values) - np.max(values) for name, values in logits.items()}
