"""The outcomes a strategy was told of, and the best of them under budgets."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.cost import Budget, keeps_all
from hwnas.errors import StrategyError
from hwnas.space import Architecture, Space
from hwnas.strategy.feasible import repair, require_feasible
from hwnas.strategy.protocol import Derived, Outcome, Proposal

__all__ = ["History"]


class History:
    """Evaluations that did not fail, in the order in which they were told; the last of an architecture counts."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._outcomes: dict[Architecture, Outcome] = {}

    def __len__(self) -> int:
        return len(self._outcomes)

    def __contains__(self, architecture: Architecture) -> bool:
        return architecture in self._outcomes

    def add(self, proposal: Proposal, outcome: Outcome) -> None:
        """Remember the outcome of a full evaluation, unless it failed."""
        if not outcome.failed:
            self._outcomes[proposal.architecture] = outcome

    def outcome(self, architecture: Architecture) -> Outcome | None:
        """What was told of `architecture`, if anything."""
        return self._outcomes.get(architecture)

    def feasible(self, budgets: Sequence[Budget]) -> list[tuple[Architecture, Outcome]]:
        """All architectures told of that keep the budgets, the best rank first (ties: the earlier)."""
        kept = [(a, o) for a, o in self._outcomes.items() if keeps_all(a, budgets)]
        return sorted(kept, key=lambda pair: pair[1].rank, reverse=True)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The best architecture told of that keeps `budgets`.

        Where none does (budgets were tightened since), the best of all is repaired: changed in as few
        choices as possible until it does, and the note says so.

        Raises:
            InfeasibleError: no architecture of the space keeps the budgets.
            StrategyError: nothing was told yet.
        """
        kept = self.feasible(budgets)
        if kept:
            return Derived(architecture=kept[0][0])
        require_feasible(self._space, budgets)
        told = self.feasible(())
        if not told:
            raise StrategyError(
                "Nothing was evaluated yet, so there is no architecture to derive: run at least one trial."
            )
        return Derived(
            architecture=repair(self._space, told[0][0], budgets),
            note="no evaluated architecture keeps the tightened budgets; the best one was repaired",
        )
