"""An experiment of many trials: a space, an evaluator and a strategy, in a folder that survives anything."""

from __future__ import annotations

import dataclasses
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hwnas.arguments import LARGEST, finite_number, path, whole_number
from hwnas.cost import Budget, BudgetRequest
from hwnas.device import Runtime
from hwnas.errors import ConfigError
from hwnas.experiment.budgets import Profilers, budget_identity, read_budgets, resolve
from hwnas.experiment.engine import Engine
from hwnas.experiment.executor import Executor
from hwnas.experiment.executors import check_executor, make_executor
from hwnas.experiment.exporting import export_top
from hwnas.experiment.given_evaluator import EvaluatorLike, evaluator_identity, made_evaluator
from hwnas.experiment.given_strategy import StrategyLike, check_strategy, is_strategy, made_strategy, strategy_name
from hwnas.experiment.measuring import check_profilers, measured_profilers
from hwnas.experiment.metric import SCORE, Metric, check_metrics
from hwnas.experiment.recorded import RecordedExperiment, read_experiment
from hwnas.experiment.run_directory import SPACE, open_run
from hwnas.experiment.standings import Found, Standings, TrialFront
from hwnas.experiment.status import Status, live_status
from hwnas.nn import ModelSpace
from hwnas.profiler import Profiler
from hwnas.space import Space
from hwnas.strategy.feasible import require_feasible

__all__ = ["Experiment"]

_STUDY = "trials"
_NO_LIMIT = "or None for no limit"


