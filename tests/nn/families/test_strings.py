from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hwnas.errors import SpaceError
from hwnas.nn import LayerChoice, ModelSpace
from hwnas.nn.families import HasStrings, family, from_string, to_string


@pytest.mark.parametrize("name", ["mobilenet_v3_8", "nasbench201_8"])
def test_a_string_and_back(name: str) -> None:
    space = family(name)
    assert isinstance(space, HasStrings)
    for seed in range(10):
        architecture = space.space.sample(np.random.default_rng(seed))
        string = to_string(space, architecture)
        assert from_string(space, string) == architecture
        assert from_string(space, string).uid == architecture.uid


def test_a_space_without_strings() -> None:
    space = ModelSpace(nn.Sequential(LayerChoice([nn.Identity(), nn.ReLU()])), torch.zeros(1, 1))
    assert not isinstance(space, HasStrings)
    with pytest.raises(SpaceError, match=r"this space has no .*, as those of mobilenet_v3 .* as JSON"):
        from_string(space, "[['ds_r1_k3_s1_e1_c16_nre']]")
    with pytest.raises(SpaceError, match="this space has no architecture strings"):
        to_string(space, {"0": 0})
