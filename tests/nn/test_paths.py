"""Weighted paths, against single architectures and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwnas.errors import ArchitectureError
from hwnas.nn import (
    Cell,
    ElasticConv2d,
    ElasticLinear,
    InputChoice,
    LayerChoice,
    ModelSpace,
    Paths,
    Repeat,
)
from hwnas.space import Option

from .odd_models import ODD_MODELS

MIXABLE = [
    "residual_functional", "two_inputs", "shared_label", "attention", "fourier", "data_dependent", "nested",
    "keywords_and_twice", "nodes",
]  # fmt: skip


def one_hot(model: ModelSpace, selections: list[dict[str, Option]]) -> dict[str, Paths]:
    """The paths per image that run one selection for each."""
    return {
        choice.name: Paths(
            torch.eye(choice.num_options)[[choice.index(selection[choice.name]) for selection in selections]]
        )
        for choice in model.space.choices
    }


def full_selection(model: ModelSpace, rng: np.random.Generator) -> dict[str, Option]:
    """An option for every choice, active or not."""
    return {choice.name: choice.options[rng.integers(choice.num_options)] for choice in model.space.choices}


def odd(name: str) -> tuple[ModelSpace, Any]:
    torch.manual_seed(0)
    module, inputs = ODD_MODELS[name]()
    return ModelSpace(module, inputs), inputs


@pytest.mark.parametrize("name", MIXABLE)
@pytest.mark.parametrize("training", [False, True])
def test_one_hot_weights_are_the_architecture(name: str, training: bool) -> None:
    model, inputs = odd(name)
    model.train(training)
    rng = np.random.default_rng(3)
    for _ in range(4):
        selection = full_selection(model, rng)
        paths = {key: Paths(value.weights[0]) for key, value in one_hot(model, [selection]).items()}
        torch.testing.assert_close(model(inputs, paths), model(inputs, selection))


def images(inputs: Any, chosen: slice | list[int]) -> Any:
    if isinstance(inputs, Tensor):
        return inputs[chosen]
    if isinstance(inputs, dict):
        return {key: value[chosen] for key, value in inputs.items()}
    return tuple(value[chosen] for value in inputs)


@pytest.mark.parametrize("name", [name for name in MIXABLE if name not in ("data_dependent", "attention")])
def test_paths_per_image_are_a_loop_over_images(name: str) -> None:
    torch.manual_seed(0)
    module, inputs = ODD_MODELS[name]()
    tensors = (
        (inputs,) if isinstance(inputs, Tensor) else tuple(inputs.values() if isinstance(inputs, dict) else inputs)
    )
    batch = len(tensors[0])
    many = images(inputs, [image % batch for image in range(6)])
    model = ModelSpace(module, inputs).eval()
    rng = np.random.default_rng(5)
    selections = [full_selection(model, rng) for _ in range(6)]
    together = model(many, one_hot(model, selections))
    for image, selection in enumerate(selections):
        alone = model(images(many, slice(image, image + 1)), selection)
        one = (
            {key: value[image : image + 1] for key, value in together.items()}
            if isinstance(together, dict)
            else together[image : image + 1]
        )
        torch.testing.assert_close(one, alone, rtol=1e-5, atol=1e-5)


class _Everything(nn.Module):
    """Every kind of choice whose outputs can be added."""

    def __init__(self) -> None:
        super().__init__()
        self.op = LayerChoice({"a": nn.Linear(4, 4), "b": nn.Sequential(nn.Linear(4, 4), nn.Tanh())})
        self.body = Repeat(lambda i: nn.Sequential(nn.Linear(4, 4), LayerChoice([nn.ReLU(), nn.Tanh()])), (0, 3))
        self.one = InputChoice(3)
        self.two = InputChoice(3, n_chosen=2, reduction="concat")
        self.any = InputChoice(3, n_chosen=None)
        self.mean = InputChoice(2, n_chosen=None, reduction="mean")

    def forward(self, x: Tensor) -> Tensor:
        a = self.op(x)
        b = self.body(a)
        tensors = [x, a, b]
        mixed = self.one(tensors) * self.any(tensors) + self.mean([a, b])
        return torch.cat([mixed, self.two(tensors)], 1)


def random_paths(model: ModelSpace, *, batch: int | None, requires_grad: bool) -> dict[str, Paths]:
    shape = () if batch is None else (batch,)
    return {
        choice.name: Paths(torch.rand(*shape, choice.num_options, dtype=torch.double).requires_grad_(requires_grad))
        for choice in model.space.choices
    }


@pytest.mark.parametrize("batch", [None, 3])
def test_gradients_of_weights_are_finite_differences(batch: int | None) -> None:
    torch.manual_seed(0)
    model = ModelSpace(_Everything().double(), torch.randn(3, 4))
    x = torch.randn(3, 4, dtype=torch.double)
    paths = random_paths(model, batch=batch, requires_grad=True)
    paths = {name: path for name, path in paths.items() if name in {"op", "body", "body.1.1", "one", "any/1", "mean/0"}}
    rest = {choice.name: choice.options[-1] for choice in model.space.choices if choice.name not in paths}

    def function(*weights: Tensor) -> Tensor:
        selected = {name: Paths(weight) for name, weight in zip(paths, weights, strict=True)}
        return model(x, {**rest, **selected})

    assert torch.autograd.gradcheck(function, tuple(path.weights for path in paths.values()), eps=1e-6, atol=1e-5)


@pytest.mark.parametrize("batch", [None, 3])
def test_skipping_zeros_changes_nothing(batch: int | None) -> None:
    """Weights that require a gradient run everything; the others only what counts."""
    torch.manual_seed(0)
    model = ModelSpace(_Everything().double(), torch.randn(3, 4))
    x = torch.randn(3, 4, dtype=torch.double)
    paths = random_paths(model, batch=batch, requires_grad=False)
    for path in paths.values():
        path.weights.masked_fill_(torch.rand_like(path.weights) < 0.4, 0.0)
        path.weights[..., -1] = 0.5
    full = {name: Paths(path.weights.clone().requires_grad_()) for name, path in paths.items()}
    torch.testing.assert_close(model(x, paths), model(x, full).detach())


def test_any_subset_as_a_sum_is_the_sum_over_all_subsets() -> None:
    torch.manual_seed(0)
    model = ModelSpace(nn.Sequential(InputChoice(3, n_chosen=None, label="s")), (torch.zeros(2),))
    tensors = [torch.randn(2, 4) for _ in range(3)]
    paths = {f"s/{i}": Paths(torch.rand(2)) for i in range(3)}
    expected = torch.zeros(2, 4)
    for architecture in model.space.enumerate():
        weight = torch.ones(())
        for name, option in architecture.items():
            weight = weight * paths[name].weights[int(bool(option))]
        expected = expected + weight * model((tensors,), architecture)
    torch.testing.assert_close(model((tensors,), paths), expected)
    torch.testing.assert_close(
        model((tensors,), {**paths, "s/0": True}), model((tensors,), {**paths, "s/0": Paths(torch.tensor([0.0, 1.0]))})
    )


def test_elastic_arguments_that_keep_the_shape_mix() -> None:
    torch.manual_seed(0)
    conv = ElasticConv2d(2, 3, [1, 3, 5], padding="same", dilation=[1, 2])
    model = ModelSpace(nn.Sequential(conv), torch.zeros(1, 2, 7, 7))
    x = torch.randn(4, 2, 7, 7)
    kernel, dilation = torch.rand(4, 3), torch.rand(2)
    mixed = model(x, {"0.kernel_size": Paths(kernel), "0.dilation": Paths(dilation)})
    expected = sum(
        kernel[:, i].reshape(4, 1, 1, 1) * dilation[j] * model(x, {"0.kernel_size": k, "0.dilation": d})
        for i, k in enumerate((1, 3, 5))
        for j, d in enumerate((1, 2))
    )
    torch.testing.assert_close(mixed, expected)


def test_one_hot_images_run_only_their_own_candidate() -> None:
    sizes: dict[str, list[int]] = {"a": [], "b": [], "c": []}

    class Counting(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def forward(self, x: Tensor) -> Tensor:
            sizes[self.name].append(len(x))
            return x

    model = ModelSpace(nn.Sequential(LayerChoice({name: Counting(name) for name in sizes})), torch.zeros(5, 1))
    model(torch.zeros(5, 1), {"0": Paths(torch.eye(3)[[0, 1, 0, 0, 1]])})
    assert sizes == {"a": [3], "b": [2], "c": []}


def test_depths_run_the_chain_once() -> None:
    calls: list[int] = []

    class Add(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            calls.append(len(x))
            return x + 1

    model = ModelSpace(nn.Sequential(Repeat(lambda i: Add(), (0, 3))), torch.zeros(4, 1))
    zeros = torch.zeros(4, 1)
    assert model(zeros, {"0": Paths(torch.tensor([0.1, 0.2, 0.7, 0.0]))})[0].item() == pytest.approx(0.2 + 1.4)
    assert calls == [4, 4]
    calls.clear()
    out = model(zeros, {"0": Paths(torch.eye(4)[[0, 3, 1, 3]])})
    assert out.flatten().tolist() == [0, 3, 1, 3]
    assert calls == [3, 2, 2]


class _Counting(nn.Module):
    """A linear layer that counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.num_calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.num_calls += 1
        return torch.tanh(self.linear(x))


