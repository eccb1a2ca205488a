"""No evaluation twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, get_args

from hwnas.arguments import whole_number
from hwnas.cost import Budget
from hwnas.errors import ConfigError
from hwnas.strategy.middleware import is_stopped
from hwnas.strategy.protocol import FAILED, Derived, Outcome, Proposal, Strategy

__all__ = ["Deduplication"]

_Action = Literal["invalid", "replay"]


@dataclasses.dataclass(frozen=True)
class Deduplication:
    """Evaluates nothing that was evaluated before or is being evaluated; the strategy is asked again.

    Attributes:
        action: what the strategy is told of a proposal that comes again: "replay", the outcome that the first one had
            or will have; "invalid", that the evaluation failed.
        patience: so many proposals in a row that are not new end the search: of a small space everything is known.

    Raises:
        ConfigError: another action, or a patience below 1.
    """

    action: _Action = "replay"
    patience: int = dataclasses.field(default=1000, kw_only=True)

    def __post_init__(self) -> None:
        if self.action not in get_args(_Action):
            raise ConfigError(f"`action` of Deduplication must be 'invalid' or 'replay'; got {self.action!r}.")
        whole_number("patience", self.patience, at_least=1)

    def wrap(self, strategy: Strategy) -> Strategy:
        """See `Middleware`."""
        return _Deduplicated(strategy, self.action, self.patience)


class _Deduplicated:
    """The strategy that `Deduplication` makes."""

    def __init__(self, strategy: Strategy, action: _Action, patience: int) -> None:
        self._strategy = strategy
        self._action = action
        self._patience = patience
        self._outcomes: dict[Proposal, Outcome] = {}
        self._num_waiting: dict[Proposal, int] = {}  # of what is being evaluated, how often it came again

    def ask(self, num: int = 1) -> list[Proposal]:
        """New proposals; none when the strategy, tried often enough, has no more."""
        proposals: list[Proposal] = []
        num_known = 0
        while len(proposals) < num and num_known < self._patience and (asked := self._strategy.ask(1)):
            proposal = asked[0]
            if proposal not in self._outcomes and proposal not in self._num_waiting:
                self._num_waiting[proposal] = 0
                proposals.append(proposal)
                num_known = 0
                continue
            num_known += 1
            if self._action == "invalid":
                self._strategy.tell(proposal, FAILED)
            elif proposal in self._outcomes:
                self._strategy.tell(proposal, self._outcomes[proposal])
            else:
                self._num_waiting[proposal] += 1
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """Hand it on, also for those that came again meanwhile; what was never asked for, known trials, counts too."""
        self._outcomes[proposal] = outcome
        for _ in range(1 + self._num_waiting.pop(proposal, 0)):
            self._strategy.tell(proposal, outcome)

    def should_stop(self, proposal: Proposal, step: int, score: float) -> bool:
        """Hand it on."""
        return is_stopped(self._strategy, proposal, step, score)

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """What the strategy derives."""
        return self._strategy.derive(budgets)
