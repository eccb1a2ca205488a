"""The macro space of ENAS: an operation for every layer, and which layers before it are added.

Hieu Pham, Melody Guan, Barret Zoph, Quoc Le, Jeff Dean: "Efficient Neural Architecture Search via Parameter Sharing",
ICML 2018, https://arxiv.org/abs/1802.03268; the space is in section 2.3 and figure 3.

    stem 3x3 -> twelve layers, every output so far halved after the fourth and the eighth -> average pool -> classifier

Layer k applies one of six operations, `layer_k/op`, to the output of layer k-1, and adds the outputs of any of the
layers before that: `layer_k/skip/j` says whether layer j is among them, 0 being the stem. With the defaults these are
6^12 * 2^(0 + 1 + ... + 11) = 6^12 * 2^66 = 1.6e29 networks, as the paper counts.

What differs. As in the search of the program published with the paper, skips are added and the width stays; for the
final training the paper concatenates them before a 1x1 convolution, and the program doubles the width at each halving.
A frozen network halves all outputs so far, also those that no later layer takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from hwnas.errors import SpaceError
from hwnas.nn.families.darts_operations import FactorizedReduce
from hwnas.nn.input_choice import InputChoice
from hwnas.nn.layer_choice import LayerChoice
from hwnas.nn.model_space import ModelSpace

__all__ = ["enas_macro"]


def enas_macro(
    *,
    resolution: int = 32,
    in_channels: int = 3,
    num_classes: int = 10,
    filters: int = 24,
    num_layers: int = 12,
    affine: bool = True,
    dropout: float = 0.1,
) -> ModelSpace:
    """Make the space; the defaults are those of the search.

    Args:
        resolution: side of the square example image, in pixels; a multiple of 4, at least 8.
        in_channels: channels of the image.
        num_classes: outputs of the classifier.
        filters: channels of every layer, at least 2.
        num_layers: at least 3; outputs are halved after a third and after two thirds of them, rounded down.
        affine: whether batch norms learn a scale and a shift, as they do in the published program.
        dropout: how often an input of the classifier is dropped in training.

    Raises:
        SpaceError: an option with a wrong value.
    """
    if resolution < 8 or resolution % 4:
        raise SpaceError(f"resolution must be a multiple of 4, at least 8, to be halved twice; got {resolution}")
    if num_layers < 3:
        raise SpaceError(f"num_layers must be at least 3, for two halvings between them; got {num_layers}")
    if filters < 2:
        raise SpaceError(f"filters must be at least 2, of which halving makes two parts; got {filters}")
    for name, size in {"in_channels": in_channels, "num_classes": num_classes}.items():
        if size < 1:
            raise SpaceError(f"{name} must be at least 1; got {size}")
    if not 0 <= dropout < 1:
        raise SpaceError(f"dropout must be from 0 to below 1; got {dropout}")
    network = _Network(in_channels, num_classes, filters, num_layers, affine=affine, dropout=dropout)
    return ModelSpace(network, torch.zeros(1, in_channels, resolution, resolution))


class _Network(nn.Module):
    def __init__(
        self, in_channels: int, num_classes: int, filters: int, num_layers: int, *, affine: bool, dropout: float
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters, affine=affine)
        )
        self.layers = nn.ModuleList(_Layer(number, filters, affine=affine) for number in range(1, num_layers + 1))
        self.halvings = nn.ModuleDict()
        for after in (num_layers // 3, 2 * (num_layers // 3)):
            self.halvings[str(after)] = nn.ModuleList(
                FactorizedReduce(filters, filters, affine=affine, relu=False) for _ in range(after + 1)
            )
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout))
        self.classifier = nn.Linear(filters, num_classes)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits, shape (batch, num_classes), of images."""
        outputs = [self.stem(x_BCHW)]
        for number, layer in enumerate(self.layers, start=1):
            outputs.append(layer(outputs))
            if str(number) in self.halvings:
                halvings = self.halvings[str(number)]
                assert isinstance(halvings, nn.ModuleList)
                outputs = [halving(output) for halving, output in zip(halvings, outputs, strict=True)]
        logits: Tensor = self.classifier(self.head(outputs[-1]))
        return logits


class _Layer(nn.Module):
    """An operation on the last output, and some of the outputs before it."""

    def __init__(self, number: int, filters: int, *, affine: bool) -> None:
        super().__init__()
        candidates = {name: make(filters, affine) for name, make in _OPERATIONS.items()}
        self.operation = LayerChoice(candidates, label=f"layer_{number}/op")
        self.has_skips = number > 1
        if self.has_skips:
            self.skips = InputChoice(number - 1, n_chosen=None, label=f"layer_{number}/skip")
            self.norm = nn.BatchNorm2d(filters, affine=affine)

    def forward(self, outputs: list[Tensor]) -> Tensor:
        y: Tensor = self.operation(outputs[-1])
        return self.norm(torch.add(y, self.skips(outputs[:-1]))) if self.has_skips else y


def _conv_norm_relu(filters: int, kernel: int, affine: bool) -> list[nn.Module]:
    convolution = nn.Conv2d(filters, filters, kernel, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(filters, affine=affine), nn.ReLU()]


def _convolution(kernel: int) -> Callable[[int, bool], nn.Module]:
    return lambda filters, affine: nn.Sequential(
        *_conv_norm_relu(filters, 1, affine), *_conv_norm_relu(filters, kernel, affine)
    )


def _separable(kernel: int) -> Callable[[int, bool], nn.Module]:
    """A depthwise convolution in place of the large one, and a 1x1 convolution."""
    return lambda filters, affine: nn.Sequential(
        *_conv_norm_relu(filters, 1, affine),
        nn.Conv2d(filters, filters, kernel, padding=kernel // 2, groups=filters, bias=False),
        *_conv_norm_relu(filters, 1, affine),
    )


_OPERATIONS: Mapping[str, Callable[[int, bool], nn.Module]] = MappingProxyType(
    {
        "conv_3x3": _convolution(3),
        "sep_conv_3x3": _separable(3),
        "conv_5x5": _convolution(5),
        "sep_conv_5x5": _separable(5),
        "avg_pool_3x3": lambda filters, affine: nn.Sequential(
            *_conv_norm_relu(filters, 1, affine), nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        ),
        "max_pool_3x3": lambda filters, affine: nn.Sequential(
            *_conv_norm_relu(filters, 1, affine), nn.MaxPool2d(3, stride=1, padding=1)
        ),
    }
)
"""In the paper's order, from (filters, affine) to modules; each begins with a 1x1 convolution of its own."""
