"""A small space for measuring: two choices in a row, with a part that all networks share."""

import torch
from torch import nn

from hwnas.nn import LayerChoice, ModelSpace


def tiny_space() -> ModelSpace:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        LayerChoice([nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 5, padding=2)], label="first"),
        LayerChoice(
            [nn.Sequential(nn.Conv2d(8, 64, 1), nn.ReLU(), nn.Conv2d(64, 8, 1)), nn.Conv2d(8, 8, 7, padding=3)],
            label="second",
        ),
        nn.Flatten(),
        nn.Linear(8 * 64, 10),
    )
    return ModelSpace(net, torch.zeros(1, 3, 8, 8))
