"""The main job's ask/tell strategies: the engine, in line, over a function that scores proposals."""

from __future__ import annotations

import math
from collections.abc import Callable

from hwnas.errors import ConfigError
from hwnas.experiment.engine import Engine
from hwnas.experiment.inline import InlineExecutor
from hwnas.space import Architecture
from hwnas.store import Trial, TrialStore
from hwnas.strategy import Outcome, Proposal, Strategy
from hwnas.trial import Evaluated, EvaluatorReference, TrialContext

__all__ = ["run_trials"]


def run_trials(
    strategy: Strategy,
    evaluate: Callable[[Proposal], Outcome],
    store: TrialStore,
    *,
    study: str,
    max_trials: int | None = None,
    progress: Callable[[int], None] = lambda num_trials: None,
) -> int:
    """Ask, evaluate, write, tell, until the strategy has finished or `max_trials` are done.

    Trials that the store already has are told again without being evaluated. An evaluation that raises ends the search
    with its error: with one supernet's weights and data none is expected, and the next would not do better.

    Args:
        strategy: a new one; it is told the study's history first.
        evaluate: scores one proposal, in this process.
        store: where trials are kept.
        study: the name of this search within the store.
        max_trials: how many trials the study has at most; None runs until the strategy has finished.
        progress: told the number of trials done after each.

    Returns:
        How many trials the study now has.

    Raises:
        RunDirectoryError: the history is not one that this strategy would have made.
    """
    num_told = 0

    def on_tell(trial: Trial, outcome: Outcome) -> None:
        nonlocal num_told
        num_told += 1
        progress(num_told)

    engine = Engine(strategy, study=study, max_attempts=None, on_tell=on_tell)
    engine.catch_up(store)
    engine.run(_Scoring(evaluate), InlineExecutor(catch=()), max_trials=max_trials)
    return num_told


class _Scoring:
    """A function of proposals as an evaluator."""

    def __init__(self, evaluate: Callable[[Proposal], Outcome]) -> None:
        self._evaluate = evaluate

    def evaluate_trial(self, architecture: Architecture, context: TrialContext) -> Evaluated:
        proposal = Proposal(
            architecture=architecture,
            fidelity=context.fidelity,  # type: ignore[arg-type]  # as a proposal had it
            batch_index=context.batch_index,
        )
        outcome = self._evaluate(proposal)
        loss = {} if math.isnan(outcome.loss) else {"loss": outcome.loss}
        return Evaluated(metrics={"score": outcome.score, **loss}, scores=outcome.scores)

    def reference(self) -> EvaluatorReference:
        raise ConfigError("A supernet in this process is scored in line only; use the executor 'inline'.")
