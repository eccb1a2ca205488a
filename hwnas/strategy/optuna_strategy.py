"""Optuna's samplers as strategies: TPE and others, under hard budgets.

T. Akiba, S. Sano, T. Yanase, T. Ohta, M. Koyama: Optuna: A Next-generation Hyperparameter Optimization Framework.
KDD 2019, https://doi.org/10.1145/3292500.3330701. TPE: J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl: Algorithms for
Hyper-Parameter Optimization. NeurIPS 2011.

Every proposal is a trial of a study in memory. Its choices are asked for in the space's order, one that is inactive not
at all (Optuna calls that a conditional search space, defined by run); an option is its index, a category. What is over
budget is not evaluated: it ends as a trial whose constraints are violated, so that the sampler learns where the budgets
are, and another one is drawn. (Its values are the worst told so far. Optuna wants some, but its samplers compare what
violates constraints by these alone.) When too many have been drawn, the last is repaired by the exact solver and enters
the study as an enqueued trial. Without budgets and conditions the proposals are, to the last one, those of Optuna
itself.

Optuna logs one line where a study is made ("A new study created in memory"), which cannot be kept away without
changing its logger for the whole process; `optuna.logging.set_verbosity` does that.
"""

from __future__ import annotations

import inspect
import warnings
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwnas.arguments import truth, whole_number
from hwnas.cost import Budget, keeps_all, relative_excess
from hwnas.errors import ConfigError, MissingExtraError, StrategyError
from hwnas.space import INACTIVE, Architecture, Space
from hwnas.strategy.domination import objectives_of
from hwnas.strategy.feasible import repair, require_feasible
from hwnas.strategy.given import given_budgets, given_space
from hwnas.strategy.history import History
from hwnas.strategy.protocol import Derived, Outcome, Proposal

if TYPE_CHECKING:
    import optuna

__all__ = ["TPE", "OptunaStrategy", "optuna_package"]

_SAMPLERS = {"nsgaii": "NSGAIISampler", "nsgaiii": "NSGAIIISampler", "random": "RandomSampler", "tpe": "TPESampler"}
_OURS = ("self", "seed", "constraints_func")  # arguments of samplers that are given or replaced here


class OptunaStrategy:
    """One of Optuna's samplers: "tpe", "nsgaii", "nsgaiii" or "random".

    It never ends by itself, and may propose an architecture again. Samplers of Optuna that are not here either take no
    categories (CMA-ES), or fit a model to the values of every trial (Gaussian processes), of which one over budget has
    none.

    Args:
        space: what may vary.
        budgets: hard limits that every proposal keeps.
        sampler: its name.
        sampler_options: of Optuna's class, by name: {"population_size": 20} for "nsgaii".
        num_objectives: how many of the objectives of an outcome are optimised, the score first.
        max_redraws: how often a proposal over budget is drawn anew before it is repaired.
        seed: proposals are a function of it and of what was asked and told, in that order.

    Raises:
        ConfigError: an unknown sampler or option, or a number out of range.
        InfeasibleError: no architecture keeps the budgets.
        MissingExtraError: Optuna is not installed.
    """

    def __init__(
        self,
        space: Space,
        budgets: Sequence[Budget] = (),
        *,
        sampler: str = "tpe",
        sampler_options: Mapping[str, Any] | None = None,
        num_objectives: int = 1,
        max_redraws: int = 10,
        seed: int = 0,
    ) -> None:
        self._space = space = given_space(space)
        self._budgets = budgets = given_budgets(budgets)
        num_objectives = whole_number("num_objectives", num_objectives, at_least=1)
        max_redraws = whole_number("max_redraws", max_redraws, at_least=0)
        seed = whole_number("seed", seed, at_least=0)
        self._optuna = optuna_package()
        made = _sampler(self._optuna, sampler, sampler_options or {}, seed)
        require_feasible(space, budgets)
        self._num_objectives = num_objectives
        self._max_redraws = max_redraws
        self._study = self._optuna.create_study(
            study_name="hwnas", sampler=made, directions=["maximize"] * num_objectives
        )
        self._categories = {
            choice.name: self._optuna.distributions.CategoricalDistribution(tuple(range(choice.num_options)))
            for choice in space.choices
        }
        self._running: dict[Architecture, deque[optuna.Trial]] = defaultdict(deque)
        self._worst = [0.0] * num_objectives  # of the values told, where there are any
        self._history = History(space)

    def ask(self, num: int = 1) -> list[Proposal]:
        """What the sampler draws, within the budgets; asking never waits."""
        proposals = []
        for _ in range(num):
            trial, architecture = self._draw()
            self._running[architecture].append(trial)
            proposals.append(Proposal(architecture=architecture))
        return proposals

    def tell(self, proposal: Proposal, outcome: Outcome) -> None:
        """End the trial; what was never asked for, such as another experiment's history, is added to the study.

        Raises:
            StrategyError: fewer objectives than `num_objectives`.
        """
        values = objectives_of(outcome)[: self._num_objectives]
        if not outcome.failed and len(values) < self._num_objectives:
            raise StrategyError(
                f"`num_objectives` is {self._num_objectives}, but the outcome has {len(values)}. Give the strategy as "
                "many as the evaluator has metrics, or fewer."
            )
        if not outcome.failed:
            self._worst = (
                [min(pair) for pair in zip(self._worst, values, strict=True)] if len(self._history) else [*values]
            )
        self._history.add(proposal, outcome)
        state = self._optuna.trial.TrialState.FAIL if outcome.failed else self._optuna.trial.TrialState.COMPLETE
        running = self._running.get(proposal.architecture)
        if running:
            trial = running.popleft()
            if not running:
                del self._running[proposal.architecture]
            trial.set_constraint("violation", outcome.violation)
            self._study.tell(trial, None if outcome.failed else values, state=state)
            return
        codes = self._codes(proposal.architecture)
        self._study.add_trial(
            self._optuna.trial.create_trial(
                state=state,
                values=None if outcome.failed else values,
                params=codes,
                distributions={name: self._categories[name] for name in codes},
                constraints={**self._excesses(proposal.architecture), "violation": outcome.violation},
            )
        )

    def derive(self, budgets: Sequence[Budget]) -> Derived:
        """The best architecture told of that keeps `budgets`; see `History.derive`."""
        return self._history.derive(budgets)

    def _draw(self) -> tuple[optuna.Trial, Architecture]:
        """A running trial that keeps the budgets."""
        for _ in range(self._max_redraws + 1):
            trial, architecture = self._next_trial()
            if keeps_all(architecture, self._budgets):
                return trial, architecture
            self._study.tell(trial, self._worst)
        self._study.enqueue_trial(self._codes(repair(self._space, architecture, self._budgets)))
        return self._next_trial()

    def _next_trial(self) -> tuple[optuna.Trial, Architecture]:
        trial = self._study.ask()
        codes: list[int] = []
        for position, name in enumerate(self._space.names):
            if self._space.is_active(position, codes):
                codes.append(trial.suggest_categorical(name, self._categories[name].choices))
            else:
                codes.append(INACTIVE)
        architecture = self._space.architecture(codes)
        for key, excess in self._excesses(architecture).items():
            trial.set_constraint(key, excess)
        return trial, architecture

    def _codes(self, architecture: Architecture) -> dict[str, int]:
        codes = zip(self._space.names, self._space.codes(architecture), strict=True)
        return {name: code for name, code in codes if code != INACTIVE}

    def _excesses(self, architecture: Architecture) -> dict[str, float]:
        """By how much budgets are exceeded; see `relative_excess`."""
        return {str(b): relative_excess(b.cost.value(architecture), b.limit) for b in self._budgets}