class Experiment:
    """Evaluates the architectures that a strategy asks for, and remembers everything in a folder.

    Killed at any moment and run again, it goes on where it was: trials that were running are tried again, none is lost
    and none is done twice, and with one trial at a time it proposes exactly what it would have proposed uninterrupted.
    A trial that raises, runs past its time or gives no usable metrics is recorded as failed, and the next one begins.

    Args:
        space: what may vary; a `ModelSpace` where there is a network to it.
        evaluator: gives architectures their metrics; or a function of the architecture, or its name, which stand for
            `FunctionEvaluator(function)`.
        strategy: a name of `hwnas.experiment.STRATEGIES`, a strategy that was not asked yet, or what makes one:
            `strategy(space, budgets, seed=seed)`, a class for example.
        budgets: hard limits: nothing that breaks one is run. `profiler.at_most(value)`, or for a `ModelSpace` text:
            "macs<=60%", "latency<=5ms".
        metrics: what is wanted of the evaluator's numbers, the first being the score; by default the number "score".
        profilers: by name; their values are stored with every trial, as are the budgets' own, and a metric that the
            evaluator does not give may be one of these names.
        directory: the experiment's folder; without it a new temporary one, which a warning names.
        executor: "inline" for this process, "processes" for some of their own, "ray" for a cluster, or an executor.
        device: where latencies are measured, for budgets on latency given as text.
        table: the SQLite table of this space on this device; in the folder if not given.
        seed: of the strategy and of every evaluation.
        timeout_seconds: after which an evaluation has failed.
        max_attempts: how often a trial is begun whose process or worker dies, before it has failed.

    Raises:
        ConfigError: an argument of the wrong kind or out of range, an unknown strategy, or one that takes steps.
        BudgetError: a budget that cannot be read, two on one quantity, or text without a `ModelSpace`.
    """

    def __init__(
        self,
        space: Space | ModelSpace,
        evaluator: EvaluatorLike,
        strategy: StrategyLike = "evolution",
        *,
        budgets: Sequence[Budget | BudgetRequest | str] = (),
        metrics: Sequence[Metric] = SCORE,
        profilers: Mapping[str, Profiler] | None = None,
        directory: str | Path | None = None,
        executor: Executor | str = "inline",
        device: Runtime | str | None = None,
        table: str | Path | None = None,
        seed: int = 0,
        timeout_seconds: float | None = None,
        max_attempts: int = 3,
    ) -> None:
        if not isinstance(space, Space | ModelSpace):
            raise ConfigError(f"`space` must be a Space or a ModelSpace; got a {type(space).__name__}.")
        if device is not None and not isinstance(device, str) and not hasattr(device, "fingerprint"):
            raise ConfigError(f"`device` must be a name, such as 'onnxruntime:cpu', or a Runtime; got {device!r:.80}.")
        if timeout_seconds is not None:
            timeout_seconds = finite_number("timeout_seconds", timeout_seconds, above=0, otherwise=_NO_LIMIT)
        self._space = space
        self._architectures = space.space if isinstance(space, ModelSpace) else space
        self._evaluator = made_evaluator(evaluator)
        self._strategy = strategy
        self._requests = read_budgets(space, budgets)
        self._metrics = check_metrics(metrics)
        self._profilers = check_profilers(profilers, self._requests)
        self._executor = executor
        self._device = device
        self._table = None if table is None else path("table", table)
        self._seed = whole_number("seed", seed, at_least=0)
        self._timeout_seconds = timeout_seconds
        self._max_attempts = whole_number("max_attempts", max_attempts, at_least=1)
        check_strategy(strategy, len(self._metrics))
        check_executor(executor)
        if directory is None:
            directory = tempfile.mkdtemp(prefix="hwnas-")
            warnings.warn(
                f"The experiment is kept in {directory}, which the system may clear. Give `directory` to keep it.",
                stacklevel=2,
            )
        self.directory = path("directory", directory).absolute()  # an evaluation may change the working directory
        self._engine: Engine | None = None
        self._standings = Standings(self._metrics)

    def run(
        self,
        max_trials: int | None = None,
        *,
        max_duration_seconds: float | None = None,
        concurrency: int | None = None,
        progress: Callable[[Status], None] | None = None,
    ) -> Status:
        """Go on until there are enough trials, the time is up or the strategy has finished.

        It begins where the folder's history ends; call it again, with a larger `max_trials`, for more.

        Args:
            max_trials: how many the experiment has at most, those of before and the failed ones included.
            max_duration_seconds: of this call: no trial is begun after it, those under way are waited for.
            concurrency: trials at a time; None: one, or as many as the given executor has slots.
            progress: called with the status after every trial that is begun or ends.

        Returns:
            The status at the end.

        Raises:
            InfeasibleError: no architecture of the space keeps the budgets.
            RunDirectoryError: the folder holds something else, another experiment, or one in progress.
            ConfigError: an argument out of range, or an evaluator that the executor cannot use.
            BudgetError: a budget on latency without a device, or several from different ones.
            StrategyError: the strategy proposed what the space does not allow, or its filter refuses too much.
            StoreError: the folder's database is damaged, or the disk is full; what was written is kept.
        """
        if max_trials is not None:
            max_trials = whole_number("max_trials", max_trials, at_least=1, at_most=LARGEST, otherwise=_NO_LIMIT)
        if max_duration_seconds is not None:
            max_duration_seconds = finite_number(
                "max_duration_seconds", max_duration_seconds, above=0, otherwise=_NO_LIMIT
            )
        if concurrency is not None:
            concurrency = whole_number("concurrency", concurrency, at_least=1, otherwise="or None")
        if progress is not None and not callable(progress):
            raise ConfigError(f"`progress` must be a function of the status, or None; got {progress!r:.80}.")
        executor = make_executor(self._executor, concurrency, log_folder=self.directory / "workers")
        with open_run(self.directory, self._identity()) as store:
            engine = self._ready_engine()
            engine.catch_up(store)
            store.set_fact(SPACE, self._architectures.to_json())  # a damaged history is left as it is
            status = live_status(
                self._standings,
                engine,
                max_trials=max_trials,
                max_duration_seconds=max_duration_seconds,
                seconds_before=store.seconds(_STUDY),
            )
            engine.run(
                self._evaluator,
                executor,
                max_trials=max_trials,
                max_duration_seconds=max_duration_seconds,
                concurrency=concurrency,
                on_change=(lambda: None) if progress is None else (lambda: progress(status())),
            )
            return status()

    def status(self) -> Status:
        """How far the experiment is, as its folder has it; also while another process runs it.

        Raises:
            RunDirectoryError: it was never run.
        """
        return self._recorded().status

    def top(self, k: int = 1) -> list[Found]:
        """The `k` best architectures, the best first: those within all limits of metrics, then by score.

        Raises:
            RunDirectoryError: it was never run.
        """
        return self._recorded().top(k)

    def front(self) -> TrialFront:
        """The trials that no other one equals or beats in every metric, and their hypervolume.

        Raises:
            RunDirectoryError: it was never run.
        """
        return self._recorded().front()

    def export(self, k: int = 1, directory: str | Path | None = None) -> Path:
        """Write the `k` best architectures as `top.json`, and where there is a `ModelSpace` each as an ONNX file.

        The files have the weights that the space has: those of a trained supernet, or the ones it was made with.

        Args:
            k: how many.
            directory: where to; the folder `top` in the experiment's if not given.

        Returns:
            The path of `top.json`.

        Raises:
            RunDirectoryError: it was never run.
            ExportError: a network cannot be exported, or a file not be written.
        """
        model = self._space if isinstance(self._space, ModelSpace) else None
        folder = self.directory / "top" if directory is None else path("directory", directory)
        return export_top(self.top(k), model, folder)

    def _recorded(self) -> RecordedExperiment:
        return read_experiment(self.directory, _STUDY)

    def _ready_engine(self) -> Engine:
        """The engine of the last call where it can go on, else one with a new strategy."""
        if self._engine is not None and self._engine.is_settled:
            return self._engine
        if self._engine is not None and is_strategy(self._strategy):
            raise ConfigError(
                "This experiment was stopped while its strategy was at work, and that strategy cannot go on. Make a "
                "new Experiment with a new strategy and the same directory: its trials are kept. (A strategy given by "
                "name or as a class is made anew.)"
            )
        budgets, profilers = self._budgets_and_profilers()
        require_feasible(self._architectures, budgets)
        self._standings = standings = Standings(self._metrics)
        self._engine = Engine(
            made_strategy(self._strategy, self._space, budgets, profilers=profilers, seed=self._seed),
            study=_STUDY,
            metrics=self._metrics,
            budgets=budgets,
            profilers=self._profilers,
            space=self._architectures,
            seed=self._seed,
            timeout_seconds=self._timeout_seconds,
            max_attempts=self._max_attempts,
            on_tell=standings.add,
        )
        return self._engine

    def _budgets_and_profilers(self) -> tuple[list[Budget], Profilers | None]:
        if not isinstance(self._space, ModelSpace):
            return [request for request in self._requests if isinstance(request, Budget)], None
        profilers = measured_profilers(
            self._space, self._requests, device=self._device, table=self._table, folder=self.directory
        )
        return [b if isinstance(b, Budget) else resolve(b, profilers) for b in self._requests], profilers

    def _identity(self) -> dict[str, Any]:
        return {
            "space": self._architectures.uid,
            "strategy": strategy_name(self._strategy),
            "evaluator": evaluator_identity(self._evaluator),
            "budgets": sorted(map(budget_identity, self._requests)),
            "metrics": [dataclasses.asdict(metric) for metric in self._metrics],
            "profilers": sorted(self._profilers),
            "seed": self._seed,
        }
