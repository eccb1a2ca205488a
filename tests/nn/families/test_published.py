from __future__ import annotations

import pytest
import torch

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.nn.families import FBNET_NETWORKS, PROXYLESSNAS_NETWORKS
from hwnas.nn.families.published import by_stages


def test_a_table_has_a_line_for_every_stage() -> None:
    table = """
        k3_e1
        skip  k5_e6
    """
    assert dict(by_stages(table)) == {"stage1.block1": "k3_e1", "stage2.block1": "skip", "stage2.block2": "k5_e6"}


def test_options_of_the_family_may_be_given() -> None:
    network = PROXYLESSNAS_NETWORKS["proxyless-cpu"].build(num_classes=7, in_channels=1).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 1, 32, 32)).shape == (2, 7)


def test_an_option_that_does_not_fit_the_network_is_an_error() -> None:
    with pytest.raises(SpaceError, match="num_classes must be a whole number of at least 1; got 0"):
        FBNET_NETWORKS["fbnet-a"].build(num_classes=0)
    with pytest.raises(ArchitectureError, match="k3_e6"):
        FBNET_NETWORKS["fbnet-b"].build(options=("k3_e1", "skip"))


def test_options_are_those_that_differ_from_the_family() -> None:
    assert PROXYLESSNAS_NETWORKS["proxyless-mobile"].options == {}  # its widths are the family's defaults
    assert FBNET_NETWORKS["fbnet-b"].options == {}
    assert FBNET_NETWORKS["fbnet-a"].options == {"head_channels": 1504}
