"""Running an ask/tell strategy: every trial is on disk before the strategy is told of it; resume is replay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwnas.errors import RunDirectoryError
from hwnas.space import Architecture
from hwnas.store import Trial, TrialStore
from hwnas.strategy import Outcome, Proposal, Strategy

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

    Trials that the store already has are told again without being evaluated. A strategy proposes the same for the
    same history, so their proposals must agree; where they do not, the history is of another run.

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
    history = store.trials(study)
    number = 0
    while max_trials is None or number < max_trials:
        proposals = strategy.ask(1)
        if not proposals:
            break
        for proposal in proposals:
            if number < len(history):
                outcome = _replayed(proposal, history[number], store)
            else:
                outcome = evaluate(proposal)
                store.add(_trial(study, number, proposal, outcome))
            strategy.tell(proposal, outcome)
            number += 1
            progress(number)
    return number


def _replayed(proposal: Proposal, trial: Trial, store: TrialStore) -> Outcome:
    recorded = Proposal(
        architecture=Architecture.from_json(trial.architecture),
        fidelity=trial.fidelity,  # type: ignore[arg-type]  # compared with the proposal's below
        batch_index=trial.batch_index,
    )
    if recorded != proposal:
        raise RunDirectoryError(
            f"Trial {trial.number} of {trial.study!r} in {store.path} is not the one this search asks for: the "
            "directory holds the history of another strategy, seed, table or version. Give another --out."
        )
    correct = None
    if trial.correct is not None:
        bits = np.frombuffer(trial.correct, dtype=np.uint8)
        correct = np.unpackbits(bits, count=trial.num_images).astype(np.bool_)
    return Outcome(score=trial.score, loss=trial.loss, correct=correct)


def _trial(study: str, number: int, proposal: Proposal, outcome: Outcome) -> Trial:
    return Trial(
        study=study,
        number=number,
        architecture=proposal.architecture.to_json(),
        fidelity=proposal.fidelity,
        batch_index=proposal.batch_index,
        score=outcome.score,
        loss=outcome.loss,
        correct=None if outcome.correct is None else np.packbits(outcome.correct).tobytes(),
        num_images=0 if outcome.correct is None else len(outcome.correct),
    )
