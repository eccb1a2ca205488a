"""Batch norm's statistics: re-estimating them exactly, and running without them.

A supernet's running statistics are a mixture over the subnets that were trained, and fit none of them. C channels.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hwnas.errors import DataError

__all__ = ["batch_statistics", "reestimate_batch_norm"]


@torch.no_grad()
def reestimate_batch_norm(module: nn.Module, batches: Iterable[tuple[Tensor, ...]]) -> None:
    """Set every batch norm's running mean and variance to those of the given batches, exactly.

    Every layer normalises with the batch's own statistics, as in training, while the batches pass. Its running mean
    becomes the mean, and its running variance the unbiased variance, over *all* values that came in: the batches'
    sums and squares are pooled in double precision, so that neither the order nor the sizes of the batches matter. A
    layer that runs several times in a pass pools them all; one that never runs keeps what it had. Nothing else changes:
    no weight, no other buffer, no mode; dropout is off.

    Args:
        module: a frozen network, or any other; its own buffers are written, so give it a copy of what others share.
        batches: inputs of the module, from *training* data.

    Raises:
        DataError: if there is no batch, or a layer gets a single value a channel.

    Source: Z. Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", section 3.4,
    arXiv:1904.00420; variances pooled as in T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the
    sample variance", The American Statistician 37(3), 1983.
    """
    layers = {name: layer for name, layer in module.named_modules() if _has_statistics(layer)}
    moments = {name: _Moments() for name in layers}
    handles = [
        layer.register_forward_pre_hook(functools.partial(_observe, moments[name], name))
        for name, layer in layers.items()
    ]
    num_batches = 0
    try:
        with batch_statistics(module):
            for inputs in batches:
                module(*inputs)
                num_batches += 1
    finally:
        for handle in handles:
            handle.remove()
    if num_batches == 0:
        raise DataError("Batch norm needs at least one batch to estimate its statistics from; got none.")
    for name, layer in layers.items():
        seen = moments[name]
        if seen.num > 0:
            layer.running_mean.copy_(seen.mean)
            layer.running_var.copy_(seen.squares / (seen.num - 1))


@contextlib.contextmanager
def batch_statistics(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, but batch norm uses the batch's own statistics and leaves its buffers alone; undone after."""
    modes = [(m, m.training) for m in module.modules()]
    tracking = [(m, m.track_running_stats) for m in module.modules() if isinstance(m, _BatchNorm)]
    try:
        module.eval()
        for layer, _ in tracking:
            layer.training = True
            layer.track_running_stats = False
        yield
    finally:
        for m, training in modes:
            m.training = training
        for layer, tracked in tracking:
            layer.track_running_stats = tracked


class _Moments:
    """Mean (C,) and sum of squared deviations (C,) of all values seen, in double precision."""

    def __init__(self) -> None:
        self.num = 0
        self.mean: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def add(self, x: Tensor) -> None:
        """Pool in the values of x, channels in dimension 1."""
        dims = [d for d in range(x.ndim) if d != 1]
        num = x.numel() // x.shape[1]
        variance, mean = torch.var_mean(x.float(), dim=dims, correction=0)
        total = self.num + num
        delta = mean.double() - self.mean
        self.squares = self.squares + variance.double() * num + delta * delta * (self.num * num / total)
        self.mean = self.mean + delta * (num / total)
        self.num = total


def _observe(moments: _Moments, name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    x = inputs[0]
    if x.numel() == x.shape[1]:
        raise DataError(f"{name} got one value a channel, which has no variance; give it larger batches.")
    moments.add(x)


def _has_statistics(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.running_mean is not None
