"""The traced pass: what it says of a space is what counting each frozen network says."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwnas.cost import CostTable, guarded_sum
from hwnas.errors import TraceError
from hwnas.nn import (
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticLinear,
    InputChoice,
    Inputs,
    LayerChoice,
    ModelSpace,
    Repeat,
    count,
)
from hwnas.space import Choice
from hwnas.trace import simplified


class Model(nn.Module):
    """A user's model: modules, and a forward as a function."""

    def __init__(self, run: Callable[..., Any], **modules: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(self, *args, **kwargs)


def macs_of(space: ModelSpace) -> CostTable:
    quantities = ((simplified(o.guard, space.space), o.macs) for o in space.trace().operations if o.macs)
    return guarded_sum(space.space, quantities)


def check(module: nn.Module, inputs: Inputs, *, num: int = 15) -> CostTable:
    """The table of MACs, after comparing it with frozen networks."""
    space = ModelSpace(module, inputs)
    macs = macs_of(space)
    params = guarded_sum(space.space, ((w.guard, w.num_elements) for w in space.weights() if w.is_parameter))
    rng = np.random.default_rng(0)
    few = space.space.size <= num
    for architecture in space.space.enumerate() if few else (space.space.sample(rng) for _ in range(num)):
        counts = count(space.freeze(architecture), space.example_inputs)
        assert macs.value(architecture) == counts.macs, dict(architecture)
        assert params.value(architecture) == counts.params, dict(architecture)
    return macs


WIDTHS = (4, 8, 12)


def conv(width: int) -> nn.Module:
    return nn.Conv2d(3, width, 3)


def test_a_chain_of_independent_widths_is_tables_over_two_neighbours() -> None:
    widths = [Choice(f"w{i}", WIDTHS) for i in range(8)]
    layers: list[nn.Module] = [ElasticConv2d(3, widths[0], 1)]
    for before, after in itertools.pairwise(widths):
        layers += [ElasticBatchNorm2d(before), nn.ReLU(), ElasticConv2d(before, after, 1)]
    macs = check(nn.Sequential(*layers), torch.zeros(1, 3, 4, 4))
    assert max(len(term.choices) for term in macs.terms) == 2


def test_python_that_asks_for_what_differs_runs_for_each_case() -> None:
    def run(model: Any, x: Tensor) -> Tensor:
        x = model.conv(x)
        batch, channels, height, width = x.shape
        if channels > 6:
            x = x + torch.zeros(channels, 1, 1)
        x = x.reshape(batch, channels, height * width)
        return model.fc(x @ x.transpose(1, 2)).sum(1, keepdim=True) if channels == 8 else x @ x.transpose(1, 2)

    model = Model(run, conv=LayerChoice([conv(width) for width in WIDTHS]), fc=nn.Linear(8, 2))
    macs = check(model, torch.zeros(2, 3, 6, 6))
    assert [term.choices for term in macs.terms] == [("conv",)]


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: x.flatten(1).view(x.size(0), -1, 2).mean(1),
        lambda x: torch.zeros(x.shape) + x,
        lambda x: x + torch.ones_like(x).view(x.shape),
        lambda x: x.view(*x.shape[:2], -1),
        lambda x: functional.pad(x, (1, 1)) if x.shape[1] in (4, 8) else x,
        lambda x: torch.cat([x, x.new_zeros(x.shape)], 1),
        lambda x: x.expand(2, *x.shape) if x.shape == (2, 8, 4, 4) else x,
        lambda x: x.numel() * x.mean() + len(x[0]) + x.dim(),
        lambda x: torch.stack(list(x[0])),
        lambda x: functional.group_norm(x, 2),
        lambda x: functional.adaptive_avg_pool2d(x, x.shape[-1] // 2),
        lambda x: x.chunk(2, dim=1)[0].contiguous() * x.shape.numel(),
    ],
)
def test_shapes_that_differ_are_seen_by_any_function(ask: Callable[[Tensor], Tensor]) -> None:
    def run(model: Any, x: Tensor) -> Tensor:
        y = ask(model.conv(x))
        return y.sum() * (y.reshape(-1, 1) @ y.reshape(1, -1)).mean()

    check(Model(run, conv=LayerChoice([conv(width) for width in WIDTHS])), torch.zeros(2, 3, 6, 6))


