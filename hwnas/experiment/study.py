"""One set of budgets: search, settle, fine-tune, verify, compare, write down."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from hwnas.cost import Budget, CostTable
from hwnas.data import Splits
from hwnas.experiment.budgets import Profilers
from hwnas.experiment.deployment import Deployment, MeasuredDevice
from hwnas.experiment.finishing import Finished, Finishing
from hwnas.experiment.one_shot import SearchLog, run_one_shot
from hwnas.experiment.phases import Phases, phase_seconds, training_steps
from hwnas.experiment.result import BudgetResult, RivalResult, SearchResult, SplitResult, versions
from hwnas.experiment.scoring import Named, Scorer
from hwnas.experiment.trials import TrialOptions, run_trials
from hwnas.nn import ModelSpace
from hwnas.nn.families import HasStrings
from hwnas.solve import maximise
from hwnas.space import Architecture
from hwnas.store import TrialStore
from hwnas.strategy import Certified, Derived, OneShot, Random, Strategy
from hwnas.train import Recipe

__all__ = ["Rivals", "Study"]

Rivals = Literal["none", "score", "train"]

_NUM_RANDOM = 20
"""Random networks scored as a rival of a one-shot strategy, which scores none itself."""

_RIVAL_SECONDS = 20.0
"""For the heaviest network: under a budget on MACs itself a proof is a subset-sum problem, and may take hours."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """The search for one network; `search.search_each` explains the fields.

    `name` is that of its trials and facts in the store; `strategy` is a new one, `max_trials` and `trials` for those
    that ask, `search` the recipe of those that take steps, and `settings` what their steps depend on. `weights` is the
    folder of the supernet; None: the strategy trains it.
    """

    space: ModelSpace
    data: Splits
    budgets: tuple[Budget, ...]
    profilers: Profilers
    device: MeasuredDevice | None
    store: TrialStore
    phases: Phases
    directory: Path
    name: str
    strategy: Strategy | OneShot
    max_trials: int | None
    trials: TrialOptions
    named: Named | None
    weights: Path | None
    search: Recipe
    settings: Mapping[str, Any]
    fine_tune: Recipe
    short: Recipe
    rivals: Rivals
    seed: int
    space_name: str

    def run(self) -> SearchResult:
        """Everything from the first trial or step to `result.json`; what was finished before is not done again.

        Raises:
            InfeasibleError: no network keeps the budgets as measured.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.phases("search", study=self.name) as advance:
            if isinstance(self.strategy, OneShot):
                self._take_steps(self.strategy, advance)
            else:
                self._run_trials(self.strategy, self.name, self.max_trials, advance)
        finished = self._finishing.finish(self.strategy.derive, study=self.name, directory=self.directory)
        result = self._result(finished)
        result.write()
        return result

    def _run_trials(self, strategy: Strategy, study: str, max_trials: int | None, advance: Callable[..., None]) -> None:
        run_trials(
            strategy,
            self.scorer,
            self.store,
            study=study,
            max_trials=max_trials,
            options=self.trials,
            log_folder=self.directory / "workers",
            progress=lambda status: advance(status.num_ended, status.max_trials, status.detail),
        )

    def _take_steps(self, strategy: OneShot, advance: Callable[..., None]) -> None:
        run_one_shot(
            strategy,
            self.space,
            self.data,
            self.search,
            settings={**self.settings, "budgets": [str(budget) for budget in self.budgets]},
            seed=self.seed,
            directory=self.directory / "search",
            log=self.search_log,
            progress=training_steps(advance),
        )
        self.search_log.write(self.directory)

    @functools.cached_property
    def search_log(self) -> SearchLog:
        """What a strategy that takes steps came to, epoch by epoch; of the others nothing."""
        costs = {budget.profiler: budget.cost for budget in self.budgets} | {"macs": self.profilers.table("macs")}
        return SearchLog(
            store=self.store,
            study=self.name,
            costs={name: cost for name, cost in costs.items() if isinstance(cost, CostTable)},
        )

    @functools.cached_property
    def scorer(self) -> Scorer:
        """Scores with the supernet's weights."""
        return Scorer(
            self.space,
            self.data,
            teacher=self._largest_of_all,
            short_recipe=self.short,
            seed=self.seed,
            named=self.named,
            supernet=self.weights,
        )

    @functools.cached_property
    def _finishing(self) -> Finishing:
        table = None if self.device is None else self.profilers.latency_table
        return Finishing(
            initial=self.scorer.calibrated,
            deployment=Deployment(self.space, self.device),
            data=self.data,
            budgets=self.budgets,
            margins={} if table is None else {"latency": table.noise_floor},
            recipe=self.fine_tune,
            teacher=lambda: self.scorer.calibrated(self._largest_of_all),
            store=self.store,
            phases=self.phases,
            seed=self.seed,
        )

    @property
    def _largest_of_all(self) -> Architecture:
        return self.profilers.table("macs").maximum().architecture

    def _result(self, finished: Finished) -> SearchResult:
        derived = finished.attempt.derived
        architecture = derived.architecture
        rivals = () if self.rivals == "none" else (self._heaviest_feasible(), self._best_random())
        searched = self.scorer.evaluate(architecture)
        return SearchResult(
            directory=self.directory,
            architecture=architecture,
            architecture_string=self.space.to_string(architecture) if isinstance(self.space, HasStrings) else None,
            budgets=tuple(
                BudgetResult(
                    profiler=budget.profiler,
                    limit=budget.limit,
                    predicted=budget.cost.value(architecture),
                    measured=finished.final[budget.profiler].value,
                    unit=budget.unit,
                    kept=finished.final[budget.profiler].upper <= budget.limit,
                )
                for budget in self.budgets
            ),
            certificate=derived.certificate,
            estimate=self.strategy.quality(derived) if isinstance(self.strategy, Certified) else None,
            note=derived.note,
            task=self.data.task.name,
            score_name=self.data.task.score_name,
            search_accuracy=searched.accuracy,
            search_standard_error=searched.standard_error,
            test_accuracy=finished.test_accuracy,
            test_standard_error=finished.test_standard_error,
            onnx_difference=finished.onnx_difference,
            num_attempts=finished.attempt.number,
            fingerprint=None if self.device is None else self.device.runtime.fingerprint,
            splits={
                name: SplitResult(num_examples=len(part), sha256=part.sha256) for name, part in self.data.parts.items()
            },
            rivals=rivals,
            seed=self.seed,
            versions=versions(),
            seconds=phase_seconds(self.store, self.name),
        )

    # What simpler searches find, at the same number of full evaluations where there are any.

    def _heaviest_feasible(self) -> RivalResult:
        macs = self.profilers.table("macs")

        def derive(budgets: Sequence[Budget]) -> Derived:
            found = maximise(macs, budgets, time_limit_seconds=_RIVAL_SECONDS)
            return Derived(architecture=found.architecture)

        return self._rival("largest-macs-feasible", derive)

    def _best_random(self) -> RivalResult:
        trials = self.store.trials(self.name)
        num_trials = sum(trial.fidelity != "batch" for trial in trials) or _NUM_RANDOM
        random = Random(self.space.space, self.budgets, seed=self.seed)
        study = f"{self.name}/best-of-random"
        with self.phases("rivals", study=self.name) as advance:
            self._run_trials(random, study, num_trials, advance)
        return self._rival(f"best-of-{num_trials}-random-feasible", random.derive)

    def _rival(self, name: str, derive: Callable[[Sequence[Budget]], Derived]) -> RivalResult:
        finished = None
        if self.rivals == "train":
            finished = self._finishing.finish(derive, study=f"{self.name}/{name}", directory=self.directory / name)
        architecture = (finished.attempt.derived if finished else derive(self.budgets)).architecture
        return RivalResult(
            name=name,
            architecture=architecture,
            search_accuracy=self.scorer.evaluate(architecture).accuracy,
            predicted={budget.profiler: budget.cost.value(architecture) for budget in self.budgets},
            measured=None if finished is None else {n: measured.value for n, measured in finished.final.items()},
            test_accuracy=None if finished is None else finished.test_accuracy,
        )
