"""The ready spaces by name: every family as published, and small members of it; and the networks published in them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from hwnas.nn.families.darts import darts
from hwnas.nn.families.darts_genotype import DARTS_NETWORKS
from hwnas.nn.families.enas_macro import enas_macro
from hwnas.nn.families.enas_micro import enas_micro
from hwnas.nn.families.fbnet22 import FBNET_NETWORKS, fbnet22
from hwnas.nn.families.hardcorenas import HARDCORENAS_NETWORKS
from hwnas.nn.families.mobilenet_v3 import mobilenet_v3
from hwnas.nn.families.nasbench201 import nasbench201
from hwnas.nn.families.pfld import pfld
from hwnas.nn.families.proxylessnas import PROXYLESSNAS_NETWORKS, proxylessnas
from hwnas.nn.families.published import PublishedNetwork
from hwnas.nn.families.shufflenet_v2 import SHUFFLENET_V2_NETWORKS, shufflenet_v2, spos_weight_name
from hwnas.nn.model_space import ModelSpace

__all__ = ["FAMILIES", "PUBLISHED_NAMES", "PUBLISHED_NETWORKS", "Family"]


@dataclass(frozen=True, kw_only=True)
class Family:
    """A ready space.

    Attributes:
        description: one line for a list.
        factory: makes the space; every argument is an option, by keyword and with a default.
    """

    description: str
    factory: Callable[..., ModelSpace]

    @property
    def options(self) -> dict[str, object]:
        """The options by name, with their defaults."""
        return {name: parameter.default for name, parameter in inspect.signature(self.factory).parameters.items()}


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "mobilenet_v3": Family(
            description="HardCoRe-NAS's space around MobileNetV3: 224x224 colour images, 1000 classes, 5.9e21 networks",
            factory=mobilenet_v3,
        ),
        "mobilenet_v3_28": Family(
            description="its small member for 28x28 grey images, such as Fashion-MNIST",
            factory=partial(
                mobilenet_v3,
                resolution=28,
                in_channels=1,
                num_classes=10,
                widths=(16, 32, 64),
                strides=(2, 2, 1),
                depths=(1, 2, 3),
                expansions=(2.0, 4.0, 6.0),
                activations=("re", "hs", "hs"),
                stem_channels=8,
                first_channels=8,
                last_channels=160,
                head_channels=200,
            ),
        ),
        "mobilenet_v3_8": Family(
            description="its tiny member for 8x8 grey images: scikit-learn's digits",
            factory=partial(
                mobilenet_v3,
                resolution=8,
                in_channels=1,
                num_classes=10,
                widths=(16, 24),
                strides=(2, 1),
                depths=(1, 2, 3),
                expansions=(2.0, 3.0, 4.0),
                activations=("re", "hs"),
                stem_channels=8,
                stem_stride=1,
                first_channels=8,
                last_channels=64,
                head_channels=64,
            ),
        ),
        "proxylessnas": Family(
            description="ProxylessNAS's space: 224x224 colour images, 1000 classes, 2.2e17 networks",
            factory=proxylessnas,
        ),
        "proxylessnas_28": Family(
            description="its small member for 28x28 grey images, such as Fashion-MNIST",
            factory=partial(
                proxylessnas,
                resolution=28,
                in_channels=1,
                num_classes=10,
                widths=(16, 32, 64),
                strides=(2, 2, 1),
                depths=(3, 3, 3),
                stem_channels=8,
                first_channels=8,
                head_channels=160,
            ),
        ),
        "proxylessnas_8": Family(
            description="its tiny member for 8x8 grey images: scikit-learn's digits",
            factory=partial(
                proxylessnas,
                resolution=8,
                in_channels=1,
                num_classes=10,
                widths=(16, 24),
                strides=(2, 1),
                depths=(2, 2),
                kernels=(3, 5),
                stem_channels=8,
                stem_stride=1,
                first_channels=8,
                head_channels=64,
            ),
        ),
        "fbnet22": Family(
            description="FBNet's space of 22 layers: 224x224 colour images, 1000 classes, 9.8e20 networks",
            factory=fbnet22,
        ),
        "fbnet22_28": Family(
            description="its small member for 28x28 grey images, such as Fashion-MNIST",
            factory=partial(
                fbnet22,
                resolution=28,
                in_channels=1,
                num_classes=10,
                widths=(8, 16, 32, 64),
                strides=(1, 2, 2, 1),
                depths=(1, 3, 3, 1),
                stem_channels=8,
                head_channels=160,
            ),
        ),
        "fbnet22_8": Family(
            description="its tiny member for 8x8 grey images: scikit-learn's digits",
            factory=partial(
                fbnet22,
                resolution=8,
                in_channels=1,
                num_classes=10,
                widths=(16, 24),
                strides=(2, 1),
                depths=(2, 2),
                stem_channels=8,
                stem_stride=1,
                head_channels=64,
            ),
        ),
        "shufflenet_v2": Family(
            description="SPOS's space around ShuffleNetV2: 224x224 colour images, 1000 classes, 1.1e12 networks",
            factory=shufflenet_v2,
        ),
        "shufflenet_v2_28": Family(
            description="its small member for 28x28 grey images, such as Fashion-MNIST",
            factory=partial(
                shufflenet_v2,
                resolution=28,
                in_channels=1,
                num_classes=10,
                widths=(32, 64, 128),
                depths=(2, 3, 2),
                stem_stride=1,
                last_channels=160,
            ),
        ),
        "shufflenet_v2_8": Family(
            description="its tiny member for 8x8 grey images: scikit-learn's digits",
            factory=partial(
                shufflenet_v2,
                resolution=8,
                in_channels=1,
                num_classes=10,
                widths=(16, 32),
                depths=(2, 2),
                stem_channels=8,
                stem_stride=1,
                last_channels=64,
            ),
        ),
        "nasbench201": Family(
            description="NAS-Bench-201, one cell throughout: 32x32 colour images, 10 classes, 15,625 networks",
            factory=nasbench201,
        ),
        "nasbench201_28": Family(
            description="its small member for 28x28 grey images, such as Fashion-MNIST",
            factory=partial(nasbench201, resolution=28, in_channels=1, widths=(8, 16, 32), num_cells=1),
        ),
        "nasbench201_8": Family(
            description="its tiny member for 8x8 grey images: scikit-learn's digits",
            factory=partial(nasbench201, resolution=8, in_channels=1, widths=(8, 16), num_cells=1),
        ),
        "darts": Family(
            description="DARTS's space of cells, as it is searched: 32x32 colour images, 10 classes, 1.1e18 networks",
            factory=darts,
        ),
        "darts_28": Family(
            description="its small member for 28x28 grey images, such as Fashion-MNIST",
            factory=partial(darts, resolution=28, in_channels=1, channels=8, num_cells=3, num_nodes=2),
        ),
        "darts_8": Family(
            description="its tiny member for 8x8 grey images: scikit-learn's digits",
            factory=partial(darts, resolution=8, in_channels=1, channels=4, num_cells=3, num_nodes=2),
        ),
        "enas_macro": Family(
            description="ENAS's space of layers and skips: 32x32 colour images, 10 classes, 1.6e29 networks",
            factory=enas_macro,
        ),
        "enas_macro_28": Family(
            description="its small member for 28x28 grey images, such as Fashion-MNIST",
            factory=partial(enas_macro, resolution=28, in_channels=1, filters=12, num_layers=6),
        ),
        "enas_macro_8": Family(
            description="its tiny member for 8x8 grey images: scikit-learn's digits",
            factory=partial(enas_macro, resolution=8, in_channels=1, filters=8, num_layers=3),
        ),
        "enas_micro": Family(
            description="ENAS's space of cells: 32x32 colour images, 10 classes, 2.6e25 architectures",
            factory=enas_micro,
        ),
        "enas_micro_28": Family(
            description="its small member for 28x28 grey images, such as Fashion-MNIST",
            factory=partial(enas_micro, resolution=28, in_channels=1, channels=8, num_cells=3, num_nodes=3),
        ),
        "enas_micro_8": Family(
            description="its tiny member for 8x8 grey images: scikit-learn's digits",
            factory=partial(enas_micro, resolution=8, in_channels=1, channels=4, num_cells=3, num_nodes=2),
        ),
        "pfld": Family(
            description="PFLD's space for the points of a face: 112x112 colour images, 106 points, 59,049 networks",
            factory=pfld,
        ),
        "pfld_32": Family(
            description="its small member for five points in 32x32 grey images",
            factory=partial(pfld, resolution=32, in_channels=1, num_points=5, widths=(8, 16, 32)),
        ),
    }
)
"""The ready spaces by name."""

PUBLISHED_NETWORKS: Mapping[str, Mapping[str, PublishedNetwork]] = MappingProxyType(
    {
        "darts": DARTS_NETWORKS,
        "fbnet22": FBNET_NETWORKS,
        "mobilenet_v3": HARDCORENAS_NETWORKS,
        "proxylessnas": PROXYLESSNAS_NETWORKS,
        "shufflenet_v2": SHUFFLENET_V2_NETWORKS,
    }
)
"""The published networks: by family, and by name."""

PUBLISHED_NAMES: Mapping[str, Callable[[str], str | None]] = MappingProxyType({"shufflenet_v2": spos_weight_name})
"""Of supernets whose weights are published under other names, by family: what each weight is called here."""
