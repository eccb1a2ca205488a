"""The sum of the ends of nodes that no other node takes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.nn import InputChoice, LooseEnds, ModelSpace, Paths, count
from hwnas.profiler import FlopsProfiler, NumParamsProfiler, PeakMemoryProfiler


class Chain(nn.Module):
    """Nodes 1, 2 and 3 after the input, which is state 0; each is twice the state that it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(InputChoice(node, label=f"input_{node}") for node in (2, 3))
        ends = [nn.Linear(2, width, bias=False) for width in (3, 3, 3)]
        self.output = LooseEnds(ends, first=1, inputs={"input_2": 2, "input_3": 3})

    def forward(self, x: Tensor) -> Tensor:
        states = [x, 2 * x]
        for choose in self.inputs:
            states.append(2 * choose(states))
        return self.output(states[1:])


X = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def space() -> ModelSpace:
    torch.manual_seed(0)
    return ModelSpace(Chain(), X)


@pytest.mark.parametrize(
    ("inputs", "loose"),
    [
        ((0, 0), {1: 2, 2: 2, 3: 2}),  # the loose nodes, and what multiple of x each of them is
        ((0, 1), {2: 2, 3: 4}),
        ((0, 2), {1: 2, 3: 4}),
        ((1, 0), {2: 4, 3: 2}),
        ((1, 1), {2: 4, 3: 4}),
        ((1, 2), {3: 8}),
    ],
)
def test_the_loose_ends_are_added_counted_and_frozen(
    space: ModelSpace, inputs: tuple[int, int], loose: dict[int, int]
) -> None:
    architecture = {"input_2": inputs[0], "input_3": inputs[1]}
    ends = space.module.output.ends
    expected = torch.stack([ends[node - 1](factor * X) for node, factor in loose.items()]).sum(0)
    torch.testing.assert_close(space(X, architecture), expected)
    frozen = space.freeze(architecture)
    torch.testing.assert_close(frozen(X), expected)
    assert {name.split(".")[1] for name in frozen.state_dict()} == {str(node - 1) for node in loose}
    assert NumParamsProfiler(space).profile(architecture) == 6 * len(loose)
    counted = count(frozen, (X,))
    assert FlopsProfiler(space).profile(architecture) == counted.macs == 4 * 6 * len(loose)
    assert PeakMemoryProfiler(space).profile(architecture) >= counted.peak_memory_bytes


def test_it_has_no_choices_of_its_own(space: ModelSpace) -> None:
    assert set(space.space.names) == {"input_2", "input_3"}
    assert space.space.size == 6


def test_all_ends_are_loose_without_choices() -> None:
    torch.manual_seed(0)
    ends = [nn.Linear(2, 3), nn.Linear(2, 3)]
    both = nn.Sequential(LooseEnds(ends, first=1, inputs={}))
    cell = nn.ModuleDict({"choose": InputChoice(2, label="a"), "output": both})

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell

        def forward(self, x: Tensor) -> Tensor:
            return self.cell["output"]([x, self.cell["choose"]([x, -x])])

    space = ModelSpace(Model(), X)
    torch.testing.assert_close(space(X, {"a": 1}), ends[0](X) + ends[1](-X))
    assert FlopsProfiler(space).profile({"a": 0}) == 4 * 6 * 2


def test_paths_are_refused(space: ModelSpace) -> None:
    with pytest.raises(ArchitectureError, match="Paths for choice 'input_2' are not possible where loose ends are"):
        space(X, {"input_2": Paths(torch.tensor([0.5, 0.5])), "input_3": 0})


def test_ends_that_are_not_possible_are_refused() -> None:
    with pytest.raises(SpaceError, match="LooseEnds needs at least one end; got none"):
        LooseEnds([], first=0, inputs={})
    for number in (0, 3):
        with pytest.raises(SpaceError, match=f"'a' of LooseEnds must have 1 to 2 options, .* loose; got {number}"):
            LooseEnds([nn.Identity(), nn.Identity()], first=1, inputs={"a": number})
