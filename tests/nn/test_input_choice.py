"""Some of several inputs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hwnas.errors import SpaceError
from hwnas.nn import InputChoice, ModelSpace

A, B, C = (torch.randn(2, 3) for _ in range(3))


def run(choice: InputChoice, **selection: object) -> Tensor:
    model = ModelSpace(nn.Sequential(choice), ([A, B, C],))
    frozen = model.freeze({name.replace("_", "/"): option for name, option in selection.items()})  # type: ignore[misc]
    assert type(frozen[0]).__module__.startswith("torch.fx")
    return frozen([A, B, C])  # type: ignore[no-any-return]


def test_one() -> None:
    choice = InputChoice(3, label="c")
    assert choice.slots()[0].options == (0, 1, 2)
    assert run(choice, c=1) is B


def test_several() -> None:
    assert InputChoice(3, n_chosen=2, label="c").slots()[0].options == ((0, 1), (0, 2), (1, 2))
    torch.testing.assert_close(run(InputChoice(3, n_chosen=2, label="c"), c=(0, 2)), A + C)
    torch.testing.assert_close(run(InputChoice(3, n_chosen=2, reduction="mean", label="c"), c=(1, 2)), (B + C) / 2)
    together = run(InputChoice(3, n_chosen=2, reduction="concat", label="c"), c=(0, 1))
    torch.testing.assert_close(together, torch.cat([A, B], 1))
    listed = run(InputChoice(3, n_chosen=2, reduction="none", label="c"), c=(0, 1))
    assert isinstance(listed, list)
    assert listed[1] is B
    assert run(InputChoice(3, n_chosen=1, reduction="none", label="c"), c=2) is C


def test_any_subset() -> None:
    choice = InputChoice(3, n_chosen=None, label="c")
    assert [slot.label for slot in choice.slots()] == ["c/0", "c/1", "c/2"]
    torch.testing.assert_close(run(choice, c_0=True, c_1=False, c_2=True), A + C)
    assert not run(choice, c_0=False, c_1=False, c_2=False).any()
    mean = InputChoice(3, n_chosen=None, reduction="mean", label="c")
    torch.testing.assert_close(run(mean, c_0=True, c_1=True, c_2=True), (A + B + C) / 3)


def test_errors() -> None:
    with pytest.raises(SpaceError, match="`n_candidates` must be at least 1; got 0"):
        InputChoice(0)
    with pytest.raises(SpaceError, match=r"`n_chosen` must be None or from 1 to `n_candidates` \(3\); got 4"):
        InputChoice(3, n_chosen=4)
    with pytest.raises(SpaceError, match="`reduction` must be one of sum, mean, concat, none; got 'max'"):
        InputChoice(3, reduction="max")  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="allows the empty subset, which 'concat' cannot reduce"):
        InputChoice(3, n_chosen=None, reduction="concat")
