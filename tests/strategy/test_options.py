"""Every number and truth value that a strategy, a middleware, a penalty or a filter takes, given as something else.

The arguments are found by their annotations, so that a new one is tried without being named here.
"""

import inspect
import math

import numpy as np
import pytest

from hwnas import strategy
from hwnas.errors import ConfigError
from hwnas.experiment.strategies import STRATEGIES, is_one_shot
from hwnas.profiler import FlopsProfiler
from hwnas.testing.strategy_contract import tiny_space
from tests.strategy.mixed_space import mixed_space

SUPERNET = mixed_space()
PROFILER = FlopsProfiler(SUPERNET)


class Milliseconds:
    unit = "ms"

    def profile(self, architecture):
        return 1.0


MADE_WITH = {
    strategy.Deduplication: {},
    strategy.ExpectationProfilerPenalty: {"profiler": PROFILER, "baseline": 1e3},
    strategy.FailureHandler: {"retry": 1},
    strategy.Filter: {"fn": lambda sample: True},
    strategy.LatencyFilter: {"profiler": Milliseconds(), "threshold_ms": 5.0},
    strategy.MedianStopping: {},
    strategy.MultipleEvaluation: {"repeat": 2},
    strategy.RangeProfilerFilter: {"profiler": PROFILER, "max": 1e9},
    strategy.SampleProfilerPenalty: {"profiler": PROFILER, "baseline": 1e3},
    strategy.SuccessiveHalving: {},
    strategy.TrialLimit: {"num_trials": 3},
    **{made: {"space": SUPERNET if is_one_shot(name) else tiny_space()} for name, made in STRATEGIES.items()},
}
MADE_WITH[strategy.FBNet] |= {"profiler": PROFILER}
MADE_WITH[strategy.ProxylessNAS] |= {
    "profiler": PROFILER,
    "reference_latency": 200.0,
    "grad_reg_loss_type": "add#linear",
}
WRONG = {
    "int": ["20", True, 2.5, math.nan, None, -1, [3]],
    "float": ["0.5", True, math.nan, math.inf, None, [0.5], 1j],
    "bool": ["yes", 1, 0.0, None],
}
ARGUMENTS = [
    (made, name, parameter.annotation)
    for made in MADE_WITH
    for name, parameter in inspect.signature(made).parameters.items()
    if str(parameter.annotation).removesuffix(" | None") in WRONG
]


@pytest.mark.parametrize(("made", "name", "kind"), ARGUMENTS, ids=lambda given: getattr(given, "__name__", str(given)))
def test_it_is_refused_by_name(made, name, kind):
    for wrong in WRONG[kind.removesuffix(" | None")]:
        if wrong is None and "None" in kind:
            continue
        with pytest.raises(ConfigError, match=f"`{name}` must be .*; got "):
            made(**{**MADE_WITH[made], name: wrong})


@pytest.mark.parametrize("made", MADE_WITH, ids=lambda made: made.__name__)
def test_numbers_of_numpy_are_taken(made):
    parameters = inspect.signature(made).parameters
    taken = {name: p.default for name, p in parameters.items() if p.default is not p.empty} | MADE_WITH[made]
    as_numpy = {int: np.int64, float: np.float64, bool: np.bool_}
    made(**{name: as_numpy.get(type(value), lambda value: value)(value) for name, value in taken.items()})


def test_there_are_many():
    """The signatures are texts; were they ever something else, nothing would be tried above."""
    assert len(ARGUMENTS) > 80