def test_variants_meet_in_cat_and_in_modules_without_choices() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = LayerChoice([conv(width) for width in WIDTHS])
            self.b = LayerChoice([conv(width) for width in (2, 4)])
            self.scale = nn.ModuleList([nn.Sigmoid(), nn.AdaptiveAvgPool2d(2)])

        def forward(self, x: Tensor) -> Tensor:
            a, b = self.a(x), self.b(x)
            x = torch.cat([a, b], dim=1)
            for module in self.scale:
                x = module(x)
            x *= 2
            return x.flatten(1) @ x.flatten(1).t()

    macs = check(Branches(), torch.zeros(2, 3, 6, 6))
    assert ("a", "b") in [term.choices for term in macs.terms]


def test_results_that_are_trees_and_python_values() -> None:
    class Head(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.fc = nn.Linear(6, width)
            self.width = width

        def forward(self, x: Tensor) -> dict[str, Any]:
            return {"out": self.fc(x), "width": self.width, "name": "head"}

    def run(model: Any, x: Tensor) -> Any:
        found = model.head(x)
        assert found["name"] == "head"
        return found, found["out"].view(-1, found["width"]) @ torch.zeros(found["width"], 3)

    check(Model(run, head=LayerChoice([Head(4), Head(8)])), torch.zeros(2, 6))


def test_many_yes_or_no_choices_do_not_multiply() -> None:
    def run(model: Any, x: Tensor) -> Tensor:
        return model.last(model.any([layer(x) for layer in model.layers]))

    layers = nn.ModuleList(LayerChoice([nn.Linear(4, 4), nn.Identity()]) for _ in range(12))
    model = Model(run, layers=layers, any=InputChoice(12, n_chosen=None, reduction="mean"), last=nn.Linear(4, 2))
    check(model, torch.zeros(2, 4))
    assert not ModelSpace(model, torch.zeros(2, 4)).trace().is_exact

    wide = nn.ModuleList(nn.Linear(4, 4 + i) for i in range(12))
    model = Model(run, layers=wide, any=InputChoice(12, n_chosen=None), last=nn.Linear(4, 2))
    with pytest.raises(TraceError, match=r"Module 'any': .* more than 6 must have one shape"):
        ModelSpace(model, torch.zeros(2, 4)).trace()


def by_value(model: Any, x: Tensor) -> Tensor:
    x = model.first(x)
    x = model.second(x) if x.sum() > 0 else model.third(x)
    return model.last(x)


def values_model(scale: float) -> nn.Module:
    def linear(weight: float) -> nn.Linear:
        layer = nn.Linear(4, 4, bias=False)
        nn.init.constant_(layer.weight, weight)
        return layer

    return Model(
        by_value,
        first=LayerChoice([linear(1), linear(-1), linear(2)]),
        second=LayerChoice([linear(scale), nn.Sequential(linear(scale), linear(1))]),
        third=linear(1),
        last=nn.Linear(4, 1),
    )


def test_a_branch_on_a_value_that_choices_decide_is_taken_for_each_of_them() -> None:
    macs = check(values_model(1.0), torch.ones(1, 4))
    assert macs.value({"first": 0, "second": 1}) == 16 * 3 + 4
    assert macs.value({"first": 1, "second": 1}) == 16 * 2 + 4


def test_a_branch_that_too_many_choices_decide_is_refused() -> None:
    def run(model: Any, x: Tensor) -> Tensor:
        for layer in model.layers:
            x = layer(x)
        return x if x.sum() > 0 else -x

    layers = nn.ModuleList(LayerChoice([nn.Linear(4, 4), nn.Identity()]) for _ in range(9))
    message = r"The network takes a decision on a value that the choices layers.0, .*layers.8 decide together, in more"
    with pytest.raises(TraceError, match=message):
        ModelSpace(Model(run, layers=layers), torch.zeros(1, 4)).trace()


def test_too_many_cases_are_refused() -> None:
    def run(model: Any, x: Tensor) -> Tensor:
        return torch.cat([layer(x) for layer in model.layers], 1)

    layers = nn.ModuleList(LayerChoice([nn.Linear(4, 2**j * 3**i) for j in range(3)]) for i in range(8))
    with pytest.raises(
        TraceError, match=r"The network: What runs here differs between more than 4096 cases, by the op"
    ):
        ModelSpace(Model(run, layers=layers), torch.zeros(1, 4)).trace()


def test_candidates_that_do_not_fit_are_an_error_that_names_module_and_option() -> None:
    model = nn.Sequential(LayerChoice([nn.Linear(4, 4), nn.Linear(4, 5)]), nn.Linear(4, 2))
    with pytest.raises(
        TraceError, match=r"Module '1' cannot run on the example inputs, where 0 in \[1\]: RuntimeError"
    ):
        ModelSpace(model, torch.zeros(1, 4)).trace()


def test_shared_widths_are_consistent() -> None:
    width = Choice("width", WIDTHS)
    layers = nn.Sequential(
        ElasticConv2d(3, width, 1), ElasticConv2d(width, width, 3, groups="depthwise"), ElasticConv2d(width, 5, 1)
    )
    model = nn.Sequential(layers, nn.Flatten(), ElasticLinear(20, [3, 6]))
    macs = check(model, torch.zeros(2, 3, 4, 4))
    assert [term.choices for term in macs.terms] == [("width",), ("2.out_features",)]


def test_weights_under_several_options_count_once() -> None:
    shared = nn.Linear(4, 4)
    model = nn.Sequential(
        LayerChoice({"a": nn.Sequential(shared, nn.ReLU()), "b": nn.Linear(4, 4)}),
        LayerChoice({"a": shared, "b": nn.Identity()}),
        Repeat(LayerChoice({"a": nn.Linear(4, 4), "b": nn.Sequential(shared)}), (0, 2)),
    )
    check(model, torch.zeros(1, 4), num=40)


def test_modules_that_never_run_have_weights() -> None:
    model = Model(lambda self, x: self.a(x), a=LayerChoice([nn.Linear(4, 4), nn.Identity()]), b=nn.Linear(9, 9))
    model.register_buffer("table", torch.zeros(7, dtype=torch.float64))
    space = ModelSpace(model, torch.zeros(1, 4))
    check(model, torch.zeros(1, 4))
    assert {w.name for w in space.weights()} == {"a.0.weight", "a.0.bias", "b.weight", "b.bias", "table"}
    assert next(w for w in space.weights() if w.name == "table").num_bytes == 56


def test_the_trace_is_deterministic_and_changes_nothing() -> None:
    def run(model: Any, x: Tensor) -> Tensor:
        model.cache = x
        model.steps += 1
        x = model.norm(model.conv(x))
        return functional.dropout(x, training=model.training) * (x.mean() * 0 + 1 if x.dim() == 4 else 2)

    model = Model(run, conv=LayerChoice([conv(4), nn.Sequential(conv(8), nn.Conv2d(8, 4, 1))]), norm=nn.BatchNorm2d(4))
    model.register_buffer("steps", torch.zeros((), dtype=torch.long))
    model.train()
    x = torch.randn(2, 3, 6, 6)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.random.get_rng_state()
    first, second = (ModelSpace(model, x).trace() for _ in range(2))
    assert first == second
    assert torch.equal(torch.random.get_rng_state(), random)
    assert not hasattr(model, "cache")
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_equal_candidates_run_once_and_count_each() -> None:
    calls = []

    class Counted(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            calls.append(x.shape)
            return super().forward(x)

    model = nn.Sequential(*(LayerChoice([Counted(4, 4), Counted(4, 4, bias=False)]) for _ in range(5)))
    macs = macs_of(ModelSpace(model, torch.zeros(1, 4)))
    assert macs.minimum().value == 5 * 16
    assert len(calls) == 2


def test_recurrent_layers_and_hooks() -> None:
    def run(model: Any, x: Tensor) -> Tensor:
        out, (hidden, _) = model.lstm(x)
        return model.head(out[-1] + hidden[-1])

    model = Model(run, lstm=LayerChoice([nn.LSTM(3, 4), nn.LSTM(3, 4, num_layers=2)]), head=nn.Linear(4, 2))
    model.head.register_forward_hook(lambda module, args, out: out @ torch.zeros(2, 2))
    check(model, torch.zeros(5, 2, 3))


def test_code_that_hides_a_variant_from_pytorch_is_refused() -> None:
    def run(model: Any, x: Tensor) -> Tensor:
        with torch._C.DisableTorchFunctionSubclass():
            return torch.relu(model.conv(x))

    model = Model(run, conv=LayerChoice([conv(width) for width in WIDTHS]))
    with pytest.raises(TraceError, match=r"The operator aten.relu.default got a tensor whose shape depends on choices"):
        ModelSpace(model, torch.zeros(2, 3, 6, 6)).trace()


def test_data_that_are_not_there_are_an_error() -> None:
    def run(model: Any, x: Tensor) -> Tensor:
        return model.fc(x) if x.sum() > 0 else x

    model = Model(run, fc=LayerChoice([nn.Linear(4, 4), nn.Identity()]))
    with pytest.raises(TraceError, match="The network needs data that cannot be computed while it is traced"):
        ModelSpace(model, torch.zeros(2, 4, device="meta")).trace()


def test_sizes_that_a_model_catches_errors_of_are_still_seen() -> None:
    def run(model: Any, x: Tensor) -> Tensor:
        x = model.conv(x)
        try:
            return model.conv(torch.zeros(2, 3, 6, 6)) + torch.ones(x.shape)
        except TypeError:
            return x

    check(Model(run, conv=LayerChoice([conv(width) for width in WIDTHS])), torch.zeros(2, 3, 6, 6))


def test_writing_in_place_keeps_what_decides_a_value() -> None:
    def run(model: Any, x: Tensor) -> Tensor:
        total = torch.zeros(1, 4)
        total += model.first(x)
        return model.last(total) if total.sum() > 0 else total

    def scaled(weight: float) -> nn.Linear:
        layer = nn.Linear(4, 4, bias=False)
        nn.init.constant_(layer.weight, weight)
        return layer

    model = Model(run, first=LayerChoice([scaled(1), scaled(-1)]), last=LayerChoice([nn.Linear(4, 3), nn.Linear(4, 2)]))
    macs = check(model, torch.ones(1, 4))
    assert macs.value({"first": 0, "last": 0}) == 28
    assert macs.value({"first": 1, "last": 0}) == 16


def test_tensors_that_leave_a_candidate_by_the_back_door_are_refused() -> None:
    kept = []

    class Keeps(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            kept.append(super().forward(x))
            return kept[-1]

    def nested(inner: nn.Module) -> nn.Module:
        return nn.Sequential(inner, LayerChoice([nn.ReLU(), nn.Tanh()]))

    def run(model: Any, x: Tensor) -> Tensor:
        kept.clear()
        return model.layer(x) + kept[0]

    model = Model(run, layer=LayerChoice([nested(Keeps(4, 4)), nested(nn.Linear(4, 4))]))
    with pytest.raises(TraceError, match=r"It uses a tensor that is there only where layer in \[0\], while it runs"):
        ModelSpace(model, torch.zeros(2, 4)).trace()
