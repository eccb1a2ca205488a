"""Runs as studies of Optuna, and back."""

import pathlib

import optuna
import pytest

from hwnas.cost import Budget, CostTable
from hwnas.errors import ConfigError, RunDirectoryError
from hwnas.experiment import Experiment, Metric, export_optuna, import_optuna
from hwnas.experiment.run_directory import STORE_NAME
from hwnas.space import Choice, Requirement, Space
from hwnas.store import TrialStore
from hwnas.strategy import TPE, Chain, KnownTrials

SPACE = Space(
    [
        Choice("kind", ("plain", "wide", [3, 5])),
        Choice("width", (1, 2, 3), condition=[[Requirement("kind", ("wide",))]]),
    ]
)
COST = CostTable.from_options(
    SPACE, {"kind": {"plain": 1.0, "wide": 2.0, (3, 5): 3.0}, "width": {1: 1.0, 2: 2.0, 3: 3.0}}
)


def evaluate(architecture, report):
    report(0, 0.25)
    if architecture.get("width") == 2:
        raise ValueError("two is wrong")
    return {"score": float(architecture.get("width", 0)), "waste": COST.value(architecture)}


def experiment(directory: pathlib.Path, **options) -> Experiment:
    metrics = [Metric("score"), Metric("waste", "minimise", limit=2.0)]
    budgets = [Budget("cost", 4.0, "", COST)]
    return Experiment(SPACE, evaluate, "grid", metrics=metrics, budgets=budgets, directory=directory, **options)


def test_a_run_as_a_study(tmp_path: pathlib.Path) -> None:
    """All architectures but the one over the budget; what Optuna reads is what the run has."""
    run = experiment(tmp_path / "mine")
    run.run()
    storage = f"sqlite:///{tmp_path}/trials.db"
    written = export_optuna(tmp_path / "mine", storage)
    assert (written.name, written.num_added, written.num_trials) == ("mine", 4, 4)
    study = optuna.load_study(study_name="mine", storage=storage)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["score", "waste"]  # what its plots and the dashboard write at the axes
    assert study.user_attrs["constraints"] == ["cost <= 4", "waste <= 2"]
    trials = {trial.params["kind"]: trial for trial in study.trials if "width" not in trial.params}
    trials |= {trial.params["width"]: trial for trial in study.trials if "width" in trial.params}
    assert set(trials) == {'"plain"', "[3, 5]", 1, 2}
    assert trials['"plain"'].values == [0.0, 1.0]
    assert trials["[3, 5]"].values == [0.0, 3.0]
    assert trials[1].values == [1.0, 3.0]
    assert trials[2].state.name == "FAIL"
    assert "two is wrong" in trials[2].user_attrs["error"]
    # A share of 4 and of 2 beyond or, negative, within; what Optuna itself takes for constraints.
    assert list(trials['"plain"'].constraints.values()) == [-0.75, -0.5]
    assert list(trials["[3, 5]"].constraints.values()) == [-0.25, 0.5]
    assert list(trials[2].constraints.values()) == [0.0, 0.0]
    for trial in trials.values():
        assert trial.intermediate_values == {0: 0.25}
        assert trial.datetime_start <= trial.datetime_complete
        assert trial.user_attrs["costs"] == {"cost": pytest.approx(4 + 4 * next(iter(trial.constraints.values())))}
    assert {trial.user_attrs["uid"] for trial in study.trials} == {
        a.uid for a in SPACE.enumerate() if COST.value(a) <= 4.0
    }


def test_again_only_what_is_missing_is_added(tmp_path: pathlib.Path) -> None:
    storage = optuna.storages.InMemoryStorage()
    experiment(tmp_path / "mine").run(2)
    assert export_optuna(tmp_path / "mine", storage, study_name="one").num_added == 2
    assert export_optuna(tmp_path / "mine", storage, study_name="one").num_added == 0
    experiment(tmp_path / "mine").run()
    assert export_optuna(tmp_path / "mine", storage, study_name="one").num_added == 2
    study = optuna.load_study(study_name="one", storage=storage)
    assert [trial.user_attrs["trial"] for trial in study.trials] == [0, 1, 2, 3]


