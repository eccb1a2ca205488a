"""Runs as studies of Optuna, and studies of Optuna as the history of a strategy.

A study has a trial for every trial of the run that has ended: "complete" ones are COMPLETE, "stopped" ones PRUNED,
"failed" and "refused" ones FAIL. Options that Optuna cannot keep as they are (lists, for example) are their JSON text.
Constraints are Optuna's system attribute "constraints", a list of numbers above 0 where one is violated, which its
samplers and its dashboard read; the study's user attribute "constraints" names them.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.cost import relative_excess
from hwnas.errors import ArchitectureError, ConfigError, RunDirectoryError
from hwnas.experiment.engine import LIMITS
from hwnas.experiment.metric import Metric
from hwnas.experiment.recorded import read_experiment
from hwnas.experiment.run_directory import CONFIGURATION, SPACE, STORE_NAME
from hwnas.space import Architecture, Space
from hwnas.store import Event, Trial, TrialStore
from hwnas.strategy import Outcome, Proposal
from hwnas.strategy.optuna_strategy import optuna_package
from hwnas.strategy.protocol import FAILED

if TYPE_CHECKING:
    import optuna

__all__ = ["ExportedStudy", "export_optuna", "import_optuna"]

_STATES = {"complete": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL", "refused": "FAIL"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportedStudy:
    """What was written.

    Attributes:
        name: of the study in its storage.
        num_added: trials added now.
        num_trials: of the run in the study altogether.
    """

    name: str
    num_added: int
    num_trials: int


def export_optuna(
    run: str | Path,
    storage: str | optuna.storages.BaseStorage,
    *,
    study_name: str | None = None,
    search: str | None = None,
) -> ExportedStudy:
    """Write the trials of a run as a study of Optuna; again, those that ended since.

    The run is only read, also while it goes on. Intermediate values, times, metrics and costs are written as well.

    Args:
        run: the folder of an experiment or of a search.
        storage: Optuna's URL, "sqlite:///trials.db" for example, or a storage.
        study_name: in the storage; the folder's name if not given.
        search: which search of the run; the first if not given.

    Returns:
        The study's name and how many trials were added.

    Raises:
        RunDirectoryError: the folder holds no such run, or one without its space, of an older hwnas.
        ConfigError: the storage cannot be opened, or has another study of this name.
        MissingExtraError: Optuna is not installed.
        StoreError: the run's database is damaged.
    """
    package = optuna_package()
    recorded = read_experiment(run, search)
    with TrialStore(Path(run) / STORE_NAME, write=False) as store:
        configuration, written = store.fact(CONFIGURATION), store.fact(SPACE)
        limits: Mapping[str, float] = store.fact(f"{LIMITS}|{recorded.study}", dict) or {}
        events = list(store.events(recorded.study))
    if written is None:
        raise RunDirectoryError(
            f"The run in {run} does not say what its space is: it was made by an older hwnas. Go on with it once (give "
            "its command again), then export it."
        )
    categories = _categories(package, Space.from_json(written))
    constraints = _constraints(limits, recorded.metrics)
    name = study_name or Path(run).resolve().name
    marks = {
        "hwnas_run": json.dumps([configuration, recorded.study], sort_keys=True),
        "metrics": [metric.name for metric in recorded.metrics],
        "constraints": list(constraints),
    }
    study = _study(package, storage, name, recorded.metrics, marks)
    known = {trial.user_attrs.get("trial") for trial in study.get_trials(deepcopy=False)}
    ended = [trial for trial in recorded.trials if trial.status != "running"]
    new = [trial for trial in ended if trial.number not in known]
    happened: dict[int, list[Event]] = {}
    for event in events:
        happened.setdefault(event.number, []).append(event)
    for trial in new:
        study.add_trial(_frozen(package, trial, happened[trial.number], categories, recorded.metrics, constraints))
    return ExportedStudy(name=name, num_added=len(new), num_trials=len(ended))


def import_optuna(
    storage: str | optuna.storages.BaseStorage, study_name: str, space: Space
) -> list[tuple[Proposal, Outcome]]:
    """The finished trials of a study of Optuna, to be told to a strategy: see `KnownTrials`.

    Args:
        storage: Optuna's URL, or a storage.
        study_name: in the storage.
        space: whose choices the study's parameters are, by name.

    Returns:
        In the study's order, with objectives of which larger is better; failed and pruned ones have failed outcomes.

    Raises:
        ConfigError: the storage cannot be opened or has no such study, or the study is of another space.
        MissingExtraError: Optuna is not installed.
    """
    package = optuna_package()
    study = _opened(storage, study_name, lambda: package.load_study(study_name=study_name, storage=storage))
    signs = [1.0 if direction.name == "MAXIMIZE" else -1.0 for direction in study.directions]
    options = {choice.name: {_kept(choice.options)(o): o for o in choice.options} for choice in space.choices}
    history = []
    for trial in study.get_trials(deepcopy=False, states=[package.trial.TrialState[s] for s in set(_STATES.values())]):
        try:
            found = {name: options[name][value] for name, value in trial.params.items()}
            architecture = space.validate(found)
        except (KeyError, ArchitectureError) as error:
            raise ConfigError(
                f"The study {study_name!r} is of another space: its trial {trial.number} has {error}. Give the space "
                "whose choices it has."
            ) from error
        if trial.state.name != "COMPLETE":  # a pruned one has its last report as a value
            outcome = FAILED
        else:
            objectives = tuple(sign * value for sign, value in zip(signs, trial.values, strict=True))
            violation = sum(excess for excess in trial.constraints.values() if excess > 0.0)
            outcome = Outcome(score=objectives[0], objectives=objectives, violation=violation)
        history.append((Proposal(architecture=architecture), outcome))
    return history


def _kept(options: Sequence[Any]) -> Callable[[Any], Any]:
    """How options are written: as they are, or as JSON where Optuna cannot keep or tell them apart."""
    plain = all(option is None or isinstance(option, bool | int | float | str) for option in options)
    return (lambda option: option) if plain and len(set(options)) == len(options) else json.dumps


def _categories(package: Any, space: Space) -> dict[str, tuple[Callable[[Any], Any], Any]]:
    """Of every choice, how its options are written and Optuna's distribution over them."""
    made = {}
    for choice in space.choices:
        write = _kept(choice.options)
        distribution = package.distributions.CategoricalDistribution(tuple(write(option) for option in choice.options))
        made[choice.name] = (write, distribution)
    return made