class TPE(OptunaStrategy):
    """Optuna's tree-structured Parzen estimator: draws what good trials had and bad ones had not.

    It never ends by itself, and may propose an architecture again. See `OptunaStrategy`.

    Args:
        space: what may vary.
        budgets: hard limits that every proposal keeps.
        n_startup_trials: random ones in the beginning; those that are drawn anew count.
        multivariate: choices are drawn jointly (in a space with conditions in groups that are active together, Optuna's
            `group`); None for Optuna's default: with one objective they are.
        num_objectives: as `OptunaStrategy`.
        max_redraws: as `OptunaStrategy`.
        seed: as `OptunaStrategy`.

    Raises:
        ConfigError: a number out of range.
        InfeasibleError: no architecture keeps the budgets.
        MissingExtraError: Optuna is not installed.
    """

    def __init__(
        self,
        space: Space,
        budgets: Sequence[Budget] = (),
        *,
        n_startup_trials: int = 10,
        multivariate: bool | None = None,
        num_objectives: int = 1,
        max_redraws: int = 10,
        seed: int = 0,
    ) -> None:
        space = given_space(space)
        n_startup_trials = whole_number("n_startup_trials", n_startup_trials, at_least=0)
        jointly = num_objectives == 1 if multivariate is None else truth("multivariate", multivariate)
        grouped = jointly and any(choice.condition for choice in space.choices)
        super().__init__(
            space,
            budgets,
            sampler="tpe",
            sampler_options={"n_startup_trials": n_startup_trials, "multivariate": jointly, "group": grouped},
            num_objectives=num_objectives,
            max_redraws=max_redraws,
            seed=seed,
        )


def optuna_package() -> Any:
    """The package optuna, imported when it is first needed.

    Raises:
        MissingExtraError: it is not installed, or too old.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError(
            "This needs the package optuna, which is not installed: pip install 'hwnas[optuna]'."
        ) from error
    if not hasattr(optuna.Trial, "set_constraint"):
        raise MissingExtraError(
            f"This needs optuna 5 or newer; {optuna.__version__} is installed: pip install 'hwnas[optuna]'."
        )
    return optuna


def _sampler(package: Any, name: str, options: Mapping[str, Any], seed: int) -> optuna.samplers.BaseSampler:
    if not isinstance(name, str) or name not in _SAMPLERS:
        raise ConfigError(f"Unknown sampler {name!r}; known are {', '.join(sorted(_SAMPLERS))}.")
    factory = getattr(package.samplers, _SAMPLERS[name])
    known = [option for option in inspect.signature(factory).parameters if option not in _OURS]
    for option in options:
        if option not in known:
            raise ConfigError(f"The sampler {name!r} has no option {option!r}; known are {', '.join(known) or 'none'}.")
    try:
        with warnings.catch_warnings():  # an interface that may change is no matter of the user's
            warnings.simplefilter("ignore", package.exceptions.ExperimentalWarning)
            # NumPy's RandomState takes seeds of 32 bits.
            made: optuna.samplers.BaseSampler = factory(seed=seed % 2**32, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"The sampler {name!r} cannot be made with these options: {error}") from error
    return made