def test_a_study_is_the_history_of_a_strategy(tmp_path: pathlib.Path) -> None:
    storage = optuna.storages.InMemoryStorage()
    run = experiment(tmp_path / "mine")
    run.run()
    export_optuna(tmp_path / "mine", storage)
    history = import_optuna(storage, "mine", SPACE)
    assert len(history) == 4
    by_architecture = {proposal.architecture: outcome for proposal, outcome in history}
    for one in run.top(10):
        outcome = by_architecture[one.architecture]
        assert outcome.objectives == (one.metrics["score"], -one.metrics["waste"])
        assert outcome.violation == one.violation
    assert sum(outcome.failed for outcome in by_architecture.values()) == 1
    told = Chain(TPE(SPACE), KnownTrials(tuple(history)))
    assert told.derive(()).architecture == run.top(1)[0].architecture


def test_a_history_of_another_space(tmp_path: pathlib.Path) -> None:
    storage = optuna.storages.InMemoryStorage()
    experiment(tmp_path / "mine").run()
    export_optuna(tmp_path / "mine", storage)
    for other in (
        Space([Choice("kind", ("plain", "wide"))]),
        Space([Choice("other", (1, 2))]),
        Space([*SPACE.choices, Choice("more", (1, 2))]),
    ):
        with pytest.raises(ConfigError, match="The study 'mine' is of another space: its trial 0 has"):
            import_optuna(storage, "mine", other)
    with pytest.raises(ConfigError, match=r"There is no study 'yours' in .*Give another name"):
        import_optuna(storage, "yours", SPACE)


def test_other_studies_are_left_alone(tmp_path: pathlib.Path) -> None:
    storage = optuna.storages.InMemoryStorage()
    experiment(tmp_path / "mine").run()
    optuna.create_study(study_name="single", storage=storage)
    with pytest.raises(
        ConfigError, match=r"study 'single' with other directions \(minimize; this run's are maximize, m"
    ):
        export_optuna(tmp_path / "mine", storage, study_name="single")
    other = optuna.create_study(study_name="other", storage=storage, directions=["maximize", "minimize"])
    other.add_trial(optuna.trial.create_trial(values=[0.0, 0.0]))
    with pytest.raises(ConfigError, match="The study 'other' in the storage is not of this run"):
        export_optuna(tmp_path / "mine", storage, study_name="other")
    experiment(tmp_path / "yours", seed=1).run()
    export_optuna(tmp_path / "mine", storage, study_name="mine")
    with pytest.raises(ConfigError, match="The study 'mine' in the storage is not of this run"):
        export_optuna(tmp_path / "yours", storage, study_name="mine")


def test_a_storage_that_cannot_be_opened(tmp_path: pathlib.Path) -> None:
    experiment(tmp_path / "mine").run(1)
    for storage in ("trials.db", f"sqlite:///{tmp_path}/no/such/folder/trials.db"):
        with pytest.raises(ConfigError, match=r"cannot be opened in .*trials.db: .* as in sqlite:///trials\.db"):
            export_optuna(tmp_path / "mine", storage)


def test_folders_that_cannot_be_exported(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RunDirectoryError, match="holds no run"):
        export_optuna(tmp_path, optuna.storages.InMemoryStorage())
    experiment(tmp_path / "mine").run(1)
    with TrialStore(tmp_path / "mine" / STORE_NAME) as store:
        store.execute("DELETE FROM facts WHERE name = 'space'")
    with pytest.raises(RunDirectoryError, match="does not say what its space is: it was made by an older hwnas"):
        export_optuna(tmp_path / "mine", optuna.storages.InMemoryStorage())


def test_pruned_trials_have_no_score(tmp_path: pathlib.Path) -> None:
    """Optuna gives them their last report as a value."""
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="pruned", direction="maximize")
    space = Space([Choice("a", (0, 1))])

    def objective(trial: optuna.Trial) -> float:
        a = trial.suggest_categorical("a", (0, 1))
        trial.report(0.9 - a, 1)
        if a == 0:
            raise optuna.TrialPruned
        return 0.1

    for a in (0, 1):
        study.enqueue_trial({"a": a})
    study.optimize(objective, n_trials=2)
    assert [outcome.failed for _, outcome in import_optuna(storage, "pruned", space)] == [True, False]
