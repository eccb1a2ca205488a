import pytest

from hwnas.errors import ConfigError
from hwnas.trial import EvaluatorReference, FunctionEvaluator
from hwnas.trial.evaluator import refuse_while_made


def test_options_are_json():
    assert (
        EvaluatorReference(factory="a:b", options={"path": "x", "k": [1, 2]}).options_json()
        == '{"path": "x", "k": [1, 2]}'
    )
    for options in ({"model": object()}, {"set": {1}}):
        with pytest.raises(ConfigError, match=r"makes a:b must be JSON .* Give paths and names instead of objects"):
            EvaluatorReference(factory="a:b", options=options).options_json()


def test_nothing_starts_workers_while_an_evaluator_is_made():
    refuse_while_made()
    with pytest.raises(
        ConfigError, match=r"which would go on for ever. Put what starts the experiment under `if __name"
    ):
        EvaluatorReference(factory="hwnas.trial.evaluator:refuse_while_made").make()
    refuse_while_made()


def test_a_reference_makes_the_evaluator_again():
    made = EvaluatorReference(factory="hwnas.trial:FunctionEvaluator", options={"function": "math:prod"}).make()
    assert isinstance(made, FunctionEvaluator)
    assert made.reference().options == {"function": "math:prod"}
