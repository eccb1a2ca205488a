"""The formulas of `grad_reg_loss_type`, with numbers by hand, and what is refused."""

import math
from typing import Any

import pytest
import torch

from hwnas.cost import CostTable
from hwnas.errors import ConfigError
from hwnas.profiler import Profiler
from hwnas.space import Choice, Space
from hwnas.strategy.grad_reg_loss import GradRegLoss, cost_in_loss
from hwnas.strategy.logits import Logits
from tests.strategy.mixed_space import Table

SPACE = Space([Choice("op", ("small", "large"))])
HALF = {"op": torch.tensor([0.5, 0.5], dtype=torch.float64)}
LOSS = torch.tensor(2.0, dtype=torch.float64)


def profiler(small: float, large: float, unit: str = "ms") -> Profiler:
    return Table(CostTable.from_options(SPACE, {"op": {"small": small, "large": large}}, unit=unit))


def made(
    kind: Any = "mul#log", params: Any = None, *, of: Profiler | None = None, reference: float = 65.0
) -> GradRegLoss:
    loss = cost_in_loss(of or profiler(40, 120), reference, kind, params, Logits(SPACE))
    assert loss is not None
    return loss


def test_numbers() -> None:
    """E is 80 ms and T 65 ms: (4.382027 / 4.174387) ** 0.3 = 1.014670, and 80 / 65 - 1 = 0.230769."""
    assert made()(LOSS, HALF).item() == pytest.approx(2 * 0.2 * (math.log(80) / math.log(65)) ** 0.3, rel=1e-12)
    assert made()(LOSS, HALF).item() == pytest.approx(0.405868, abs=1e-6)
    assert made("add#linear")(LOSS, HALF).item() == pytest.approx(2 + 0.1 * 0.2307692, abs=1e-7)
    other = made(params={"alpha": 1.0, "beta": 2.0})
    assert other(LOSS, HALF).item() == pytest.approx(2 * (math.log(80) / math.log(65)) ** 2)
    assert made("add#linear", {"lambda": 0.0})(LOSS, HALF).item() == 2.0
    at_reference = {"op": torch.tensor([0.6875, 0.3125], dtype=torch.float64)}  # 40 p + 120 (1 - p) = 65
    assert made()(LOSS, at_reference).item() == pytest.approx(0.4)
    assert cost_in_loss(None, None, None, None, Logits(SPACE)) is None


def test_the_unit_of_the_profiler_does_not_matter() -> None:
    assert made(of=profiler(0.040, 0.120, "s"))(LOSS, HALF).item() == pytest.approx(made()(LOSS, HALF).item())
    millions = made(of=profiler(40e6, 120e6, "macs"), reference=65e6)
    assert millions(LOSS, HALF).item() == pytest.approx(made()(LOSS, HALF).item())


def test_errors() -> None:
    with pytest.raises(
        ConfigError, match="`grad_reg_loss_type` must be one of mul#log, add#linear, or None; got 'log'"
    ):
        made("log")
    with pytest.raises(ConfigError, match="`grad_reg_loss_params` has only alpha, beta, lambda; got 'gamma'"):
        made(params={"gamma": 1.0})
    for key, value in (("alpha", -1.0), ("beta", math.inf), ("lambda", "0.1"), ("alpha", True)):
        with pytest.raises(ConfigError, match=rf"`grad_reg_loss_params\['{key}'\]` must be a finite .*; got {value!r}"):
            made(params={key: value})
    with pytest.raises(ConfigError, match=r"needs .*; missing are reference_latency\. Give all three, or none and no"):
        cost_in_loss(profiler(40, 120), None, "mul#log", None, Logits(SPACE))
    with pytest.raises(ConfigError, match=r"missing are profiler, reference_latency, grad_reg_loss_type\. Give"):
        cost_in_loss(None, None, None, {"lambda": 0.1}, Logits(SPACE))
    with pytest.raises(ConfigError, match=r"`reference_latency` must be a cost .* in ms: from 40 to 120; got 0\.065"):
        made(reference=0.065)
    with pytest.raises(ConfigError, match=r'`reference_latency` must be above 1 ms .* grad_reg_loss_type="add#linear"'):
        made(of=profiler(0.4, 1.2), reference=1.0)
    with pytest.raises(ConfigError, match=r"The expected cost must be above 1 ms .* it is .* Use grad_reg_loss_type="):
        made(of=profiler(0.4, 1.2), reference=1.1)
    assert made("add#linear", of=profiler(0.4, 1.2), reference=1.0)(LOSS, HALF).item() == pytest.approx(2 - 0.02)
    later = made(of=profiler(0.4, 3.0), reference=2.0)  # the expectation is above 1 ms at the start
    with pytest.raises(ConfigError, match="The expected cost must be above 1 ms"):
        later(LOSS, {"op": torch.tensor([1.0, 0.0], dtype=torch.float64)})
