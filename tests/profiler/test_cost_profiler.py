import pytest
import torch
from torch import nn

from hwnas.errors import BudgetError
from hwnas.nn import LayerChoice
from hwnas.profiler import NumParamsProfiler


@pytest.mark.parametrize("limit", ["4M", None, True, float("nan")])
def test_a_limit_is_a_number(limit: object) -> None:
    profiler = NumParamsProfiler(nn.Sequential(LayerChoice([nn.Linear(2, 2), nn.Identity()])), torch.zeros(1, 2))
    with pytest.raises(
        BudgetError, match=r"The limit on params must be a finite number, in params; got .*`parse_budget`"
    ):
        profiler.at_most(limit)  # type: ignore[arg-type]


def test_a_limit_of_any_kind_of_number() -> None:
    profiler = NumParamsProfiler(nn.Sequential(LayerChoice([nn.Linear(2, 2), nn.Identity()])), torch.zeros(1, 2))
    assert profiler.at_most(torch.tensor(6)) == profiler.at_most(6.0)  # type: ignore[arg-type]
