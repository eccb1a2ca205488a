import pytest
import torch
from torch import nn

import hwnas
from hwnas import strategy as strategies
from hwnas.errors import ConfigError
from hwnas.space import Choice, Space
from hwnas.strategy import unbound

PLAIN = Space([Choice("kind", (0, 1))])
MODEL = hwnas.ModelSpace(hwnas.LayerChoice([nn.Linear(2, 2), nn.Identity()], label="kind"), torch.zeros(1, 2))
CLASSES = [
    getattr(strategies, name)
    for name in unbound.__all__
    if hasattr(getattr(strategies, name, None), "derive") and name != "Chain"
]
ONE_SHOT = [one for one in CLASSES if hasattr(one, "step")]
OF_TRIALS = [one for one in CLASSES if hasattr(one, "ask")]


def test_there_are_both_kinds():
    assert len(ONE_SHOT) == 5
    assert len(OF_TRIALS) == 11


@pytest.mark.parametrize("strategy", OF_TRIALS)
def test_a_plain_space_is_wanted(strategy):
    with pytest.raises(ConfigError, match=r"`space` must be a Space; got a ModelSpace\. Give its `space`; or to an"):
        strategy(MODEL)
    with pytest.raises(ConfigError, match=r"`space` must be a Space; got a str\."):
        strategy("nasbench201")


@pytest.mark.parametrize("strategy", ONE_SHOT)
def test_a_supernet_is_wanted(strategy):
    with pytest.raises(ConfigError, match=r"`space` must be a ModelSpace, whose weights .*; got a Space\."):
        strategy(PLAIN)


@pytest.mark.parametrize("strategy", CLASSES)
@pytest.mark.parametrize("budgets", [["macs<=60%"], "macs<=60%", None, 3, hwnas.FlopsProfiler(MODEL).at_most(3)])
def test_budgets_are_wanted(strategy, budgets):
    with pytest.raises(ConfigError, match=r"`budgets` must be a list of Budget, such as .*; got .* Texts, as"):
        strategy(PLAIN if strategy in OF_TRIALS else MODEL, budgets)
