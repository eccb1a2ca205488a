"""Running an ask/tell strategy: every trial is on disk before the strategy is told of it; resume is replay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hwnas.errors import RunDirectoryError
from hwnas.space import Architecture
from hwnas.store import Trial, TrialStore
from hwnas.strategy import Outcome, Proposal, Strategy

__all__ = ["outcome_of", "run_trials"]


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


def outcome_of(trial: Trial) -> Outcome:
    """What came of a finished trial, as the strategy was told it."""
    return Outcome(score=trial.score, loss=trial.loss, scores=_unpacked(trial.scores, trial.num_images))


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
    return outcome_of(trial)


def _trial(study: str, number: int, proposal: Proposal, outcome: Outcome) -> Trial:
    return Trial(
        study=study,
        number=number,
        architecture=proposal.architecture.to_json(),
        fidelity=proposal.fidelity,
        batch_index=proposal.batch_index,
        score=outcome.score,
        loss=outcome.loss,
        scores=_packed(outcome.scores),
        num_images=0 if outcome.scores is None else len(outcome.scores),
    )


def _packed(scores: NDArray[np.float32] | None) -> bytes | None:
    """Bits where all scores are 0 or 1, else single-precision numbers; the length tells which."""
    if scores is None:
        return None
    if np.isin(scores, (0.0, 1.0)).all():
        return np.packbits(scores.astype(np.bool_)).tobytes()
    return scores.astype("<f4").tobytes()


def _unpacked(packed: bytes | None, num: int) -> NDArray[np.float32] | None:
    if packed is None:
        return None
    if len(packed) == 4 * num:
        return np.frombuffer(packed, dtype="<f4").astype(np.float32)
    return np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=num).astype(np.float32)
