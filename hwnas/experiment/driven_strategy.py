"""A strategy, the trials it has open, and the history that it knows: asked and told now, or as the events say."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence

from hwnas.errors import RunDirectoryError, StrategyError
from hwnas.experiment.metric import Metric, recorded_outcome
from hwnas.store import Event, Trial, TrialStore
from hwnas.strategy import Outcome, Proposal, StopsTrials, Strategy

__all__ = ["DrivenStrategy", "OpenTrial"]


@dataclasses.dataclass
class OpenTrial:
    """A trial that was asked for and has not ended.

    Attributes:
        proposal: as the strategy gave it.
        trial: as the store has it.
        stops: for each step reported, whether the trial is to stop: a further attempt comes to the same steps again,
            and the strategy hears of each once.
    """

    proposal: Proposal
    trial: Trial
    stops: dict[int, bool] = dataclasses.field(default_factory=dict)


class DrivenStrategy:
    """A strategy together with what it was asked and told.

    Args:
        strategy: a new one.
        metrics: by which outcomes are made; the first is the score.
        study: the name of the search, for messages.
        on_tell: called after every outcome told.

    Attributes:
        open: trials by number.
        num_asked: trials proposed.
        sequence: of the last event that the strategy knows.
        is_settled: whether the strategy knows just what the store does.
        has_finished: whether it had no proposal while no trial was open.
    """

    def __init__(
        self,
        strategy: Strategy,
        *,
        metrics: Sequence[Metric],
        study: str,
        on_tell: Callable[[Trial, Outcome], None],
    ) -> None:
        self.open: dict[int, OpenTrial] = {}
        self.num_asked = 0
        self.sequence = 0
        self.is_settled = True
        self.has_finished = False
        self._strategy = strategy
        self._metrics = metrics
        self._study = study
        self._on_tell = on_tell

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """The strategy and the store change together; interrupted in between, the strategy `is_settled` no more."""
        self.is_settled = False
        yield
        self.is_settled = True

    def ask(self) -> Proposal | None:
        """One proposal; None where there is none: for now, or for good.

        One that has finished is not asked again.

        Raises:
            StrategyError: the strategy proposes several, or something else than proposals.
        """
        if self.has_finished:
            return None
        proposals = self._strategy.ask(1)
        name = type(self._strategy).__name__
        if not isinstance(proposals, list | tuple) or not all(isinstance(one, Proposal) for one in proposals):
            raise StrategyError(f"`ask` of a strategy must give a list of Proposal; {name} gave {proposals!r:.80}.")
        self.has_finished = not proposals and not self.open
        if len(proposals) > 1:
            raise StrategyError(f"A strategy must give at most as many proposals as asked for; {name} was asked for 1.")
        return proposals[0] if proposals else None

    def add(self, proposal: Proposal, trial: Trial) -> None:
        """The proposal is a trial now."""
        self.open[trial.number] = OpenTrial(proposal, trial)
        self.num_asked += 1

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """An open trial has ended."""
        self._strategy.tell(self.open.pop(trial.number).proposal, outcome)
        self._on_tell(trial, outcome)

    def should_stop(self, number: int, step: int, value: float) -> bool:
        """Whether the strategy gives an open trial up at an intermediate value of the first metric."""
        opened = self.open[number]
        stop = isinstance(self._strategy, StopsTrials) and self._strategy.should_stop(
            opened.proposal, step, self._metrics[0].signed(value)
        )
        opened.stops[step] = stop
        return stop

    def catch_up(self, store: TrialStore) -> None:
        """Ask and tell as the events say that the strategy does not know yet.

        Raises:
            RunDirectoryError: the strategy asks for something else than the history has.
            StoreError: the history is damaged.
        """
        with self.at_work():
            trials = store.trials(self._study)
            for event in store.events(self._study, after=self.sequence):
                self._replay(event, trials, store)
                self.sequence = event.sequence
            for number, opened in self.open.items():
                opened.trial = trials[number]  # with the attempts it has had

    def _replay(self, event: Event, trials: Sequence[Trial], store: TrialStore) -> None:
        if event.number >= 0 and event.number not in ([self.num_asked] if event.kind == "asked" else self.open):
            raise store.damaged(f"{event.kind} {event.number}", f"event {event.sequence} of {self._study!r}")
        if event.kind == "asked":
            trial, proposal = trials[event.number], self.ask()
            if proposal is None or not _is_of(trial, proposal):
                raise self._other_history(f"Trial {trial.number}", store)
            self.add(proposal, trial)
        elif event.kind == "none" and self.ask() is not None:
            raise self._other_history(f"What follows trial {self.num_asked - 1}", store)
        elif event.kind == "reported":
            if self.should_stop(event.number, event.content["step"], event.content["value"]) != event.content["stop"]:
                raise self._other_history(f"Whether to stop trial {event.number}", store)
        elif event.kind == "ended":
            trial = trials[event.number]
            self.tell(trial, recorded_outcome(store, trial, self._metrics))

    def _other_history(self, what: str, store: TrialStore) -> RunDirectoryError:
        return RunDirectoryError(
            f"{what} of {self._study!r} in {store.path} is not the one this search asks for: the directory holds the "
            "history of another strategy, space, seed, table or version. Give another directory."
        )


def _is_of(trial: Trial, proposal: Proposal) -> bool:
    """Whether a recorded trial is what the strategy proposes."""
    return proposal.architecture.to_json() == trial.architecture and (
        proposal.fidelity,
        proposal.batch_index,
        proposal.repeat,
    ) == (trial.fidelity, trial.batch_index, trial.repeat)
