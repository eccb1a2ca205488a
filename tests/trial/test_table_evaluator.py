import json

import pytest

from hwnas.errors import ArchitectureError, ConfigError, DataError, MetricError
from hwnas.space import Architecture
from hwnas.trial import EvaluatorReference, TableEvaluator, TrialContext

FIRST, SECOND = Architecture({"a": 1, "b": "x"}), Architecture({"a": 2})
CONTEXT = TrialContext(seed=0)


def metrics(table, architecture):
    return dict(table.evaluate_trial(architecture, CONTEXT).metrics)


def test_a_mapping():
    table = TableEvaluator({FIRST: 0.5, SECOND: {"accuracy": 0.7, "loss": 1}})
    assert len(table) == 2
    assert metrics(table, FIRST) == {"score": 0.5}
    assert metrics(table, SECOND) == {"accuracy": 0.7, "loss": 1.0}
    with pytest.raises(ConfigError, match=r"runs in line only\. Write it to a JSON or CSV file"):
        table.reference()
    with pytest.raises(ArchitectureError, match=r"table of 2 architectures has no \{'a': 3\}"):
        table.evaluate_trial(Architecture({"a": 3}), CONTEXT)


def test_a_json_file_and_its_reference(tmp_path):
    path = tmp_path / "table.json"
    path.write_text(json.dumps([{"architecture": {"a": 1, "b": "x"}, "metrics": {"score": 0.25}, "place": 1}]))
    reference = TableEvaluator(path).reference()
    crossed = EvaluatorReference(**json.loads(json.dumps({"factory": reference.factory, "options": reference.options})))
    assert metrics(crossed.make(), FIRST) == {"score": 0.25}


def test_a_csv_file_and_its_reference(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('a,accuracy,b,c\n1,0.5,x,"[1, 2]"\n2,0.25,,\n')
    table = TableEvaluator(path, metrics=["accuracy"]).reference().make()
    assert metrics(table, Architecture({"a": 1, "b": "x", "c": (1, 2)})) == {"accuracy": 0.5}
    assert metrics(table, SECOND) == {"accuracy": 0.25}


def test_metrics_are_for_csv_files(tmp_path):
    with pytest.raises(ConfigError, match=r"a CSV file needs it; got metrics=\[\] for .*table\.csv"):
        TableEvaluator(tmp_path / "table.csv")
    with pytest.raises(ConfigError, match="for a mapping"):
        TableEvaluator({FIRST: 1.0}, metrics=["accuracy"])


@pytest.mark.parametrize("name", ["table.json", "table.csv"])
def test_a_missing_file(tmp_path, name):
    with pytest.raises(DataError, match=rf"{name} cannot be read: No such file or directory"):
        TableEvaluator(tmp_path / name, metrics=["score"] if name.endswith("csv") else ())


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("no json", "must be a JSON list of objects .*JSONDecodeError"),
        ('[{"metrics": 1}]', "KeyError: 'architecture'"),
        ('[{"architecture": {"a": null}, "metrics": 1}]', "ArchitectureError"),
        (
            '[{"architecture": {"a": 1}, "metrics": 1}, {"architecture": {"a": 1}, "metrics": 2}]',
            r"has \{'a': 1\} twice",
        ),
    ],
)
def test_a_wrong_json_file(tmp_path, content, match):
    path = tmp_path / "table.json"
    path.write_text(content)
    with pytest.raises(DataError, match=match):
        TableEvaluator(path)


def test_a_wrong_csv_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"line 2: no column 'score'\. The head is a, b\."):
        TableEvaluator(path, metrics=["score"])
    path.write_text("a,score\n1,2,3\n")
    with pytest.raises(DataError, match="line 2: more cells than the head has columns"):
        TableEvaluator(path, metrics=["score"])


def test_a_metric_that_is_no_number():
    with pytest.raises(MetricError, match=r"metrics of \{'a': 2\}: The metric 'score' must be a number; got 'high'"):
        TableEvaluator({SECOND: {"score": "high"}})
