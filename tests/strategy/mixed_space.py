"""A small space with every kind of choice, in double precision, and brute force about it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwnas.cost import CostTable
from hwnas.nn import InputChoice, LayerChoice, ModelSpace, Repeat, Selection
from hwnas.strategy.one_shot import Moment
from hwnas.testing.planted_search import moments, planted_space

__all__ = ["Table", "expected_by_enumeration", "mixed_space", "moment_of", "softmax"]


class Mixed(nn.Module):
    """A layer, a depth with a choice inside of every block, and an input; batch norm before all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6))
        self.op = LayerChoice(
            {"linear": nn.Linear(6, 6), "tanh": nn.Sequential(nn.Linear(6, 6), nn.Tanh()), "skip": nn.Identity()}
        )
        self.body = Repeat(
            lambda _: nn.Sequential(nn.Linear(6, 6), LayerChoice([nn.Tanh(), nn.Linear(6, 6)])), (0, 2), label="depth"
        )
        self.inputs = InputChoice(2, label="input")
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        first = self.op(x)
        out: Tensor = self.head(self.inputs([x, self.body(first)]))
        return out


def mixed_space(seed: int = 0) -> ModelSpace:
    """Choices op, depth, body.0.1, body.1.1 (under depths) and input."""
    torch.manual_seed(seed)
    return ModelSpace(Mixed().double(), torch.zeros(2, 4, dtype=torch.float64))


def moment_of(
    space: ModelSpace,
    *,
    seed: int = 5,
    epoch: float = 100.0,
    num_epochs: float = 300.0,
    validation_loss: Callable[[Selection], Tensor] | None = None,
) -> Moment:
    """A moment in double precision; its random numbers are those of `default_rng(seed)`."""
    generator = torch.Generator().manual_seed(seed)
    x, x_val = torch.randn(2, 12, 4, generator=generator, dtype=torch.float64)
    y, y_val = torch.randint(2, (2, 12), generator=generator)
    optimizer = torch.optim.SGD(space.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    return dataclasses.replace(
        next(moments(planted_space(), optimizer, num_steps=1)),
        epoch=epoch,
        num_epochs=num_epochs,
        rng=np.random.default_rng(seed),
        training_loss=lambda selection: functional.cross_entropy(space(x, selection), y),
        validation_loss=validation_loss or (lambda selection: functional.cross_entropy(space(x_val, selection), y_val)),
        weights=list(space.parameters()),
    )


class Table:
    """A profiler of one's own: any table, in any unit."""

    def __init__(self, cost: CostTable) -> None:
        self.cost = cost

    def profile(self, architecture: Mapping[str, object]) -> float:
        return self.cost.value(architecture)  # type: ignore[arg-type]


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def expected_by_enumeration(cost: CostTable, probabilities: Mapping[str, np.ndarray]) -> float:
    """The sum over all architectures of probability times cost."""
    return sum(
        cost.value(architecture)
        * math.prod(probabilities[name][cost.space.choice(name).index(option)] for name, option in architecture.items())
        for architecture in cost.space.enumerate()
    )
