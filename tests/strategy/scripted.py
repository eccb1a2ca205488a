"""A strategy whose proposals are written down beforehand, and which remembers what it was told."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.cost import Budget, CostTable
from hwnas.space import Architecture, Choice, Space
from hwnas.strategy import Derived, Outcome, Proposal, Strategy
from hwnas.strategy.history import History
from hwnas.strategy.protocol import FAILED as FAILED

SPACE = Space([Choice("n", tuple(range(10)))])
NUMBERS = CostTable.from_options(SPACE, {"n": {n: float(n) for n in range(10)}})


def architecture(n: int) -> Architecture:
    return SPACE.validate({"n": n})


def at_most(n: float) -> Budget:
    return Budget("n", n, "", NUMBERS)


class Scripted:
    """Proposes the architectures of these numbers, one after the other; derives the best it was told."""

    def __init__(self, *numbers: int, stops: Sequence[int] = ()) -> None:
        self._proposals = [Proposal(architecture=architecture(n)) for n in numbers]
        self._stops = stops
        self._history = History(SPACE)
        self.told: list[tuple[int, Outcome]] = []
        self.reported: list[tuple[Proposal, int, float]] = []

    def ask(self, num: int = 1) -> list[Proposal]:
        proposals, self._proposals = self._proposals[:num], self._proposals[num:]
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        assert proposal.repeat == 0  # whatever the middleware made of it
        self.told.append((number(proposal), outcome))
        self._history.add(proposal, outcome)

    def should_stop(self, proposal: Proposal, step: int, score: float) -> bool:
        self.reported.append((proposal, step, score))
        return number(proposal) in self._stops

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        return self._history.derive(budgets)

    @property
    def scores_told(self) -> list[tuple[int, float | None]]:
        """Number and score, None for what failed."""
        return [(n, None if outcome.failed else outcome.score) for n, outcome in self.told]


def number(proposal: Proposal) -> int:
    return int(proposal.architecture["n"])


def numbers(strategy: Strategy, num: int = 1) -> list[int]:
    """What it proposes next."""
    return [number(proposal) for proposal in strategy.ask(num)]


def scored(score: float, **more: object) -> Outcome:
    return Outcome(score=score, **more)  # type: ignore[arg-type]
