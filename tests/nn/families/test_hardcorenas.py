"""The published networks of HardCoRe-NAS beside their strings and timm's models, with their counts."""

from __future__ import annotations

import pytest
import timm
import torch

from hwnas.nn.families import HARDCORENAS_NETWORKS, MobileNetV3Space, mobilenet_v3, published_network
from hwnas.train import load_weights

from .published import PUBLISHED, Published
from .test_architecture_string import randomise, shapes
from .test_mobilenet_v3 import counts

published = pytest.mark.parametrize("network", PUBLISHED, ids=lambda network: network.timm_name)


def our_name(network: Published) -> str:
    return network.timm_name.replace("_", "-")


@pytest.fixture(scope="module")
def space() -> MobileNetV3Space:
    with torch.device("meta"):
        return mobilenet_v3()


def test_all_six_are_here() -> None:
    assert list(HARDCORENAS_NETWORKS) == [our_name(network) for network in PUBLISHED]


@published
def test_they_are_the_published_strings(space: MobileNetV3Space, network: Published) -> None:
    named = HARDCORENAS_NETWORKS[our_name(network)]
    assert space.from_string(network.string) == space.space.validate(named.architecture)
    assert named.options == {}


@published
def test_they_have_the_published_counts_and_timms_weights(network: Published) -> None:
    with torch.device("meta"):
        ours, theirs = published_network(our_name(network)).eval(), timm.create_model(network.timm_name)
    assert shapes(ours) == shapes(theirs)
    assert counts(ours, 224) == (network.params, network.macs)


def test_weights_of_timm_fit_as_they_are() -> None:
    ours, theirs = published_network("hardcorenas-a").eval(), timm.create_model("hardcorenas_a").eval()
    randomise(theirs)
    load_weights(ours, theirs.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=1e-5)
