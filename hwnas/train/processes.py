"""Devices, precision and several processes, through Hugging Face accelerate (imported in this file alone)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn

from hwnas.train.recipe import Precision

__all__ = ["Processes"]

_MIXED_PRECISION = {"float32": "no", "bfloat16": "bf16"}


class Processes:
    """The processes that train together, and this one's place among them.

    One process on the best device there is, unless the program was started with `torchrun` or `accelerate launch`.

    Args:
        precision: of the forward pass.
        accelerator: an `accelerate.Accelerator` of one's own, used as it is; its precision then counts.
    """

    def __init__(self, precision: Precision, accelerator: Any | None = None) -> None:
        if accelerator is None:
            mixed = _MIXED_PRECISION[precision]
            if AcceleratorState._shared_state and AcceleratorState().mixed_precision != mixed:
                AcceleratorState._reset_state()  # accelerate keeps the first precision for the life of the process
            unused = DistributedDataParallelKwargs(find_unused_parameters=True)
            accelerator = Accelerator(mixed_precision=mixed, kwargs_handlers=[unused])
        self._accelerator = accelerator
        self.index: int = accelerator.process_index
        self.num: int = accelerator.num_processes
        self.device: torch.device = accelerator.device

    def prepare(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Both, moved to the device and wrapped for several processes where there are several."""
        prepared: tuple[nn.Module, torch.optim.Optimizer] = self._accelerator.prepare(network, optimizer)
        return prepared

    def unwrap(self, network: nn.Module) -> nn.Module:
        """What `prepare` has wrapped for several processes; still in the training's precision."""
        unwrapped: nn.Module = self._accelerator.unwrap_model(network)
        return unwrapped

    def backward(self, loss: Tensor) -> None:
        """Add the loss's gradient to the parameters', averaged over the processes."""
        self._accelerator.backward(loss)

    def clip_gradient(self, parameters: Sequence[nn.Parameter], norm: float) -> None:
        """Scale the gradient down to `norm` where it is longer."""
        self._accelerator.clip_grad_norm_(parameters, norm)

    def mean(self, value: Tensor) -> Tensor:
        """The mean over the processes, detached; NaN in one of them is NaN in all."""
        value = value.detach()
        if self.num > 1:
            reduced: Tensor = self._accelerator.reduce(value.to(self.device), reduction="mean")
            value = reduced.to(value.device)
        return value

    def wait(self) -> None:
        """Until every process is here."""
        self._accelerator.wait_for_everyone()
