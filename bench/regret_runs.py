"""The runs of `bench/regret.py`: a strategy of ours, or a sampler in Optuna's own loop, on a problem that is known.

Options follow from the number of trials by one rule, which was fixed before anything was run: a population is a fifth
of the trials, a tournament a quarter of the population; otherwise the defaults. `certified`, which needs to be told how
long it is, explores for half of them.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import math
from collections.abc import Callable, Mapping
from typing import Any

from regret_problems import Problem

from hwnas.experiment import STRATEGIES
from hwnas.experiment.strategies import is_one_shot
from hwnas.space import INACTIVE, Architecture
from hwnas.strategy import OptunaStrategy, Outcome, Strategy
from hwnas.strategy.protocol import FAILED

__all__ = ["OPTUNA", "OURS", "ROWS", "Run", "options_for", "run"]

_HAS_OPTUNA = importlib.util.find_spec("optuna") is not None
OPTUNA = {"optuna_tpe": "TPESampler", "optuna_nsga2": "NSGAIISampler"}
OURS = tuple(
    name
    for name in STRATEGIES
    if not is_one_shot(name) and (_HAS_OPTUNA or not issubclass(STRATEGIES[name], OptunaStrategy))  # type: ignore[arg-type]
)
ROWS = (*OURS, *(OPTUNA if _HAS_OPTUNA else ()))

Evaluate = Callable[[Architecture], float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What became of one run.

    Attributes:
        row: the strategy.
        problem: its name.
        within_budget: whether there was a budget.
        seed: of the strategy.
        regret: the best score of the space (within the budget) minus the best that was found (within it); None where
            nothing within it was evaluated.
        num_evaluated: trials that were run.
        num_over: those of them over budget.
        num_refused: proposals over budget that were not run; they count as trials as well.
    """

    row: str
    problem: str
    within_budget: bool
    seed: int
    regret: float | None
    num_evaluated: int
    num_over: int
    num_refused: int


class _Trials:
    """Evaluates, counts, and remembers the best within the budget; costs come from the table of the whole space."""

    def __init__(self, problem: Problem, *, within_budget: bool) -> None:
        self._problem = problem
        self._limit = problem.budget.limit if within_budget else math.inf
        self.best = -math.inf
        self.num_evaluated = self.num_over = self.num_refused = 0

    def is_over(self, architecture: Architecture) -> bool:
        return self._problem.costs[architecture] > self._limit

    def evaluate(self, architecture: Architecture) -> float:
        score = self._problem.scores[architecture]
        self.num_evaluated += 1
        if self.is_over(architecture):
            self.num_over += 1
        else:
            self.best = max(self.best, score)
        return score


def run(row: str, problem: Problem, num_trials: int, *, within_budget: bool, seed: int) -> Run:
    """One run of `num_trials` trials."""
    if _HAS_OPTUNA:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)  # a line for every study
    trials = _Trials(problem, within_budget=within_budget)
    search = _search_by_optuna if row in OPTUNA else _search
    search(row, problem, trials, num_trials, within_budget=within_budget, seed=seed)
    regret = problem.best(within_budget=within_budget) - trials.best
    assert row in OPTUNA or trials.num_over == 0, f"{row} ran {trials.num_over} trials over budget on {problem.name}"
    return Run(
        row=row,
        problem=problem.name,
        within_budget=within_budget,
        seed=seed,
        regret=regret if math.isfinite(regret) else None,
        num_evaluated=trials.num_evaluated,
        num_over=trials.num_over,
        num_refused=trials.num_refused,
    )


def options_for(row: str, num_trials: int) -> dict[str, Any]:
    """The options of a row."""
    population = max(num_trials // 5, 4)
    known: Mapping[str, dict[str, Any]] = {
        "certified": {
            "num_samples": max(num_trials // 2, 8),
            "num_held_out": max(num_trials // 10, 4),
            "num_candidates": max(num_trials // 20, 1),
            "max_rounds": 8,
        },
        "evolution": {"population_size": population, "sample_size": max(population // 4, 2)},
        "nsga2": {"population_size": population},
        "optuna": {"sampler": "nsgaii", "sampler_options": {"population_size": population}},  # "tpe" has a name
        "optuna_nsga2": {"population_size": population},
        "spos": {
            "population_size": population,
            "num_top": max(population // 5, 1),
            "num_crossover": population // 2,
            "num_mutation": population // 2,
            "num_generations": -(-num_trials // population),
        },
    }
    return known.get(row, {})


def _search(row: str, problem: Problem, trials: _Trials, num_trials: int, *, within_budget: bool, seed: int) -> None:
    """As an experiment does: one at a time, and what a strategy proposes over budget is refused, not run."""
    budgets = [problem.budget] if within_budget else []
    strategy: Strategy = STRATEGIES[row](problem.space, budgets, seed=seed, **options_for(row, num_trials))  # type: ignore[assignment]
    for _ in range(num_trials):
        proposals = strategy.ask(1)
        if not proposals:
            return  # it has finished
        [proposal] = proposals
        if trials.is_over(proposal.architecture):
            trials.num_refused += 1
            outcome = FAILED
        else:
            outcome = Outcome(score=trials.evaluate(proposal.architecture))
        strategy.tell(proposal, outcome)


def _search_by_optuna(
    row: str, problem: Problem, trials: _Trials, num_trials: int, *, within_budget: bool, seed: int
) -> None:
    """Optuna alone, as its documentation has it: every trial is run, and the budget is a constraint on its result."""
    import optuna

    sampler = getattr(optuna.samplers, OPTUNA[row])(seed=seed, **options_for(row, num_trials))
    space, limit = problem.space, problem.budget.limit

    def objective(trial: optuna.Trial) -> float:
        codes: list[int] = []
        for position, choice in enumerate(space.choices):
            is_active = space.is_active(position, codes)
            options = tuple(range(choice.num_options))
            codes.append(trial.suggest_categorical(choice.name, options) if is_active else INACTIVE)
        architecture = space.architecture(codes)
        if within_budget:
            trial.set_constraint("cost", problem.costs[architecture] / limit - 1.0)
        return trials.evaluate(architecture)

    optuna.create_study(direction="maximize", sampler=sampler).optimize(objective, n_trials=num_trials)
