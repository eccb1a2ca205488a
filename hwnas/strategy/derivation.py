"""From logits to the architecture of the largest ones, under hard budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from hwnas.cost import Budget, CostTable, Term
from hwnas.errors import ConfigError
from hwnas.solve import k_best
from hwnas.space import Space
from hwnas.strategy.filters import Accepts, limits_of
from hwnas.strategy.protocol import Derived

__all__ = ["derive_from_scores", "relative_to_largest"]

_MAX_TRIES = 100


def derive_from_scores(
    space: Space,
    scores: Mapping[str, ArrayLike],
    budgets: Sequence[Budget],
    *,
    filter: Accepts | None = None,
    time_limit_seconds: float | None = 60.0,
) -> Derived:
    """The architecture with the largest sum of scores over its active choices, among those that keep every budget.

    Of what the filter says by hard limits the solver knows. What a function refuses is passed over: the next best
    architectures are tried, 100 at most.

    Args:
        space: what may vary.
        scores: by choice, shape (num_options,): what each option adds where its choice is active.
        budgets: hard limits.
        filter: accepts the architecture.
        time_limit_seconds: for the solve; None for no limit.

    Raises:
        InfeasibleError: no architecture keeps the budgets and the filter's range.
        ConfigError: a function that has refused the 100 best.
    """
    terms = [Term((choice.name,), np.append(np.asarray(scores[choice.name]), 0.0)) for choice in space.choices]
    utility, limits = CostTable(space, 0.0, terms), [*budgets, *limits_of(filter)]
    for num in (1, _MAX_TRIES):
        solutions = k_best(utility, limits, num, time_limit_seconds=time_limit_seconds)
        for solution in solutions:
            if filter is None or filter(solution.architecture):
                return Derived(architecture=solution.architecture, certificate=solution.certificate)
    raise ConfigError(
        f"The filter must accept an architecture that keeps the budgets; it has refused the {len(solutions)} best. Let "
        "it accept more, or search with a RangeProfilerFilter, whose range the solver knows."
    )


def relative_to_largest(logits: Mapping[str, ArrayLike]) -> dict[str, ArrayLike]:
    """Each logit minus the largest of its choice.

    An inactive choice then counts as much as a choice whose best option is taken, 0, so that shallow networks are not
    favoured, and without a budget the best architecture is the papers' argmax.
    """
    return {name: np.asarray(values) - np.max(values) for name, values in logits.items()}
