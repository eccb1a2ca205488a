"""A single-path training step of the supernet over a step of the frozen subnet."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from setting import Measure, Setting
from torch import Tensor, nn

from hwnas.data import CLASSIFICATION, Batch
from hwnas.nn.families import family
from hwnas.train import Recipe
from hwnas.train.loop import StepContext
from hwnas.train.single_path import single_path
from hwnas.train.unused import unused_kept

__all__ = ["training_step"]


def training_step(setting: Setting, *, bare: bool) -> Measure:
    """A step of the supernet, as `hwnas.train` takes it, over one of the frozen subnet.

    The frozen subnet's step is the same, with its checks and its clipped gradient; or, if `bare`, what plain PyTorch
    needs and no more: zero_grad, forward, backward, the optimiser.

    Every pair has an architecture that the supernet has not trained before, as in single-path training; which of the
    two comes first alternates. Freezing is not timed, and the frozen network takes one step before, in which its
    optimiser makes its state and oneDNN its kernels (they serve both).
    """
    space = family(setting.trained)
    recipe = Recipe(batch_size=setting.batch_size, learning_rate=0.01)
    space.to(memory_format=torch.channels_last)
    space.train()
    (example,) = space.example_inputs
    assert isinstance(example, Tensor)
    shape = (setting.batch_size, *example.shape[1:])
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    labels = torch.arange(setting.batch_size) % 10
    take = single_path(space.space, CLASSIFICATION, label_smoothing=recipe.label_smoothing)
    optimizer = recipe.make_optimizer(space)
    context = StepContext(
        step=0,
        num_steps=1,
        steps_per_epoch=1,
        rng=np.random.default_rng(0),
        backward=_backward,
        mean=lambda value: value,
        optimizer=optimizer,
        device=torch.device("cpu"),
        placed=lambda batch: batch,
        unwrapped=space,
        process=(0, 1),
    )

    def supernet_step(seed: int) -> None:
        _step(
            lambda: take(space, Batch(inputs=(images,), labels=labels), _at(context, seed)),
            list(space.parameters()), optimizer, recipe,
        )  # fmt: skip

    def pair(seed: int) -> float:
        frozen = space.freeze(space.space.sample(np.random.default_rng(seed)))  # the one that this seed trains
        own = recipe.make_optimizer(frozen)

        def loss() -> Tensor:
            value: Tensor = CLASSIFICATION.training_loss(frozen(images), labels, label_smoothing=recipe.label_smoothing)
            _backward(value)
            return value.detach()

        steps = {
            "supernet": lambda: supernet_step(seed),
            "frozen": lambda: _bare_step(loss, own) if bare else _step(loss, list(frozen.parameters()), own, recipe),
        }
        steps["frozen"]()
        order = ["supernet", "frozen"] if seed % 2 else ["frozen", "supernet"]
        seconds = {name: setting.seconds(steps[name]) for name in order}
        return seconds["supernet"] / seconds["frozen"]

    for seed in range(2):
        supernet_step(1_000_000 + seed)
    return lambda seed: [pair(setting.num_pairs * seed + part) for part in range(setting.num_pairs)]


def _at(context: StepContext, seed: int) -> StepContext:
    return dataclasses.replace(context, rng=np.random.default_rng(seed))


def _backward(loss: Tensor) -> None:
    torch.autograd.backward(loss)


def _step(
    take: Callable[[], Tensor], parameters: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer, recipe: Recipe
) -> None:
    """What `hwnas.train.loop` does in a step, without reading data."""
    optimizer.zero_grad(set_to_none=True)
    loss = float(take())
    if not math.isfinite(loss):
        raise RuntimeError(f"the loss is {loss}")
    assert recipe.gradient_clip is not None
    nn.utils.clip_grad_norm_(parameters, recipe.gradient_clip)
    with unused_kept(parameters, optimizer):
        optimizer.step()


def _bare_step(take: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    take()
    optimizer.step()