def test_of_some_options_only_these_run_and_learn() -> None:
    """Gates of a pair: dL/dg_k = <o_k, dL/do>, whatever the weight; the others are not called."""
    torch.manual_seed(0)
    candidates = [_Counting().double() for _ in range(4)]
    model = ModelSpace(nn.Sequential(LayerChoice(candidates, label="op")), torch.zeros(1, 4))
    x = torch.randn(5, 4, dtype=torch.double)
    gates = torch.tensor([1.0, 0.5, 0.0, 2.0], dtype=torch.double, requires_grad=True)

    out = model(x, {"op": Paths(gates, (2, 0))})
    assert [candidate.num_calls for candidate in candidates] == [1, 0, 1, 0]
    torch.testing.assert_close(out, candidates[0](x))

    out.retain_grad()
    (out**3).sum().backward()
    assert out.grad is not None
    assert gates.grad is not None
    expected = [(candidates[k](x) * out.grad).sum().item() if k in (0, 2) else 0.0 for k in range(4)]
    assert gates.grad.tolist() == pytest.approx(expected, rel=1e-12)
    assert all(parameter.grad is None for k in (1, 3) for parameter in candidates[k].parameters())


@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_some_options_are_the_weights_of_the_others_at_zero(batch: int | None, requires_grad: bool) -> None:
    """Of every kind of choice, with gradients to the weights that count and none to the others."""
    torch.manual_seed(0)
    model = ModelSpace(_Everything().double(), torch.randn(3, 4))
    x = torch.randn(3, 4, dtype=torch.double)
    rng = np.random.default_rng(0)
    for _ in range(5):
        some, zeroed = {}, {}
        for name, path in random_paths(model, batch=batch, requires_grad=requires_grad).items():
            num = path.weights.shape[-1]
            codes = tuple(rng.choice(num, size=rng.integers(1, min(num, 2) + 1), replace=False).tolist())
            some[name] = Paths(path.weights, codes)
            mask = torch.zeros(num, dtype=torch.double)
            mask[list(codes)] = 1.0
            zeroed[name] = Paths(path.weights * mask)
        out, expected = model(x, some), model(x, zeroed)
        torch.testing.assert_close(out, expected)
        if requires_grad:
            weights = [path.weights for path in some.values()]
            gradients = torch.autograd.grad(out.square().sum(), weights, allow_unused=True, materialize_grads=True)
            for gradient, reference in zip(
                gradients, torch.autograd.grad(expected.square().sum(), weights), strict=True
            ):
                torch.testing.assert_close(gradient, reference)


