"""A task that one option of every choice makes learnable, and a driver of one-shot strategies in a few lines."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwnas.nn import LayerChoice, ModelSpace, Repeat, Selection
from hwnas.strategy.one_shot import Moment, OneShot

__all__ = ["moments", "planted_data", "planted_space", "run"]


class _Zero(nn.Module):
    """Gives zeros: nothing can be learned behind it."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 0.0


class _Residual(nn.Module):
    """A block that adds to its input."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = x + self.inner(x)
        return added


def planted_space(*, with_depth: bool = False) -> ModelSpace:
    """Two layers in which only the option "linear" lets information pass; optionally a chain of a chosen depth."""
    torch.manual_seed(0)

    def layer(width: int) -> LayerChoice:
        return LayerChoice(
            {"zero": _Zero(), "linear": nn.Linear(width, width), "wide": nn.Sequential(_Zero(), _Zero())}
        )

    middle: list[nn.Module] = []
    if with_depth:
        middle = [Repeat(lambda i: _Residual(layer(8)), (1, 3), label="depth")]
    return ModelSpace(
        nn.Sequential(nn.Linear(4, 8), layer(8), nn.ReLU(), *middle, layer(8), nn.Linear(8, 2)), torch.zeros(1, 4)
    )


def planted_data(num: int, seed: int) -> tuple[Tensor, Tensor]:
    """Points, shape (num, 4), and on which side of a plane they are, shape (num,)."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(num, 4, generator=generator)
    return points, (points.sum(1) > 0).long()


def moments(
    space: ModelSpace,
    optimizer: torch.optim.Optimizer,
    *,
    num_steps: int,
    first: int = 0,
    steps_per_epoch: int = 10,
    batch_size: int = 16,
    seed: int = 0,
) -> Iterator[Moment]:
    """The moments of a search on the planted task; the caller steps the optimiser.

    Args:
        space: takes inputs of shape (batch, 4), and gives two classes.
        optimizer: of its weights.
        num_steps: of the whole search.
        first: the step to begin with.
        steps_per_epoch: for the moments' epoch.
        batch_size: of both batches.
        seed: of the batches and of the moments' generators.
    """
    train, search = planted_data(256, 1), planted_data(256, 2)
    for step in range(first, num_steps):
        rng = np.random.default_rng([seed, step])
        batches = []
        for points, labels in (train, search):
            chosen = torch.from_numpy(rng.integers(len(points), size=batch_size))
            batches.append((points[chosen], labels[chosen]))
        (x, y), (x_val, y_val) = batches

        def training_loss(selection: Selection, x: Tensor = x, y: Tensor = y) -> Tensor:
            return functional.cross_entropy(space(x, selection), y)

        def losses(selection: Selection, x: Tensor = x_val, y: Tensor = y_val) -> Tensor:
            return functional.cross_entropy(space(x, selection), y, reduction="none")

        def loss(selection: Selection, x: Tensor = x_val, y: Tensor = y_val) -> Tensor:
            return functional.cross_entropy(space(x, selection), y)

        def scores(selection: Selection, x: Tensor = x_val, y: Tensor = y_val) -> Tensor:
            with torch.no_grad():
                right: Tensor = space(x, selection).argmax(1) == y
                return right.float()

        optimizer.zero_grad(set_to_none=True)
        yield Moment(
            step=step,
            epoch=step / steps_per_epoch,
            num_epochs=num_steps / steps_per_epoch,
            rng=rng,
            batch_size=batch_size,
            training_batch_size=batch_size,
            device=torch.device("cpu"),
            precision="float32",
            training_loss=training_loss,
            validation_loss=loss,
            validation_losses=losses,
            validation_scores=scores,
            unwrapped_training_loss=training_loss,
            backward=lambda value: value.backward(),  # type: ignore[no-untyped-call]
            mean=lambda value: value.detach(),
            weights=list(space.parameters()),
            optimizer=optimizer,
        )


def run(strategy: OneShot, space: ModelSpace, *, num_steps: int, first: int = 0, seed: int = 0) -> list[float]:
    """Search; the training losses."""
    optimizer = torch.optim.SGD(space.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    losses = []
    for moment in moments(space, optimizer, num_steps=num_steps, first=first, seed=seed):
        losses.append(float(strategy.step(moment)))
        optimizer.step()
    return losses
