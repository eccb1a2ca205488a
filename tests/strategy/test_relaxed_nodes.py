"""Which choices belong to a node, and the spaces in which that cannot be said."""

import pytest
import torch
from torch import Tensor, nn

from hwnas.errors import StrategyError
from hwnas.nn import ElasticLinear, LayerChoice, ModelSpace, Node, Repeat
from hwnas.strategy.relaxed_nodes import relaxed_nodes


def operation(label: str | None = None) -> LayerChoice:
    return LayerChoice([nn.Linear(4, 4), nn.Identity()], label=label)


class Net(nn.Module):
    """Nodes that all take the same tensor."""

    def __init__(self, *nodes: Node) -> None:
        super().__init__()
        self.nodes = nn.ModuleList(nodes)

    def forward(self, x: Tensor) -> Tensor:
        return sum(node([x] * len(node.edges)) for node in self.nodes)


def space_of(*nodes: Node) -> ModelSpace:
    return ModelSpace(Net(*nodes), torch.zeros(2, 4))


def test_nodes_and_their_operations():
    """Operations may be inside an edge; choices inside candidates are not the edge's."""
    nested = LayerChoice([nn.Sequential(operation()), nn.Identity()])
    plain = nn.Sequential(nn.Linear(4, 4), operation(), nn.ReLU())
    nodes = relaxed_nodes(space_of(Node([operation("a"), nested, plain], 2), Node([operation()], 1)))
    assert nodes["nodes.0.inputs"].tuples == ((0, 1), (0, 2), (1, 2))
    assert nodes["nodes.0.inputs"].operations == ("a", "nodes.0.1", "nodes.0.2.1")
    assert nodes["nodes.0.inputs"].num_kept == 2
    assert nodes["nodes.1.inputs"].operations == ("nodes.1.0",)


def test_other_choices_of_an_edge_are_not_its_operation():
    edge = nn.Sequential(ElasticLinear(4, 4), operation())
    assert relaxed_nodes(space_of(Node([edge, operation()], 1)))["nodes.0.inputs"].operations[0] == "nodes.0.0.1"


@pytest.mark.parametrize(("num_edges", "num_kept"), [(2, 1), (2, 2), (4, 2), (5, 3), (5, 5)])
def test_every_edge_runs_with_weight_one(num_edges, num_kept):
    (node,) = relaxed_nodes(space_of(Node([operation() for _ in range(num_edges)], num_kept))).values()
    for edge in range(num_edges):
        assert sum(node.tuple_weight for option in node.tuples if edge in option) == pytest.approx(1)


def test_cells_that_are_alike_have_one_node():
    nodes = relaxed_nodes(space_of(*(Node([operation("a"), operation("b")], 1, label="inputs") for _ in range(3))))
    assert list(nodes) == ["inputs"]


@pytest.mark.parametrize(
    ("edge", "number"),
    [
        (nn.Linear(4, 4), 0),
        (nn.Sequential(operation(), operation()), 2),
        (Repeat(lambda _: operation(), (1, 2)), 0),
    ],
    ids=["none", "two", "in another choice"],
)
def test_edges_without_one_operation(edge, number):
    with pytest.raises(StrategyError, match=f"each must have one LayerChoice; edge 1 of 'nodes.0' has {number}"):
        relaxed_nodes(space_of(Node([operation(), edge], 1)))


def test_operations_that_are_shared():
    with pytest.raises(StrategyError, match=r"one operation an edge, of its own; those of 'nodes\.0\.inputs' are"):
        relaxed_nodes(space_of(Node([operation("a"), operation("a")], 1)))
    with pytest.raises(StrategyError, match="one operation an edge, of its own; those of 'inputs' are"):
        relaxed_nodes(space_of(*(Node([operation(), operation()], 1, label="inputs") for _ in range(2))))