def test_some_depths_run_no_deeper() -> None:
    blocks = [_Counting() for _ in range(3)]
    model = ModelSpace(nn.Sequential(Repeat(nn.ModuleList(blocks), (0, 3))), torch.zeros(1, 4))
    weights = torch.tensor([0.0, 1.0, 0.0, 0.0], requires_grad=True)
    model(torch.zeros(2, 4), {"0": Paths(weights, (0, 2))})
    assert [block.num_calls for block in blocks] == [1, 1, 0]


def test_errors() -> None:
    with pytest.raises(ArchitectureError, match="Paths must have a tensor of weights"):
        Paths([0.5, 0.5])  # type: ignore[arg-type]
    with pytest.raises(ArchitectureError, match="Paths must have floating-point weights of shape"):
        Paths(torch.tensor([0, 1]))
    with pytest.raises(ArchitectureError, match=r"got shape \(1, 1, 2\)"):
        Paths(torch.rand(1, 1, 2))
    for options in ([0], (), (0, 0), (2,), (-1,), (True,), (0.0,)):
        with pytest.raises(ArchitectureError, match=r"`options` of Paths must be a tuple .* from 0 to 1, or None; got"):
            Paths(torch.rand(2), options)  # type: ignore[arg-type]

    model = ModelSpace(nn.Sequential(LayerChoice([nn.Linear(2, 2), nn.Linear(2, 3)], label="op")), torch.zeros(4, 2))
    x = torch.zeros(4, 2)
    with pytest.raises(ArchitectureError, match="choice 'op' must have a weight for each of its 2 options"):
        model(x, {"op": Paths(torch.rand(3))})
    with pytest.raises(ArchitectureError, match="choice 'op' need outputs of one shape, to add them up; option 0 of"):
        model(x, {"op": Paths(torch.rand(2))})
    with pytest.raises(ArchitectureError, match="choice 'op' need outputs of one shape"):
        model(x, {"op": Paths(torch.eye(2)[[0, 1, 0, 1]])})
    with pytest.raises(ArchitectureError, match="choice 'op' must have a weight other than 0"):
        model(x, {"op": Paths(torch.zeros(2))})
    with pytest.raises(ArchitectureError, match="must have 3 images first; got one of shape"):
        model(x, {"op": Paths(torch.eye(2)[[0, 0, 0]])})
    repeat = ModelSpace(nn.Sequential(Repeat(nn.Linear(2, 2), (0, 1))), x)
    with pytest.raises(ArchitectureError, match="must have 3 images first"):
        repeat(x, {"0": Paths(torch.eye(2)[[0, 0, 0]])})

    integers = ModelSpace(nn.Sequential(LayerChoice([nn.Identity(), nn.Identity()], label="op")), x)
    with pytest.raises(ArchitectureError, match="need outputs that are floating-point tensors"):
        integers(x.long(), {"op": Paths(torch.rand(2))})

    conv = ModelSpace(nn.Sequential(ElasticConv2d(2, [2, 3], [1, 3], padding="same")), torch.zeros(4, 2, 3, 3))
    per_image = {"0.out_channels": Paths(torch.rand(4, 2)), "0.kernel_size": Paths(torch.rand(3, 2))}
    with pytest.raises(ArchitectureError, match=r"must be for one number of images; got \[3, 4\]"):
        conv(torch.zeros(4, 2, 3, 3), per_image)
    with pytest.raises(ArchitectureError, match=r"choice '0\.out_channels' need outputs of one shape"):
        conv(torch.zeros(4, 2, 3, 3), {"0.out_channels": Paths(torch.rand(2)), "0.kernel_size": 3})


def test_an_error_inside_a_candidate_says_what_was_mixed() -> None:
    model = ModelSpace(nn.Sequential(ElasticLinear([2, 3], 4)), torch.zeros(1, 3))
    with pytest.raises(RuntimeError) as caught:
        model(torch.zeros(1, 3), {"0.in_features": Paths(torch.rand(2))})
    assert any("option 2 of choice '0.in_features'" in note for note in caught.value.__notes__)


def test_loose_ends_refuse_paths_through_inputs() -> None:
    cell = Cell([nn.Identity(), nn.ReLU()], 2, merge="loose_end", label="cell")
    model = ModelSpace(nn.Sequential(cell), torch.zeros(1, 2))
    ops = {f"cell/op_{node}_0": Paths(torch.rand(2)) for node in (1, 2)}
    model(torch.zeros(1, 2), {**ops, "cell/input_2_0": 0})
    with pytest.raises(ArchitectureError, match="'cell/input_2_0' are not possible in a Cell with merge='loose_end'"):
        model(torch.zeros(1, 2), {**ops, "cell/input_2_0": Paths(torch.rand(2))})
