"""A cell of nodes that choose their inputs and operations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hwnas.errors import SpaceError
from hwnas.nn import Cell, ModelSpace


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Halves(nn.Module):
    def forward(self, predecessors: list[Tensor]) -> list[Tensor]:
        return [x / 2 for x in predecessors]


class Append(nn.Module):
    def forward(self, merged: Tensor, predecessors: list[Tensor]) -> Tensor:
        return torch.cat([merged, *predecessors], 1)


A, B = torch.randn(2, 3), torch.randn(2, 3)
OPS = {"two": Times(2.0), "ten": Times(10.0)}


def test_nodes_add_up_operations_on_chosen_inputs() -> None:
    cell = Cell(OPS, 2, num_ops_per_node=2, num_predecessors=2, label="cell")
    model = ModelSpace(cell, (A, B))
    assert model.space.size == 2**4 * 2**2 * 3**2
    architecture = {
        "cell/op_2_0": "two", "cell/input_2_0": 0, "cell/op_2_1": "ten", "cell/input_2_1": 1,
        "cell/op_3_0": "two", "cell/input_3_0": 2, "cell/op_3_1": "two", "cell/input_3_1": 0,
    }  # fmt: skip
    node = 2 * A + 10 * B
    expected = torch.cat([node, 2 * node + 2 * A], 1)
    torch.testing.assert_close(model((A, B), architecture), expected)
    frozen = model.freeze(architecture)
    torch.testing.assert_close(frozen(A, B), expected)
    assert list(frozen.state_dict()) == ["op_2_0.factor", "op_2_1.factor", "op_3_0.factor", "op_3_1.factor"]


def test_loose_ends_are_nodes_that_nothing_takes() -> None:
    cell = Cell(OPS, 3, merge="loose_end", label="cell")
    model = ModelSpace(cell, A)
    ops = {f"cell/op_{node}_0": "two" for node in (1, 2, 3)}
    chain = model(A, {**ops, "cell/input_2_0": 1, "cell/input_3_0": 2})
    torch.testing.assert_close(chain, 8 * A)
    star = model(A, {**ops, "cell/input_2_0": 0, "cell/input_3_0": 0})
    torch.testing.assert_close(star, torch.cat([2 * A, 2 * A, 2 * A], 1))
    fork = model.freeze({**ops, "cell/input_2_0": 1, "cell/input_3_0": 1})(A)
    torch.testing.assert_close(fork, torch.cat([4 * A, 4 * A], 1))


def test_unlabelled_choices_are_called_by_the_path() -> None:
    model = ModelSpace(nn.Sequential(Cell(OPS, 2, merge="loose_end")), A)
    assert set(model.space.names) == {"0.op_1_0", "0.op_2_0", "0.input_2_0"}
    assert model.space.size == 8


def test_processors_and_a_factory() -> None:
    asked: list[tuple[int, int]] = []

    def candidates(node: int, position: int) -> list[nn.Module]:
        asked.append((node, position))
        return [Times(float(node))]

    cell = Cell(candidates, 1, num_predecessors=2, preprocessor=Halves(), postprocessor=Append(), label="c")
    model = ModelSpace(cell, (A, B))
    assert asked == [(2, 0)]
    torch.testing.assert_close(model((A, B), {"c/op_2_0": 0, "c/input_2_0": 1}), torch.cat([B, A / 2, B / 2], 1))


def test_operations_are_copies() -> None:
    cell = Cell(OPS, 2)
    assert cell.get_submodule("op_1_0.two") is not cell.get_submodule("op_2_0.two")


def test_errors() -> None:
    with pytest.raises(SpaceError, match="`num_nodes` must be at least 1; got 0"):
        Cell(OPS, 0)
    with pytest.raises(SpaceError, match="`merge` must be all or loose_end; got 'some'"):
        Cell(OPS, 1, merge="some")  # type: ignore[arg-type]
