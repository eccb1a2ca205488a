"""A node that sums some of its edges."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.nn import LayerChoice, ModelSpace, Node, Paths, count
from hwnas.profiler import FlopsProfiler, NumParamsProfiler
from hwnas.space import Option

from .test_paths import full_selection, one_hot, random_paths


class Model(nn.Module):
    """Four inputs made of an image, and a node of two of them; edge 1 has no choice, edges 2 and 3 nested ones."""

    def __init__(self) -> None:
        super().__init__()
        self.stems = nn.ModuleList(nn.Conv2d(1, 3, 1) for _ in range(4))
        self.node = Node(
            [
                LayerChoice({"conv": nn.Conv2d(3, 3, 3, padding=1), "skip": nn.Identity()}),
                nn.Conv2d(3, 3, 1, bias=False),
                LayerChoice(
                    [nn.Sequential(nn.Conv2d(3, 3, 1), LayerChoice([nn.ReLU(), nn.Conv2d(3, 3, 1)])), nn.Tanh()]
                ),
                nn.Sequential(nn.Tanh(), LayerChoice({"deep": nn.Conv2d(3, 3, 5, padding=2), "skip": nn.Identity()})),
            ],
            2,
        )
        self.head = nn.Conv2d(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.node([stem(x) for stem in self.stems]))


@pytest.fixture
def model() -> ModelSpace:
    torch.manual_seed(0)
    return ModelSpace(Model(), torch.randn(2, 1, 6, 6)).eval()


def test_the_choice_is_among_tuples_and_edges_outside_have_no_choices(model: ModelSpace) -> None:
    assert model.names_of(model.module.get_submodule("node")) == {"inputs": "node.inputs"}  # type: ignore[arg-type]
    assert model.space.choice("node.inputs").options == ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    # Of an edge alone 2, 1, 3 and 2 networks; a node has the products over its pairs.
    assert model.space.size == 2 * 1 + 2 * 3 + 2 * 2 + 1 * 3 + 1 * 2 + 3 * 2
    chosen = {len(architecture) for architecture in model.space.enumerate()}
    assert chosen == {2, 3, 4}
    with pytest.raises(ArchitectureError):
        model.space.validate({"node.inputs": (0, 1), "node.0": "skip", "node.2": 1})


def test_the_output_is_the_sum_of_the_chosen_edges(model: ModelSpace) -> None:
    x = model.example_inputs[0]
    net = model.module
    for architecture in model.space.enumerate():
        outputs = []
        for position in architecture["node.inputs"]:  # type: ignore[union-attr]
            edge = SelectedEdge(model, position, architecture)
            outputs.append(edge(net.stems[position](x)))
        expected = net.head(outputs[0] + outputs[1])
        torch.testing.assert_close(model(x, architecture), expected)
        frozen = model.freeze(architecture)
        torch.testing.assert_close(frozen(x), expected)


class SelectedEdge:
    """One edge, run by hand."""

    def __init__(self, model: ModelSpace, position: int, architecture: dict[str, Option]) -> None:
        self.edge = model.module.node.edges[position]
        self.position, self.chosen = position, architecture

    def __call__(self, x: Tensor) -> Tensor:
        get = self.edge.get_submodule
        match self.position:
            case 0:
                return get(str(self.chosen["node.0"]))(x)
            case 1:
                return self.edge(x)
            case 2 if self.chosen["node.2"] == 0:
                return get(f"0.1.{self.chosen['node.2.0.1']}")(get("0.0")(x))
            case 2:
                return get("1")(x)
        return get(f"1.{self.chosen['node.3.1']}")(get("0")(x))


def test_a_frozen_node_is_plain_and_has_only_what_was_chosen(model: ModelSpace) -> None:
    frozen = model.freeze({"node.inputs": (1, 3), "node.3.1": "deep"})
    assert isinstance(frozen.node, fx.GraphModule)
    assert list(frozen.node.state_dict()) == ["1.weight", "3.1.weight", "3.1.bias"]
    assert not any(type(module).__module__.startswith("hwnas") for module in frozen.modules())
    torch.testing.assert_close(frozen.node.get_parameter("1.weight"), model.module.get_parameter("node.1.weight"))


def test_costs_of_every_architecture_are_those_of_its_frozen_network(model: ModelSpace) -> None:
    flops, params = FlopsProfiler(model), NumParamsProfiler(model)
    for architecture in model.space.enumerate():
        counts = count(model.freeze(architecture), model.example_inputs)
        assert flops.profile(architecture) == counts.macs
        assert params.profile(architecture) == counts.params


def test_every_edge_is_traced_once(model: ModelSpace) -> None:
    modules = [block.module for block in model.trace().blocks if block.module.startswith("node.")]
    assert sorted(set(modules)) == [
        "node.0.conv", "node.1", "node.2.0.0", "node.2.0.1.0", "node.2.0.1.1", "node.2.1", "node.3.0", "node.3.1.deep",
        "node.add",
    ]  # fmt: skip
    assert len(modules) == 8 + 6  # and the sums of the six pairs


def test_the_constant_weight_gives_the_sum_of_all_edges(model: ModelSpace) -> None:
    x = model.example_inputs[0]
    selection = full_selection(model, np.random.default_rng(0))
    weight = 1 / math.comb(3, 1)
    mixed = model(x, {**selection, "node.inputs": Paths(torch.full((6,), weight))})
    edges = [SelectedEdge(model, position, selection)(stem(x)) for position, stem in enumerate(model.module.stems)]
    torch.testing.assert_close(mixed, model.module.head(sum(edges)))


@pytest.mark.parametrize("batch", [None, 4])
def test_paths_are_the_weighted_sum_over_tuples(batch: int | None) -> None:
    """Brute force: every pair of edges by itself, with its own weight; some weights are 0."""
    torch.manual_seed(1)
    node = Node([nn.Linear(3, 3) for _ in range(4)], 2, label="pair")
    model = ModelSpace(node, (torch.zeros(1),))
    tensors = [torch.randn(4, 3) for _ in range(4)]
    weights = torch.rand(6) if batch is None else torch.rand(batch, 6)
    weights[..., :3] *= torch.rand(weights.shape[:-1]).unsqueeze(-1) > 0.5 if batch else 0.0
    mixed = model((tensors,), {"pair": Paths(weights)})
    expected = torch.zeros(4, 3)
    for code, pair in enumerate(itertools.combinations(range(4), 2)):
        expected = expected + weights[..., code, None] * model((tensors,), {"pair": pair})
    torch.testing.assert_close(mixed, expected)


def test_every_edge_runs_once_and_only_where_it_has_a_weight() -> None:
    calls: list[tuple[int, int]] = []

    class Counting(nn.Module):
        def __init__(self, position: int) -> None:
            super().__init__()
            self.position = position

        def forward(self, x: Tensor) -> Tensor:
            calls.append((self.position, len(x)))
            return x

    model = ModelSpace(Node([Counting(i) for i in range(4)], 2, label="pair"), (torch.zeros(1),))
    tensors = [torch.ones(5, 1)] * 4
    model((tensors,), {"pair": Paths(torch.tensor([0.5, 0.0, 0.0, 0.5, 0.0, 0.0]))})
    assert calls == [(0, 5), (1, 5), (2, 5)]
    calls.clear()
    model((tensors,), {"pair": Paths(torch.zeros(6).requires_grad_())})
    assert calls == [(0, 5), (1, 5), (2, 5), (3, 5)]
    calls.clear()
    model((tensors,), {"pair": Paths(torch.eye(6)[[0, 0, 1, 0, 0]])})  # four images by (0, 1), one by (0, 2)
    assert calls == [(0, 5), (1, 4), (2, 1)]


@pytest.mark.parametrize("batch", [None, 2])
def test_gradients_reach_the_weights_of_all_choices(model: ModelSpace, batch: int | None) -> None:
    model.double()
    x = model.example_inputs[0].double()
    paths = random_paths(model, batch=batch, requires_grad=True)

    def function(*weights: Tensor) -> Tensor:
        return model(x, {name: Paths(weight) for name, weight in zip(paths, weights, strict=True)})

    assert torch.autograd.gradcheck(function, tuple(path.weights for path in paths.values()), eps=1e-6, atol=1e-5)


def test_paths_per_image_are_a_loop_over_images(model: ModelSpace) -> None:
    rng = np.random.default_rng(2)
    selections = [full_selection(model, rng) for _ in range(6)]
    x = torch.randn(6, 1, 6, 6)
    together = model(x, one_hot(model, selections))
    alone = [model(x[i : i + 1], selection) for i, selection in enumerate(selections)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-5)


def test_all_edges_are_a_choice_with_one_option() -> None:
    node = Node(nn.ModuleList([nn.Identity(), LayerChoice([nn.Identity(), nn.Tanh()], label="op")]), 2, label="both")
    model = ModelSpace(node, ([torch.ones(1), torch.ones(1)],))
    assert model.space.choice("op").condition == ()
    assert model.freeze({"both": (0, 1), "op": 0})([torch.ones(1), torch.ones(1)]).item() == 2


def test_errors() -> None:
    with pytest.raises(SpaceError, match=r"Node needs a list of edges; got Sequential\. Write \[edge, \.\.\.\]"):
        Node(nn.Sequential(nn.Identity()), 1)  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match=r"Edge 1 of Node must be a torch\.nn\.Module; got None"):
        Node([nn.Identity(), None], 1)  # type: ignore[list-item]
    with pytest.raises(SpaceError, match="`n_chosen` must be from 1 to the number of edges, 2; got 3"):
        Node([nn.Identity(), nn.Identity()], 3)
    with pytest.raises(SpaceError, match="`n_chosen` must be from 1 to the number of edges, 0; got 0"):
        Node([], 0)
    unlike = ModelSpace(Node([nn.Linear(2, 2), nn.Linear(2, 3)], 1, label="one"), (torch.zeros(1),))
    with pytest.raises(ArchitectureError, match="Paths for choice 'one' need outputs of one shape"):
        unlike(([torch.zeros(1, 2)] * 2,), {"one": Paths(torch.ones(2))})
