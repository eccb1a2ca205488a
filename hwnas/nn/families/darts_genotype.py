"""Genotypes: networks of DARTS in the notation of its paper's code, and the published ones by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

from hwnas.errors import ArchitectureError
from hwnas.nn.families.darts import darts
from hwnas.nn.families.published import PublishedNetwork
from hwnas.space import Option

__all__ = ["DARTS_NETWORKS", "from_genotype"]


def from_genotype(*, normal: Sequence[tuple[str, int]], reduce: Sequence[tuple[str, int]]) -> Mapping[str, Option]:
    """The architecture that two cells in the notation of the paper's code are.

    Args:
        normal: for each of the nodes 2, 3, ... two pairs of an operation and the node that it is on.
        reduce: the same for reduction cells.

    Raises:
        ArchitectureError: an odd number of pairs, or a node with one input twice, which no network of the space has.
    """
    architecture: dict[str, Option] = {}
    for kind, cell in {"normal": normal, "reduce": reduce}.items():
        if len(cell) % 2:
            raise ArchitectureError(f"A genotype must have two pairs for each node; `{kind}` has {len(cell)} pairs.")
        for node, ((one, first), (other, second)) in enumerate(zip(cell[::2], cell[1::2], strict=True), start=2):
            if first == second:
                raise ArchitectureError(
                    f"The inputs of a node must differ; node {node} of `{kind}` has two operations on node {first}."
                )
            architecture[f"{kind}/inputs_{node}"] = tuple(sorted((first, second)))
            architecture[f"{kind}/op_{node}_{first}"] = one
            architecture[f"{kind}/op_{node}_{second}"] = other
    return MappingProxyType(architecture)


_space = partial(darts, channels=36, num_cells=20, affine=True)

# fmt: off
DARTS_NETWORKS: Mapping[str, PublishedNetwork] = MappingProxyType(
    {
        "darts-v1": PublishedNetwork(
            space=_space,
            architecture=from_genotype(
                normal=[
                    ("sep_conv_3x3", 1), ("sep_conv_3x3", 0),
                    ("skip_connect", 0), ("sep_conv_3x3", 1),
                    ("skip_connect", 0), ("sep_conv_3x3", 1),
                    ("sep_conv_3x3", 0), ("skip_connect", 2),
                ],
                reduce=[
                    ("max_pool_3x3", 0), ("max_pool_3x3", 1),
                    ("skip_connect", 2), ("max_pool_3x3", 0),
                    ("max_pool_3x3", 0), ("skip_connect", 2),
                    ("skip_connect", 2), ("avg_pool_3x3", 0),
                ],
            ),
        ),
        "darts-v2": PublishedNetwork(
            space=_space,
            architecture=from_genotype(
                normal=[
                    ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
                    ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
                    ("sep_conv_3x3", 1), ("skip_connect", 0),
                    ("skip_connect", 0), ("dil_conv_3x3", 2),
                ],
                reduce=[
                    ("max_pool_3x3", 0), ("max_pool_3x3", 1),
                    ("skip_connect", 2), ("max_pool_3x3", 1),
                    ("max_pool_3x3", 0), ("skip_connect", 2),
                    ("skip_connect", 2), ("max_pool_3x3", 1),
                ],
            ),
        ),
    }
)
# fmt: on
"""The networks for CIFAR-10 that the paper found by its first (v1) and second order (v2): 20 cells, 36 channels."""
