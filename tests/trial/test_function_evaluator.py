import functools
import json

import numpy as np
import pytest

from hwnas.errors import ConfigError, MetricError
from hwnas.space import Architecture
from hwnas.trial import Evaluated, EvaluatorReference, FunctionEvaluator, TrialContext
from hwnas.trial.imported import imported, reference_text, whole_path

ARCHITECTURE = Architecture({"a": 2})


def double(architecture):
    return 2 * architecture["a"]


def metrics(function, **context):
    return dict(FunctionEvaluator(function).evaluate_trial(ARCHITECTURE, TrialContext(seed=7, **context)).metrics)


class Doubling:
    def __call__(self, architecture):
        return 2 * architecture["a"]


@pytest.mark.parametrize("function", [double, lambda a: 2 * a["a"], Doubling(), functools.partial(double)])
def test_any_callable_will_do_in_line(function):
    assert metrics(function) == {"score": 4.0}


def test_what_the_function_takes_by_name_it_gets():
    heard = []
    report = lambda step, value: heard.append((step, value))  # noqa: E731
    assert metrics(lambda a, seed: seed) == {"score": 7.0}
    assert metrics(lambda a, *, report: report(1, 2.0) or 1.0, report=report) == {"score": 1.0}
    assert metrics(lambda a, context, seed: context.seed + seed, report=report) == {"score": 14.0}
    assert metrics(lambda a, other=3: other) == {"score": 3.0}
    assert heard == [(1, 2.0)]


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), np.int64(1), np.array(1.0)])
def test_numbers_of_all_kinds_become_floats(value):
    for found in (metrics(lambda a: value), metrics(lambda a: {"score": value})):
        assert found == {"score": 1.0}
        assert type(found["score"]) is float


def test_a_tensor_of_one_number():
    torch = pytest.importorskip("torch")
    assert metrics(lambda a: torch.tensor(0.5)) == {"score": 0.5}


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (None, "it returned None, a NoneType"),
        ("0.9", "it returned '0.9', a str"),
        ([0.9], "it returned .0.9., a list"),
        (np.ones(2), "a ndarray"),
        (True, "'score' must be a number; got True, a bool"),
        (np.array(True), "'score' must be a number; got array.True., a ndarray"),
        ({"score": None}, "'score' must be a number; got None, a NoneType"),
        ({"score": 1j}, "'score' must be a number; got 1j, a complex"),
        ({1: 1.0}, "The name of a metric must be a text; got 1"),
        ({}, "at least one metric; got an empty mapping"),
    ],
)
def test_what_is_no_metric_is_told(value, match):
    with pytest.raises(MetricError, match=match):
        metrics(lambda a: value)


@pytest.mark.parametrize("function", [lambda: 1, lambda a, b: 1, lambda **names: 1])
def test_a_function_that_cannot_be_called_so(function):
    with pytest.raises(ConfigError, match=r"must be callable with the architecture alone.*cannot be"):
        FunctionEvaluator(function)


def test_what_is_no_function():
    with pytest.raises(ConfigError, match=r"needs a function of the architecture, or 'module:function'; got 3\."):
        FunctionEvaluator(3)


def crossed(evaluator):
    reference = evaluator.reference()
    fields = json.loads(json.dumps({"factory": reference.factory, "options": reference.options}))
    return EvaluatorReference(**fields).make()


def test_a_function_crosses_by_its_name(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("import beside\n\ndef triple(architecture):\n    return beside.THREE * architecture['a']\n")
    (tmp_path / "beside.py").write_text("THREE = 3\n")
    for function, value in ((double, 4.0), (f"{__name__}:double", 4.0), (f"{file}:triple", 6.0)):
        evaluated = crossed(FunctionEvaluator(function)).evaluate_trial(ARCHITECTURE, TrialContext(seed=0))
        assert isinstance(evaluated, Evaluated)
        assert evaluated.metrics == {"score": value}


@pytest.mark.parametrize("function", [lambda a: 1.0, Doubling(), functools.partial(double)])
def test_what_cannot_cross_says_so(function):
    with pytest.raises(ConfigError, match=r"run in line only\. Write it as a function of a module.*'module:function'"):
        FunctionEvaluator(function).reference()


def test_a_function_of_the_program_crosses_by_its_file(monkeypatch, tmp_path):
    main = type(pytest)("__main__")
    main.__file__ = str(tmp_path / "program.py")
    monkeypatch.setitem(__import__("sys").modules, "__main__", main)

    def stand_in(architecture):
        return 1.0

    stand_in.__module__, stand_in.__qualname__ = "__main__", "score"
    assert reference_text(stand_in) == f"{tmp_path / 'program.py'}:score"
    del main.__file__
    with pytest.raises(ConfigError, match=r"score was typed in at a prompt.*Put it into a file"):
        reference_text(stand_in)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("double", "A function is written 'module:function' or 'file.py:function'; got 'double'"),
        ("no_such_module:double", "There is no module 'no_such_module'"),
        ("json.no_such:double", "There is no module 'json.no_such'"),
        ("json:double", "json has no function 'double'"),
        ("json:__name__", "json has no function '__name__'"),
        ("no/such/file.py:double", "There is no file '.*no/such/file.py'"),
    ],
)
def test_a_text_that_names_nothing(text, match):
    with pytest.raises(ConfigError, match=match):
        imported(text)


def test_a_file_that_fails_is_executed_again(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("import no_such_module\n")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            imported(f"{file}:function")
    file.write_text("def function(architecture):\n    return 1.0\n")
    assert imported(f"{file}:function")(ARCHITECTURE) == 1.0
    assert imported(f"{file}:function") is imported(f"{file}:function")


def test_a_file_crosses_by_its_whole_path(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("def one(architecture):\n    return 1.0\n")
    monkeypatch.chdir(tmp_path)
    assert FunctionEvaluator("mine.py:one").reference().options == {"function": f"{tmp_path / 'mine.py'}:one"}
    assert whole_path("package.module:one") == "package.module:one"
    assert whole_path("a_name") == "a_name"
