"""The space of PFLD, a network that finds the points of a face, with five layers to choose.

Xiaojie Guo et al.: "PFLD: A Practical Facial Landmark Detector", 2019, https://arxiv.org/abs/1902.10859, made lighter
and searchable in the manner of FBNet by the PFLD example of NNI (https://github.com/microsoft/nni,
examples/nas/oneshot/pfld), from which the blocks, their names and the widths are.

    image -> stem -> 28x28x16 -> inverted residual, stride 2 -> 14x14x32 -> stage 1 (two layers) -> stage 2 (three) ->
    7x7x64, joined by depthwise convolutions of stage 1 and of the stem's 56x56x16 -> head -> x and y of every point

Every layer chooses one of nine blocks, `stage1.block1` to `stage2.block3`: 9^5 = 59,049 networks, of 5,830,224 to
12,135,152 multiply-accumulates and 105,476 to 209,604 parameters; 5,204,592 and 96,132 of these are the fixed part's.

`WithAngleHead` is the auxiliary network (section 3.2 of the paper), which estimates how a face is turned from the 28x28
features. It is put onto a network for as long as that trains: no cost counts it, and nothing of it is exported.

What differs. From the paper: all of the backbone, as above. From the example: the resolution may be any multiple of 16,
and kernels as large as the features grow with it; the auxiliary network's angles come behind the points, in one tensor,
as `hwnas.data.landmarks(angles=True)` takes them; and the supernet is trained without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hwnas.errors import SpaceError
from hwnas.nn.families.pfld_blocks import BLOCKS, MobileBlock, PeleeStem, SizedPlace, separable
from hwnas.nn.families.stages import check_size, conv_norm_act
from hwnas.nn.layer_choice import LayerChoice
from hwnas.nn.model_space import ModelSpace

__all__ = ["PFLDNetwork", "WithAngleHead", "pfld"]

_STAGE1 = (
    "mb_k3_res",
    "mb_k3_e2_res",
    "mb_k3_res_d3",
    "mb_k5_res",
    "mb_k5_e2_res",
    "sep_k3",
    "sep_k5",
    "gh_k3",
    "gh_k5",
)
_STAGE2 = (
    "mb_k3_e2_res",
    "mb_k3_e4_res",
    "mb_k3_e2_res_se",
    "mb_k3_res_d3",
    "mb_k5_res",
    "mb_k5_e2_res",
    "mb_k5_res_se",
    "mb_k5_e2_res_se",
    "gh_k5",
)


def pfld(
    *,
    resolution: int = 112,
    in_channels: int = 3,
    num_points: int = 106,
    widths: Sequence[int] = (16, 32, 64),
) -> ModelSpace:
    """Make the space; the defaults are the published one.

    Args:
        resolution: side of the square example image, in pixels; a multiple of 16.
        in_channels: channels of the image.
        num_points: of which the networks give x and y: (batch, 2 * num_points).
        widths: of the stem, of stage 1 and of stage 2; even.

    Raises:
        SpaceError: an option with a wrong value.
    """
    check_size("resolution", resolution, multiple_of=16)
    check_size("in_channels", in_channels)
    check_size("num_points", num_points)
    if len(widths) != 3:
        raise SpaceError(f"widths must be three: of the stem and of both stages; got {list(widths)}")
    for width in widths:
        check_size("every width", width, multiple_of=2)
    network = PFLDNetwork(resolution=resolution, in_channels=in_channels, num_points=num_points, widths=widths)
    return ModelSpace(network, torch.zeros(1, in_channels, resolution, resolution))


class PFLDNetwork(nn.Module):
    """The supernet, and what it is frozen to."""

    def __init__(self, *, resolution: int, in_channels: int, num_points: int, widths: Sequence[int]) -> None:
        """See `pfld`."""
        super().__init__()
        first, middle, last = widths
        self.side = side = resolution // 16  # of the features of the head
        self.stem_channels = first
        self.stem = PeleeStem(in_channels, first)
        entry = SizedPlace(in_channels=first, out_channels=middle, stride=2, side=2 * side)
        self.entry = MobileBlock(entry, kernel=3, inner=middle)
        keeps = SizedPlace(in_channels=middle, out_channels=middle, stride=1, side=2 * side)
        self.stage1 = nn.Sequential(*(_layer(_STAGE1, keeps, f"stage1.block{b}") for b in (1, 2)))
        halves = SizedPlace(in_channels=middle, out_channels=last, stride=2, side=side)
        keeps = SizedPlace(in_channels=last, out_channels=last, stride=1, side=side)
        places = enumerate((halves, keeps, keeps), start=1)
        self.stage2 = nn.Sequential(*(_layer(_STAGE2, place, f"stage2.block{b}") for b, place in places))
        self.shrink_half = nn.Conv2d(first, first, 9, 8, 1, groups=first, bias=False)
        self.shrink_stage1 = nn.Conv2d(middle, middle, 3, 2, 1, groups=middle, bias=False)
        self.head = nn.Sequential(
            nn.Conv2d(last + middle + first, last, 1, bias=False),
            MobileBlock(keeps, kernel=3, inner=2 * last, attention=True),
            *separable(last, 2 * last, kernel=3),
            nn.Conv2d(2 * last, 2 * last, side, groups=2 * last, bias=False),
            nn.Flatten(),
            nn.Linear(2 * last, 2 * num_points),
        )
        _draw_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Points of shape (batch, 2 * num_points), x and y of one after the other, of images."""
        return self.points_and_features(x)[0]

    def points_and_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The points, and the stem's features of a quarter of the image's side, which the auxiliary head takes."""
        half, quarter = self.stem(x)
        stage1 = self.stage1(self.entry(quarter))
        scales = [self.stage2(stage1), self.shrink_stage1(stage1), self.shrink_half(half)]
        points: Tensor = self.head(torch.cat(scales, 1))
        return points, quarter


class WithAngleHead(nn.Module):
    """A network with the auxiliary head that estimates a face's three angles: yaw, pitch and roll.

    In training mode it gives the points and behind them the angles, by whose errors the loss of
    `hwnas.data.landmarks(angles=True)` weighs the examples; in evaluation mode the points alone. Afterwards `network`
    is the trained network. It trains without a teacher, which would have no angles.
    """

    def __init__(self, network: nn.Module) -> None:
        """See the class.

        Args:
            network: frozen from a space of `pfld`; it is trained in place.

        Raises:
            SpaceError: a network of another space.
        """
        super().__init__()
        if not isinstance(network, PFLDNetwork):
            raise SpaceError(
                f"WithAngleHead takes a network that ModelSpace.freeze gave, of the family pfld; got "
                f"{type(network).__name__}."
            )
        self.network = network
        last = nn.Sequential(nn.Conv2d(32, 64, network.side, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.angles = nn.Sequential(
            conv_norm_act(network.stem_channels, 64, 3, stride=2),
            conv_norm_act(64, 64, 3),
            conv_norm_act(64, 32, 3, stride=2),
            last,  # to 3x3
            nn.MaxPool2d(3),
            nn.Flatten(),
            nn.Linear(64, 32),
            nn.Linear(32, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Points of shape (batch, 2 * num_points), in training mode with angles: (batch, 2 * num_points + 3)."""
        points, features = self.network.points_and_features(x)
        return torch.cat([points, self.angles(features)], 1) if self.training else points


def _layer(options: Sequence[str], place: SizedPlace, label: str) -> nn.Module:
    return LayerChoice({option: BLOCKS[option](place) for option in options}, label=label)


def _draw_weights(network: nn.Module) -> None:
    """Normal weights whose variance keeps that of gradients, as the example draws them.

    Kaiming He et al.: "Delving Deep into Rectifiers", ICCV 2015, https://arxiv.org/abs/1502.01852, equation 14.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
