"""What a solver hands back: an architecture and what is proven about it."""

from __future__ import annotations

import dataclasses
from typing import Literal

from hwnas.space import Architecture

__all__ = ["Certificate", "Solution"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Certificate:
    """What a solve proved: no architecture that keeps the budgets has a utility above `bound`.

    Attributes:
        objective: the utility of the architecture handed on, computed from the table, not by the solver.
        bound: the proven upper bound; equal to `objective` where the solve is optimal.
        gap: `bound - objective`, in units of the utility; zero only where that is proven.
        status: "optimal", or "time_limit" where the time ran out before the proof.
    """

    objective: float
    bound: float
    gap: float
    status: Literal["optimal", "time_limit"]

    @classmethod
    def optimal(cls, objective: float) -> Certificate:
        """The certificate of a proven optimum."""
        return cls(objective=objective, bound=objective, gap=0.0, status="optimal")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Solution:
    """An architecture that keeps every budget, and how good it is proven to be.

    Attributes:
        architecture: the architecture.
        costs: its value under each budget's cost, in the budgets' order and units.
        certificate: of this architecture; the i-th of k best is best among all but those before it.
    """

    architecture: Architecture
    costs: tuple[float, ...]
    certificate: Certificate
