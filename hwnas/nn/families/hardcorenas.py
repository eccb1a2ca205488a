"""The networks that HardCoRe-NAS found, by name: points of the space `mobilenet_v3`.

Niv Nayman, Yonathan Aflalo, Asaf Noy, Lihi Zelnik-Manor: "HardCoRe-NAS: Hard Constrained diffeRentiable Neural
Architecture Search", ICML 2021, https://arxiv.org/abs/2102.11646; the blocks are those of the authors' released
strings. Their weights' names are timm's: weights of `hardcorenas_a` to `_f` fit as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hwnas.nn.families.mobilenet_v3 import mobilenet_v3
from hwnas.nn.families.published import PublishedNetwork, by_stages

__all__ = ["HARDCORENAS_NETWORKS"]


def _network(table: str) -> PublishedNetwork:
    depths = {f"stage{s}.depth": len(line.split()) for s, line in enumerate(table.strip().splitlines(), start=1)}
    return PublishedNetwork(space=mobilenet_v3, architecture=MappingProxyType({**by_stages(table), **depths}))


HARDCORENAS_NETWORKS: Mapping[str, PublishedNetwork] = MappingProxyType(
    {
        "hardcorenas-a": _network(
            """
            k5_e3        k5_e3_se0.25
            k5_e3        k5_e6_se0.25
            k5_e6_se0.25 k5_e6_se0.25
            k5_e6_se0.25 k5_e6_se0.25
            k5_e6_se0.25 k5_e6_se0.25
            """
        ),
        "hardcorenas-b": _network(
            """
            k5_e3        k5_e3_se0.25 k3_e3
            k5_e3        k5_e3        k5_e3
            k5_e3        k5_e3        k3_e3        k3_e3
            k5_e3        k3_e3        k3_e3        k3_e3
            k5_e6_se0.25 k5_e6_se0.25 k3_e3_se0.25
            """
        ),
        "hardcorenas-c": _network(
            """
            k5_e3        k5_e3_se0.25
            k5_e3        k5_e3        k5_e3        k5_e3
            k5_e4        k5_e6_se0.25 k3_e3        k3_e3
            k5_e6_se0.25 k3_e3        k3_e3        k3_e3
            k5_e6_se0.25 k5_e6_se0.25 k3_e3_se0.25
            """
        ),
        "hardcorenas-d": _network(
            """
            k5_e3_se0.25 k5_e3_se0.25
            k5_e3_se0.25 k5_e4_se0.25 k3_e3_se0.25
            k5_e4_se0.25 k3_e3_se0.25 k3_e3_se0.25 k3_e3_se0.25
            k3_e4_se0.25 k5_e4_se0.25 k3_e3_se0.25 k5_e3_se0.25
            k5_e6_se0.25 k5_e6_se0.25 k5_e6_se0.25 k3_e6_se0.25
            """
        ),
        "hardcorenas-e": _network(
            """
            k5_e3_se0.25 k5_e3_se0.25
            k5_e6_se0.25 k5_e4_se0.25 k5_e4_se0.25 k3_e3_se0.25
            k5_e4_se0.25 k3_e6_se0.25
            k5_e6_se0.25 k5_e6_se0.25 k5_e6_se0.25 k5_e3_se0.25
            k5_e6_se0.25 k5_e6_se0.25 k5_e6_se0.25 k3_e6_se0.25
            """
        ),
        "hardcorenas-f": _network(
            """
            k5_e3_se0.25 k5_e3_se0.25
            k5_e6_se0.25 k5_e6_se0.25
            k5_e6_se0.25 k5_e6_se0.25 k3_e3_se0.25 k3_e3_se0.25
            k3_e6_se0.25 k5_e6_se0.25 k5_e6_se0.25 k3_e3_se0.25
            k5_e6_se0.25 k5_e6_se0.25 k3_e6_se0.25 k3_e6_se0.25
            """
        ),
    }
)
"""The paper's networks of 38 to 60 ms on a Xeon by name, from the fastest to the slowest."""
