"""A small space, small data and a fake device: a whole search in seconds."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

from hwnas.data import Splits, split
from hwnas.experiment import search_each
from hwnas.nn import LayerChoice, ModelSpace, Repeat
from hwnas.testing.fake_runtime import FakeRuntime
from hwnas.train import Recipe

OPTIONS = {"num_samples": 12, "num_held_out": 4, "num_candidates": 2, "max_rounds": 2, "num_finalists": 2}
RECIPE = Recipe(epochs=2, batch_size=32, learning_rate=0.05, warmup_epochs=0.5)
SHORT = dataclasses.replace(RECIPE, epochs=1, warmup_epochs=0, distillation=0.0)


def conv(channels_in: int, channels_out: int, kernel: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


class TinyNet(nn.Module):
    """Two choices of a layer, a depth, a classifier: 3 * 3 * (3 + 9) networks."""

    def __init__(self) -> None:
        super().__init__()
        self.first = LayerChoice({f"k{k}": conv(1, 8, k) for k in (1, 3, 5)})
        self.second = LayerChoice({f"k{k}": conv(8, 8, k) for k in (1, 3, 5)})
        self.rest = Repeat(lambda index: LayerChoice([conv(8, 8, k) for k in (1, 3, 5)]), (1, 2))
        self.classifier = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.rest(self.second(self.first(x)))
        return self.classifier(x.mean((2, 3)))


def tiny_space() -> ModelSpace:
    torch.manual_seed(0)
    return ModelSpace(TinyNet(), torch.zeros(1, 1, 8, 8))


def tiny_data() -> Splits:
    """Three kinds of stripes in noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(360) % 3
    waves = np.sin(np.arange(8)[None] * (labels[:, None] + 1) * 0.9)
    images = waves[:, None, None, :] + rng.normal(0.0, 0.7, (360, 1, 8, 8))
    return split(TensorDataset(torch.tensor(images).float(), torch.tensor(labels)), seed=0, normalise=True)


def tiny_search(directory: Path, budgets: tuple[str, ...] = ("latency<=60%",), log: Path | None = None, **options):
    """A search on the fake device; every advance goes to `log` as a line."""

    def listen(advance) -> None:
        if log is not None:
            with log.open("a") as file:
                file.write(json.dumps([advance.phase, advance.done, advance.detail]) + "\n")

    settings = {
        "device": FakeRuntime(noise=0.02, drift=0.1, replay=True),
        "repeats": 2,
        "calibrate": 4,
        "strategy_options": OPTIONS,
        "recipe": RECIPE,
        "fine_tune": SHORT,
        "short": SHORT,
        "seed": 1,
        "directory": directory,
        "progress": listen,
    }
    torch.set_num_threads(1)
    return search_each(tiny_space(), tiny_data(), budgets, **(settings | options))
