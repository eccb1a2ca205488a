"""Arguments of the wrong kind or out of range: one sentence each, before anything is written."""

import math

import numpy as np
import pytest

import hwnas
from hwnas import NumParamsProfiler
from hwnas.cost import Budget
from hwnas.errors import BudgetError, ConfigError, ExportError, RunDirectoryError, StrategyError
from hwnas.experiment import Experiment, InlineExecutor, Metric
from hwnas.space import Choice, Space
from hwnas.strategy import DARTS, FailureHandler, Filter, Random, unbound
from hwnas.trial import FunctionEvaluator
from tests.experiment.many_trials import COST, SPACE, score


class Sum:
    def profile(self, architecture):
        return float(sum(architecture.values()))


class Proposes:
    def __init__(self, proposals):
        self.proposals = proposals

    def ask(self, num=1):
        return self.proposals

    def tell(self, proposal, outcome):
        pass


class NoStrategy:
    def __init__(self, space, budgets, seed):
        pass


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"space": 3}, ConfigError, "`space` must be a Space or a ModelSpace; got a int"),
        ({"evaluator": 3}, ConfigError, "`evaluator` must be an evaluator, a function of the architecture, or"),
        (
            {"evaluator": FunctionEvaluator},
            ConfigError,
            "`evaluator` must be an evaluator, a function of the architecture, or",
        ),
        ({"strategy": "best"}, ConfigError, "Unknown strategy 'best'; known are certified"),
        ({"strategy": "darts"}, ConfigError, "'darts' trains a supernet step by step.*use hwnas.search"),
        ({"strategy": DARTS}, ConfigError, "'DARTS' trains a supernet step by step"),
        ({"strategy": unbound.DARTS()}, ConfigError, "trains a supernet step by step"),
        ({"strategy": 3}, ConfigError, "`strategy` must be a name, a strategy .* or what makes one; got 3"),
        ({"strategy": lambda: 3}, ConfigError, "cannot be made: .*It is called with .space, budgets, seed=seed."),
        ({"strategy": NoStrategy}, ConfigError, "gave a NoStrategy, which is no strategy"),
        *(
            ({"strategy": Proposes(wrong)}, StrategyError, "must give a list of Proposal; Proposes gave")
            for wrong in (None, "x", ["x"], 3)
        ),
        (
            {"strategy": Random(Space([Choice("c0", (0, 1)), Choice("other", (1, 2))]))},
            StrategyError,
            "The strategy proposed what the space does not allow: .*. Make it with the experiment's space.",
        ),
        *(
            (
                {"strategy": chain.Chain(strategy, middleware), "metrics": metrics},
                ConfigError,
                rf"`metric\w*` must have one number for each of the {len(metrics)} metrics, or be None; got",
            )
            for chain, strategy in ((unbound, unbound.NSGA2()), (hwnas, Random(SPACE)))
            for metrics, middleware in (
                ([Metric("score"), Metric("size")], FailureHandler(-5.0)),
                ([Metric("score")], Filter(callable, (-5.0, -50.0))),
            )
        ),
        ({"seed": -1}, ConfigError, "`seed` must be a whole number of at least 0; got -1"),
        ({"seed": True}, ConfigError, "`seed` must be a whole number of at least 0; got True"),
        *(
            ({"timeout_seconds": wrong}, ConfigError, "`timeout_seconds` must be .* above 0, or None for no limit; got")
            for wrong in (0, "60", True, math.nan, math.inf, [60])
        ),
        *(
            ({"max_attempts": wrong}, ConfigError, "`max_attempts` must be a whole number of at least 1; got")
            for wrong in (0, "3", True, 2.0, None)
        ),
        ({"executor": "cloud"}, ConfigError, "Unknown executor 'cloud'; known are inline"),
        *(
            ({"executor": wrong}, ConfigError, "`executor` must be 'inline', .*or an executor, such as .*; got")
            for wrong in (3, None, InlineExecutor, ["inline"])
        ),
        ({"profilers": [1]}, ConfigError, r"`profilers` must be a mapping from names to profilers.*; got \[1\]"),
        ({"profilers": {"macs": 3}}, ConfigError, r"`profilers\['macs'\]` must be a profiler, .*; got 3"),
        ({"profilers": {"macs": NumParamsProfiler}}, ConfigError, "must be a profiler, .*; got <class "),
        ({"profilers": {3: Sum()}}, ConfigError, "`profilers` must have names, which are texts; got 3"),
        (
            {"profilers": {"cost": Sum()}, "budgets": [Budget("cost", 5.0, "", COST)]},
            ConfigError,
            "`profilers` has 'cost', and so is a budget called, .* Leave the profiler out, or give it another name",
        ),
        *(
            ({"metrics": wrong}, ConfigError, "`metrics` must be a list of Metric, .*; got")
            for wrong in ("accuracy", ["accuracy"], Metric("accuracy"), None)
        ),
        ({"metrics": []}, ConfigError, "`metrics` must name at least one metric"),
        *(
            ({"directory": wrong}, ConfigError, "`directory` must be a path, a text or a Path of pathlib; got")
            for wrong in (b"runs", 3, "", "a\0b")
        ),
        ({"table": 3}, ConfigError, "`table` must be a path, a text or a Path of pathlib; got 3"),
        ({"device": 3}, ConfigError, "`device` must be a name, such as 'onnxruntime:cpu', or a Runtime; got 3"),
        ({"evaluator": "score"}, ConfigError, "A function is written 'module:function' or 'file.py:function'; got"),
        ({"budgets": None}, BudgetError, "`budgets` must be a list; got None"),
        ({"budgets": {"macs": 3}}, BudgetError, "`budgets` must be a list; got"),
        ({"budgets": "macs<=3M"}, BudgetError, "`budgets` must be a list; got macs<=3M"),
        ({"budgets": [3]}, BudgetError, "A budget must read profiler<=limit, as in latency<=5ms; got 3"),
        ({"budgets": ["macs<=3M"]}, BudgetError, "a Space has no network. Give a ModelSpace"),
        (
            {"budgets": [Budget("cost", 1.0, "", COST), Budget("cost", 2.0, "", COST)]},
            BudgetError,
            "one limit on each quantity; there are several on cost",
        ),
    ],
)
def test_wrong_arguments(tmp_path, options, error, match):
    arguments = {"space": SPACE, "evaluator": score, "strategy": "random", "directory": tmp_path}
    with pytest.raises(error, match=match):
        Experiment(**(arguments | options)).run(1)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        *(
            ({"max_trials": wrong}, "`max_trials` must be a whole number of at least 1, or None for no limit; got")
            for wrong in (0, True, "3", 2.0)
        ),
        ({"max_trials": 10**400}, "`max_trials` must be a whole number of at most 9223372036854775807, or None for no"),
        *(
            ({"max_duration_seconds": wrong}, "`max_duration_seconds` must be .* above 0, or None for no limit; got")
            for wrong in (0, "60", True, math.nan, math.inf)
        ),
        *(
            ({"concurrency": wrong}, "`concurrency` must be a whole number of at least 1, or None; got")
            for wrong in (0, "2", True, 1.0)
        ),
        ({"progress": "yes"}, "`progress` must be a function of the status, or None; got 'yes'"),
        ({"concurrency": 2}, 'In line one trial runs at a time; got concurrency=2. Set executor="processes"'),
    ],
)
def test_wrong_arguments_of_a_call(tmp_path, options, match):
    with pytest.raises(ConfigError, match=match):
        Experiment(SPACE, score, "random", directory=tmp_path, executor="inline").run(**options)
    assert not (tmp_path / "run.sqlite").exists()


