"""Architecture parameters: a logit for every option of every choice, and their optimiser's state."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hwnas.errors import CheckpointError
from hwnas.nn import Paths
from hwnas.space import Distribution, Space

__all__ = ["Logits", "load_optimizer_state", "load_tensors", "optimizer_state", "paths"]


class Logits:
    """The alphas of the papers, on the CPU, in double precision: they are few, and costs are in double precision.

    Attributes:
        space: whose choices they are for.
        values: by choice, shape (num_options,).
    """

    def __init__(
        self,
        space: Space,
        *,
        scale: float = 1e-3,
        seed: int = 0,
        more: Mapping[str, int] | None = None,
        without: Collection[str] = (),
    ) -> None:
        """See the class.

        Args:
            space: what may vary.
            scale: standard deviation of the start.
            seed: of the start.
            more: logits beyond the options, by choice: such as for `none`, which is an option of the search only.
            without: choices that need no logits.
        """
        generator = torch.Generator().manual_seed(seed)
        more = more or {}
        self.space = space
        self.values: dict[str, nn.Parameter] = {
            choice.name: nn.Parameter(
                scale
                * torch.randn(choice.num_options + more.get(choice.name, 0), generator=generator, dtype=torch.float64)
            )
            for choice in space.choices
            if choice.name not in without
        }

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All of them, in the space's order."""
        return list(self.values.values())

    def probabilities(self) -> dict[str, Tensor]:
        """The softmax of each choice's logits, with gradient."""
        return {name: torch.softmax(logits, 0) for name, logits in self.values.items()}

    def numpy(self) -> dict[str, NDArray[np.float64]]:
        """The logits, detached."""
        return {name: logits.detach().numpy().copy() for name, logits in self.values.items()}

    def distribution(self) -> Distribution:
        """The softmax of each choice's logits; for logits without any beyond the options."""
        return Distribution.from_logits(self.space, self.numpy())

    def state(self) -> dict[str, Tensor]:
        """For checkpoints."""
        return {f"logits.{name}": logits.detach().clone() for name, logits in self.values.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Copy what `state` gave.

        Raises:
            CheckpointError: logits that are missing or of another shape.
        """
        load_tensors({f"logits.{name}": logits for name, logits in self.values.items()}, state)


def paths(probabilities: Mapping[str, Tensor], device: torch.device) -> dict[str, Paths]:
    """A selection that mixes the options of every choice; gradients go through.

    Args:
        probabilities: by choice, shape (num_options,) or (batch, num_options).
        device: that of the data.
    """
    # Outputs keep their own precision, whatever that of the weights is; Apple's GPUs have no double precision.
    dtype = torch.float32 if device.type == "mps" else None
    return {name: Paths(weights.to(device=device, dtype=dtype)) for name, weights in probabilities.items()}


def load_tensors(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Copy tensors of a state into one's own of the same names.

    Raises:
        CheckpointError: one is missing or of another shape.
    """
    for name, tensor in own.items():
        found = state.get(name)
        if found is None or found.shape != tensor.shape:
            there = "nothing" if found is None else str(tuple(found.shape))
            raise CheckpointError(
                f"The checkpoint does not fit the strategy: {name} is {there} there and {tuple(tensor.shape)} here. "
                "Search with the options it was made with, or in another folder."
            )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])


def optimizer_state(optimizer: torch.optim.Optimizer, prefix: str = "optimizer") -> dict[str, Tensor]:
    """What an optimiser remembers of each of its parameters, as tensors for checkpoints."""
    return {
        f"{prefix}.{number}/{key}": value.detach().clone()
        for number, parameter in enumerate(_parameters(optimizer))
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def load_optimizer_state(
    optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor], prefix: str = "optimizer"
) -> None:
    """Put back what `optimizer_state` gave; what the optimiser remembered before is forgotten.

    Raises:
        CheckpointError: a parameter that the optimiser does not have, or that has another shape.
    """
    parameters = {str(number): parameter for number, parameter in enumerate(_parameters(optimizer))}
    kept: dict[Tensor, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if not name.startswith(f"{prefix}."):
            continue
        number, _, key = name.removeprefix(f"{prefix}.").partition("/")
        own = parameters.get(number)
        if own is None or tensor.shape not in (own.shape, ()):
            here = "nothing" if own is None else str(tuple(own.shape))
            raise CheckpointError(
                f"The checkpoint does not fit the strategy's optimiser: {name} is {tuple(tensor.shape)} there and "
                f"{here} here. Search with the options it was made with, or in another folder."
            )
        # Counters of steps stay where they are, as in `Optimizer.load_state_dict`.
        kept.setdefault(own, {})[key] = tensor.clone() if tensor.dim() == 0 else tensor.to(own, copy=True)
    optimizer.state.clear()
    optimizer.state.update(kept)


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
