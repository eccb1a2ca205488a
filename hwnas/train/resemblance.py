"""Which of the known networks weights are of: for the error of one who has mixed up files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from hwnas.nn.families import FAMILIES, PUBLISHED_NAMES, PUBLISHED_NETWORKS

__all__ = ["resemblance"]

_LEAST = 0.9
"""The share of tensors that must agree in name and shape; another number of classes changes one or two."""

_Shapes = set[tuple[str, torch.Size]]


def resemblance(weights: Mapping[str, Tensor]) -> str | None:
    """The published network, or the supernet of a ready space, that has the most of the weights, in words.

    Args:
        weights: by their names, without those of wrappers.

    Returns:
        For example "the published network 'hardcorenas-b'"; None if nine in ten tensors agree with none of them.
    """
    namings = [_shapes(weights)]
    namings += [_shapes({rename(name) or "": t for name, t in weights.items()}) for rename in PUBLISHED_NAMES.values()]
    best, most = None, _LEAST
    for words, make in _known({name.partition(".")[0] for name in weights}):
        own = _made(make)
        share = max(len(own & given) / max(len(own), len(given)) for given in namings)
        if share > most:
            best, most = words, share
        if most == 1:
            break
    return best


def _known(modules: set[str]) -> Iterator[tuple[str, Callable[[], nn.Module]]]:
    """The known networks whose outermost modules are called as some of the given: most others need not be built."""
    families = [name for name in FAMILIES if not any(name.startswith(f"{other}_") for other in FAMILIES)]
    for family in families:
        members = [name for name in FAMILIES if name == family or name.startswith(f"{family}_")]
        smallest = _made(FAMILIES[members[-1]].factory)
        if not {name.partition(".")[0] for name, _ in smallest} <= modules:
            continue
        for name, network in PUBLISHED_NETWORKS.get(family, {}).items():
            yield f"the published network {name!r}", network.build
        for name in members:
            yield f"the supernet of the space {name!r}", FAMILIES[name].factory


def _made(make: Callable[[], nn.Module]) -> _Shapes:
    with torch.device("meta"):
        return _shapes(make().state_dict())


def _shapes(weights: Mapping[str, Tensor]) -> _Shapes:
    return {(name.removeprefix("module."), tensor.shape) for name, tensor in weights.items()}