def _constraints(limits: Mapping[str, float], metrics: Sequence[Metric]) -> dict[str, Callable[[Trial], float]]:
    """By name, by how much a trial is over a budget or a metric's limit, as a share of it; at most 0: kept."""
    made: dict[str, Callable[[Trial], float]] = {}
    made |= {f"{name} <= {limit:g}": functools.partial(_over_budget, name, limit) for name, limit in limits.items()}
    for metric in metrics:
        if metric.limit is not None:
            sign = ">=" if metric.direction == "maximise" else "<="
            made[f"{metric.name} {sign} {metric.limit:g}"] = functools.partial(_over_limit, metric)
    return made


def _over_budget(name: str, limit: float, trial: Trial) -> float:
    return relative_excess(trial.costs[name], limit)


def _over_limit(metric: Metric, trial: Trial) -> float:
    return metric.excess(_value(trial, metric)) if trial.status == "complete" else 0.0  # not known


def _value(trial: Trial, metric: Metric) -> float:
    return {**trial.costs, **trial.metrics}[metric.name]


def _study(
    package: Any,
    storage: str | optuna.storages.BaseStorage,
    name: str,
    metrics: Sequence[Metric],
    marks: Mapping[str, Any],
) -> optuna.Study:
    """The study of this run, new or from before."""
    directions = ["maximize" if metric.direction == "maximise" else "minimize" for metric in metrics]
    study: optuna.Study = _opened(
        storage,
        name,
        lambda: package.create_study(study_name=name, storage=storage, directions=directions, load_if_exists=True),
    )
    found = [direction.name.lower() for direction in study.directions]
    if found != directions:
        raise ConfigError(
            f"The storage has a study {name!r} with other directions ({', '.join(found)}; this run's are "
            f"{', '.join(directions)}). Give another study name."
        )
    if study.user_attrs.get("hwnas_run", marks["hwnas_run"]) != marks["hwnas_run"] or (
        "hwnas_run" not in study.user_attrs and study.get_trials(deepcopy=False)
    ):
        raise ConfigError(f"The study {name!r} in the storage is not of this run. Give another study name.")
    if study.metric_names != marks["metrics"]:
        with warnings.catch_warnings():  # an interface that may change is no matter of the user's
            warnings.simplefilter("ignore", package.exceptions.ExperimentalWarning)
            study.set_metric_names(marks["metrics"])
    for key, value in marks.items():
        if study.user_attrs.get(key) != value:
            study.set_user_attr(key, value)
    return study


def _opened(storage: object, name: str, open_study: Callable[[], Any]) -> Any:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return open_study()
    except KeyError as error:
        raise ConfigError(f"There is no study {name!r} in {storage}. Give another name, or another storage.") from error
    except (ValueError, ImportError, RuntimeError, SQLAlchemyError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"The study cannot be opened in {storage}: {first.rstrip('.')}. A storage is written as in sqlite:///trials.db."
        ) from error


def _frozen(
    package: Any,
    trial: Trial,
    events: Sequence[Event],
    categories: Mapping[str, tuple[Callable[[Any], Any], Any]],
    metrics: Sequence[Metric],
    constraints: Mapping[str, Callable[[Trial], float]],
) -> optuna.trial.FrozenTrial:
    """A trial that has ended, as Optuna keeps it."""
    architecture = Architecture.from_json(trial.architecture)
    excesses = [excess(trial) for excess in constraints.values()]
    made: optuna.trial.FrozenTrial = package.trial.create_trial(
        state=package.trial.TrialState[_STATES[trial.status]],
        values=[_value(trial, metric) for metric in metrics] if trial.status == "complete" else None,
        params={name: categories[name][0](option) for name, option in architecture.items()},
        distributions={name: categories[name][1] for name in architecture},
        user_attrs={
            "trial": trial.number,
            "uid": architecture.uid,
            "status": trial.status,
            "fidelity": trial.fidelity,
            "costs": dict(trial.costs),
            "metrics": dict(trial.metrics),
            "error": trial.error,
            "seconds": trial.seconds,
        },
        system_attrs={"constraints": excesses} if excesses else {},
        intermediate_values={e.content["step"]: e.content["value"] for e in events if e.kind == "reported"},
    )
    made.datetime_start = datetime.datetime.fromtimestamp(events[0].time)  # local and without zone, as all of Optuna's
    made.datetime_complete = datetime.datetime.fromtimestamp(events[-1].time)
    return made