def test_numbers_of_numpy_are_taken(tmp_path):
    numbers = {"seed": np.int64(2), "max_attempts": np.int32(2), "timeout_seconds": np.float32(60)}
    metrics = [Metric("score", limit=np.float32(0.5))]
    experiment = Experiment(SPACE, score, "random", directory=tmp_path, metrics=metrics, **numbers)
    assert experiment.run(np.int64(4), max_duration_seconds=np.int64(60), concurrency=np.int8(1)).max_trials == 4
    assert len(experiment.top(np.int64(2))) == 2
    again = Experiment(SPACE, score, "random", directory=tmp_path, metrics=[Metric("score", limit=0.5)], seed=2)
    assert again.run(5).num_complete == 5


@pytest.mark.parametrize("wrong", [0, -1, "3", True, 1.5, None])
def test_how_many_is_a_whole_number(tmp_path, wrong):
    experiment = Experiment(SPACE, score, "random", directory=tmp_path)
    experiment.run(2)
    for use in (experiment.top, experiment.export):
        with pytest.raises(ConfigError, match="`k` must be a whole number of at least 1; got"):
            use(wrong)


def test_what_is_exported_needs_a_folder(tmp_path):
    experiment = Experiment(SPACE, score, "random", directory=tmp_path / "run")
    experiment.run(2)
    with pytest.raises(ConfigError, match="`directory` must be a path, a text or a Path of pathlib; got 3"):
        experiment.export(1, 3)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExportError, match=r"The folder .*file cannot be made: File exists\. Give another"):
        experiment.export(1, tmp_path / "file")


def test_a_text_names_the_function_that_evaluates(tmp_path):
    Experiment(SPACE, score, "random", directory=tmp_path).run(2)
    by_name = Experiment(SPACE, "tests.experiment.many_trials:score", "random", directory=tmp_path)
    assert by_name.run(4).num_complete == 4
    with pytest.raises(RunDirectoryError, match=r"evaluator\.function is .*:score\" there and .*score_of_any"):
        Experiment(SPACE, "tests.experiment.test_experiment:score_of_any", "random", directory=tmp_path).run(4)
