"""A strategy that begins with what other searches of its space have found."""

from __future__ import annotations

import dataclasses

from hwnas.strategy.protocol import Outcome, Proposal, Strategy

__all__ = ["KnownTrials"]


@dataclasses.dataclass(frozen=True)
class KnownTrials:
    """Tells a new strategy the outcomes of earlier trials before it is asked for the first time.

    Evolution and NSGA-II count them in their first population, local search begins at the best of them, and
    predictor-guided search fits its regression to them: these propose none of them again as long as there is something
    else. The policy and Optuna's samplers learn from them; they and all others may propose one again, which a
    `Deduplication` next to it keeps from being evaluated, `Chain(strategy, KnownTrials(...), Deduplication())`. Known
    trials are part of the strategy, not of the experiment: a resumed one must be given the same. Its `derive` may hand
    one of them on.

    Attributes:
        trials: of the strategy's space, with as many objectives as it will be told; `import_optuna` gives those of a
            study.
    """

    trials: tuple[tuple[Proposal, Outcome], ...]

    def wrap(self, strategy: Strategy) -> Strategy:
        """The strategy itself, told of them.

        Raises:
            StrategyError: a strategy that can only be told what it asked for.
        """
        for proposal, outcome in self.trials:
            strategy.tell(proposal, outcome)
        return strategy
