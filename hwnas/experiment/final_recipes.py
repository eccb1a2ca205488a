"""How papers train the network that their search has found, as data: one record a strategy.

What differs in all of them. SGD is Nesterov's; biases and normalisation do not decay; images are changed as the data
set's `augment` says, beside cutout. Each record says what else does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hwnas.nn import ModelSpace
from hwnas.nn.families import FAMILIES, DartsNetwork, EnasMicroNetwork, PFLDNetwork
from hwnas.train import FinalRecipe, Recipe

__all__ = ["FINAL_RECIPES", "final_options", "final_recipe"]

_DARTS = FinalRecipe(
    recipe=Recipe(
        epochs=600,
        batch_size=96,
        learning_rate=0.025,
        weight_decay=3e-4,
        label_smoothing=0.0,
        gradient_clip=5.0,
        distillation=0.0,
    ),
    auxiliary_weight=0.4,
    drop_path_rate=0.2,
    cutout=0.5,
    source=(
        "H. Liu, K. Simonyan, Y. Yang: DARTS, ICLR 2019, https://arxiv.org/abs/1806.09055, appendix A: CIFAR-10, "
        "cutout 16 of 32 pixels, 20 cells and 36 channels."
    ),
)

_ENAS_MACRO = FinalRecipe(
    recipe=Recipe(
        epochs=310,
        batch_size=100,
        learning_rate=0.05,
        min_learning_rate=0.001,
        weight_decay=2e-4,
        label_smoothing=0.0,
        gradient_clip=5.0,
        distillation=0.0,
    ),
    source=(
        "H. Pham et al.: ENAS, ICML 2018, https://arxiv.org/abs/1802.03268, and scripts/cifar10_macro_final.sh of its "
        "code: CIFAR-10, 96 filters. There the cosine begins anew after 10, 30, 70 and 150 epochs, here it is one; and "
        "the network has an auxiliary head, which it has not here."
    ),
)

_ENAS_MICRO = FinalRecipe(
    recipe=dataclasses.replace(_ENAS_MACRO.recipe, epochs=630, batch_size=144, min_learning_rate=0.0001),
    auxiliary_weight=0.4,
    drop_path_rate=0.4,
    cutout=0.5,
    source=(
        "H. Pham et al.: ENAS, ICML 2018, https://arxiv.org/abs/1802.03268, and scripts/cifar10_micro_final.sh of its "
        "code: CIFAR-10, cutout 16 of 32 pixels, 15 cells and 36 channels. There the cosine begins anew after 10, 30, "
        "70, 150 and 310 epochs, here it is one. The auxiliary head and drop path are for networks of the family darts."
    ),
)

_FBNET = FinalRecipe(
    recipe=Recipe(
        epochs=360,
        batch_size=256,
        learning_rate=0.1,
        schedule="step",
        weight_decay=4e-5,
        label_smoothing=0.0,
        gradient_clip=None,
        distillation=0.0,
    ),
    source=(
        "B. Wu et al.: FBNet, CVPR 2019, https://arxiv.org/abs/1812.03443: ImageNet, the learning rate a tenth after "
        "90, 180 and 270 of 360 epochs. The batch size and the weight decay are ProxylessNAS's."
    ),
)

_PROXYLESSNAS = FinalRecipe(
    recipe=Recipe(
        epochs=300,
        batch_size=256,
        learning_rate=0.05,
        weight_decay=4e-5,
        label_smoothing=0.1,
        gradient_clip=None,
        distillation=0.0,
    ),
    source=(
        "H. Cai, L. Zhu, S. Han: ProxylessNAS, ICLR 2019, https://arxiv.org/abs/1812.00332, and "
        "search/imagenet_run_exp.py of its code: ImageNet, strong colour distortion, which is left out."
    ),
)

_SPOS = FinalRecipe(
    recipe=Recipe(
        epochs=240,
        batch_size=1024,
        learning_rate=0.5,
        schedule="linear",
        weight_decay=4e-5,
        label_smoothing=0.1,
        gradient_clip=None,
        distillation=0.0,
    ),
    source=(
        "Z. Guo et al.: Single Path One-Shot NAS, ECCV 2020, https://arxiv.org/abs/1904.00420, and ShuffleNet V2's "
        "recipe, https://arxiv.org/abs/1807.11164, which it takes: ImageNet, 300,000 steps."
    ),
)

_HARDCORENAS = FinalRecipe(
    recipe=Recipe(
        epochs=50,
        batch_size=128,
        learning_rate=0.00128,
        weight_decay=1e-5,
        label_smoothing=0.1,
        gradient_clip=None,
        distillation=2.0,
    ),
    inherits=True,
    source=(
        "N. Nayman et al.: HardCoRe-NAS, ICML 2021, https://arxiv.org/abs/2102.11646, and the README of its code: "
        "fine-tuning on ImageNet from the supernet's weights, the loss plus twice the divergence from the heaviest "
        "network. RandAugment is that of the data set, random erasing and averaged weights are left out."
    ),
)

_PFLD = FinalRecipe(
    recipe=Recipe(
        epochs=300,
        batch_size=256,
        optimizer="adamw",
        learning_rate=1e-4,
        weight_decay=1e-6,
        label_smoothing=0.0,
        gradient_clip=None,
        distillation=0.0,
    ),
    inherits=True,
    source=(
        "NNI's PFLD example, https://github.com/microsoft/nni, examples/nas/oneshot/pfld: fine-tuning on 106 points "
        "from the supernet's weights, with the angle head of X. Guo et al.: PFLD, https://arxiv.org/abs/1902.10859. "
        "Its default optimiser is RMSprop, the paper's Adam; here it is AdamW, the example's other one."
    ),
)

FINAL_RECIPES: Mapping[str, FinalRecipe] = MappingProxyType(
    {
        "darts": _DARTS,
        "enas": _ENAS_MACRO,
        "enas, cells": _ENAS_MICRO,
        "fbnet": _FBNET,
        "hardcorenas": _HARDCORENAS,
        "pfld": _PFLD,
        "proxylessnas": _PROXYLESSNAS,
        "spos": _SPOS,
    }
)
"""By strategy; "enas, cells" is of networks of cells, and "pfld" of networks of that family, whatever has found them.
`certified`, `evolution`, `random` and strategies of one's own have no paper that trains their networks: from scratch
they are trained as ProxylessNAS's are, with inherited weights as HardCoRe-NAS's."""


def final_recipe(strategy: str, space: ModelSpace, *, inherit: bool | None = None) -> FinalRecipe:
    """The recipe for what a strategy has found, less what networks of the space cannot do.

    Auxiliary head and drop path are of networks of the family `darts`, and cutout is of images. Networks of cells are
    those of `darts` and `enas_micro`.

    Args:
        strategy: its name.
        space: in which it searched.
        inherit: begin with the supernet's weights, or anew; as in the strategy's paper if not given. Where its paper
            does the other, the recipe is HardCoRe-NAS's or ProxylessNAS's; with the family `pfld` it is the same.
    """
    if isinstance(space.module, PFLDNetwork):
        return _PFLD if inherit is None else dataclasses.replace(_PFLD, inherits=inherit)
    has_cells = isinstance(space.module, DartsNetwork | EnasMicroNetwork)
    recipe = FINAL_RECIPES.get(f"{strategy}, cells" if has_cells else strategy, FINAL_RECIPES.get(strategy))
    if recipe is None or (inherit is not None and recipe.inherits != inherit):
        recipe = _HARDCORENAS if inherit else _PROXYLESSNAS
    if not isinstance(space.module, DartsNetwork):
        recipe = dataclasses.replace(recipe, auxiliary_weight=0.0, drop_path_rate=0.0)
    inputs = space.example_inputs
    has_images = isinstance(inputs, tuple) and getattr(inputs[0], "ndim", 0) == 4
    return recipe if has_images else dataclasses.replace(recipe, cutout=0.0)


_GROWN: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "darts": {"num_cells": 20, "channels": 36},
        "enas_macro": {"filters": 96, "dropout": 0.5},
        "enas_micro": {"num_cells": 15, "channels": 36, "dropout": 0.2},
    }
)
"""Final options by family; the sources are those of the recipes."""


def final_options(space: str) -> Mapping[str, Any]:
    """The options in which a family's final networks differ from those of its search, for training from scratch.

    Networks of the full families `darts`, `enas_macro` and `enas_micro` grow as in their papers' programs; their small
    members keep their size. Families that search with batch norms without scale and shift train with them.
    """
    if space not in FAMILIES or "affine" not in FAMILIES[space].options:
        return {}
    return {"affine": True} | _GROWN.get(space, {})
