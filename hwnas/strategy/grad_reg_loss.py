"""The expected cost in ProxylessNAS's loss: `grad_reg_loss_type`, as its users know it; see `proxylessnas`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from hwnas.arguments import finite_number
from hwnas.errors import ConfigError
from hwnas.profiler import Profiler
from hwnas.strategy.logits import Logits
from hwnas.strategy.reference_cost import ReferenceCost

__all__ = ["GradRegLoss", "LossType", "cost_in_loss"]

LossType = Literal["mul#log", "add#linear"]
"""L * alpha * (log E / log T) ** beta, or L + lambda * (E - T) / T."""

_DEFAULTS: Mapping[str, float] = {"alpha": 0.2, "beta": 0.3, "lambda": 0.1}


class GradRegLoss:
    """A loss L with the expected cost E in it; T is the reference."""

    def __init__(self, cost: ReferenceCost, kind: LossType, params: Mapping[str, float] | None = None) -> None:
        """See the class.

        Args:
            cost: E and T.
            kind: the formula.
            params: "alpha", "beta" and "lambda" where they differ from 0.2, 0.3 and 0.1.

        Raises:
            ConfigError: an unknown formula, an unknown or wrong parameter; T of 1 ms or one million or less in
                "mul#log".
        """
        if kind not in get_args(LossType):
            raise ConfigError(
                f"`grad_reg_loss_type` must be one of {', '.join(get_args(LossType))}, or None; got {kind!r}."
            )
        self._cost = cost
        self._kind = kind
        self._params = dict(_DEFAULTS)
        for key, value in (params or {}).items():
            if key not in _DEFAULTS:
                raise ConfigError(f"`grad_reg_loss_params` has only {', '.join(_DEFAULTS)}; got {key!r}.")
            self._params[key] = finite_number(f"grad_reg_loss_params[{key!r}]", value, at_least=0)
        if kind == "mul#log":
            self._log_reference = self._log(torch.tensor(cost.reference, dtype=torch.float64), "`reference_latency`")

    def __call__(self, loss: Tensor, probabilities: Mapping[str, Tensor]) -> Tensor:
        """The loss that the architecture learns from.

        Args:
            loss: a scalar in double precision on the CPU.
            probabilities: by choice, shape (num_options,).

        Raises:
            ConfigError: an expectation of 1 ms or one million or less in "mul#log".
        """
        expected = self._cost.expected(probabilities)
        if self._kind == "add#linear":
            return loss + self._params["lambda"] * (expected / self._cost.reference - 1)
        ratio = self._log(expected, "The expected cost") / self._log_reference
        return loss * self._params["alpha"] * ratio ** self._params["beta"]

    def _log(self, cost: Tensor, what: str) -> Tensor:
        return self._cost.log(cost, what=what, instead='grad_reg_loss_type="add#linear"')


def cost_in_loss(
    profiler: Profiler | None,
    reference_latency: float | None,
    kind: LossType | None,
    params: Mapping[str, float] | None,
    logits: Logits,
) -> GradRegLoss | None:
    """The options of ProxylessNAS as a function, tried at the probabilities of the start; None for no cost.

    Raises:
        ConfigError: some of the options without the others; as `ReferenceCost` and `GradRegLoss`.
    """
    given = {"profiler": profiler, "reference_latency": reference_latency, "grad_reg_loss_type": kind}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given) and params is None:
        return None
    if profiler is None or reference_latency is None or kind is None:
        raise ConfigError(
            "A cost in the loss needs `profiler`, `reference_latency` and `grad_reg_loss_type`; missing are "
            f"{', '.join(missing)}. Give all three, or none and no `grad_reg_loss_params`."
        )
    cost = ReferenceCost(
        profiler, reference_latency, option="reference_latency", space=logits.space, strategy="proxylessnas"
    )
    loss = GradRegLoss(cost, kind, params)
    loss(torch.ones((), dtype=torch.float64), logits.probabilities())
    return loss
