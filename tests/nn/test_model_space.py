"""The supernet as a function of its input and a selection, against the frozen networks."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from hwnas.errors import ArchitectureError, SpaceError, TraceError
from hwnas.nn import ElasticBatchNorm2d, ElasticConv2d, LayerChoice, ModelSpace, Repeat, call
from hwnas.space import Architecture, Choice

from .odd_models import ODD_MODELS


def odd(name: str) -> tuple[ModelSpace, Any]:
    torch.manual_seed(0)
    module, inputs = ODD_MODELS[name]()
    return ModelSpace(module, inputs), inputs


def total(output: object) -> Tensor:
    """A scalar in which every entry of the output counts differently."""
    leaves = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]
    return sum(
        ((leaf * torch.linspace(-1, 1, leaf.numel()).reshape(leaf.shape)).sum() for leaf in leaves),
        start=torch.zeros(()),
    )


def architectures(model: ModelSpace, num: int = 6) -> list[Architecture]:
    rng = np.random.default_rng(1)
    return [model.space.sample(rng) for _ in range(num)]


@pytest.mark.parametrize("name", ODD_MODELS)
@pytest.mark.parametrize("training", [False, True])
def test_supernet_and_frozen_network_agree(name: str, training: bool) -> None:
    model, inputs = odd(name)
    model.train(training)
    for architecture in architectures(model):
        frozen = model.freeze(architecture)
        assert all(module.training == training for module in frozen.modules())
        torch.testing.assert_close(model(inputs, architecture), call(frozen, inputs), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ODD_MODELS)
def test_frozen_network_is_plain_pytorch_of_its_own(name: str) -> None:
    model, inputs = odd(name)
    model.eval()
    (architecture,) = architectures(model, 1)
    frozen = model.freeze(architecture)
    assert not [type(module) for module in frozen.modules() if type(module).__module__.startswith("hwnas")]
    assert all(not isinstance(value, Tensor) for module in frozen.modules() for value in module.__dict__.values())

    before = copy.deepcopy(model.state_dict())
    answer = call(frozen, inputs)
    for parameter in frozen.parameters():
        parameter.data.add_(1.0)
    for buffer in frozen.buffers():
        buffer.add_(1)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    frozen_again = model.freeze(architecture)
    for parameter in model.parameters():
        parameter.data.add_(1.0)
    torch.testing.assert_close(call(frozen_again, inputs), answer)


@pytest.mark.parametrize("name", ODD_MODELS)
def test_gradients_are_those_of_the_frozen_network(name: str) -> None:
    model, inputs = odd(name)
    for architecture in architectures(model, 3):
        model.zero_grad()
        frozen = model.freeze(architecture)
        total(model(inputs, architecture)).backward()
        total(call(frozen, inputs)).backward()
        ours = sum(float(p.grad.double().square().sum()) for p in model.parameters() if p.grad is not None)
        theirs = sum(float(p.grad.double().square().sum()) for p in frozen.parameters() if p.grad is not None)
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_gradients_reach_the_slice_and_nothing_else() -> None:
    model = ModelSpace(nn.Sequential(ElasticConv2d(4, [2, 6], [1, 3], padding="same")), torch.zeros(1, 4, 5, 5))
    conv = model.module[0]
    x = torch.randn(2, 4, 5, 5)
    architecture = {"0.out_channels": 2, "0.kernel_size": 1}
    frozen = model.freeze(architecture)
    model(x, architecture).square().sum().backward()
    frozen(x).square().sum().backward()
    torch.testing.assert_close(conv.weight.grad[:2, :, 1:2, 1:2], frozen[0].weight.grad)
    assert conv.weight.grad.count_nonzero() == frozen[0].weight.numel()
    torch.testing.assert_close(conv.bias.grad[:2], frozen[0].bias.grad)


@pytest.mark.parametrize("name", ODD_MODELS)
def test_training_steps_agree_with_the_frozen_network(name: str) -> None:
    """Running statistics are written through slices, and two steps move the same way."""
    model, inputs = odd(name)
    (architecture,) = architectures(model, 1)
    frozen = model.freeze(architecture)
    networks: list[tuple[nn.Module, Any]] = [(model, (inputs, architecture)), (frozen, None)]
    losses = []
    for network, arguments in networks:
        optimiser = torch.optim.SGD(network.parameters(), lr=0.01)
        for _ in range(2):
            optimiser.zero_grad()
            loss = total(network(*arguments) if arguments else call(network, inputs))
            loss.backward()
            optimiser.step()
        losses.append(loss.detach())
        network.eval()
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model(inputs, architecture), call(frozen, inputs), rtol=1e-4, atol=1e-4)


def test_nothing_is_left_behind() -> None:
    model, inputs = odd("nested")
    state = {id(module): (dict(module.__dict__), dict(module._modules)) for module in model.modules()}
    keys = list(model.state_dict())
    for architecture in architectures(model):
        model(inputs, architecture)
        model.freeze(architecture)
    assert {id(module): (dict(module.__dict__), dict(module._modules)) for module in model.modules()} == state
    assert list(model.state_dict()) == keys
    assert all(key.startswith("module.") for key in keys)


def test_view_shares_parameters_and_one_module_at_two_places_has_one_view() -> None:
    model, _ = odd("keywords_and_twice")
    view = model.view({"layer": 1, "unembed": "tied"})
    assert view.layer is view.again["same"]
    assert view.embed.weight is model.module.embed.weight
    assert isinstance(model.module.layer, LayerChoice)


def test_tied_parameters_stay_tied() -> None:
    model, _ = odd("keywords_and_twice")
    frozen = model.freeze({"layer": 0, "unembed": "tied"})
    assert frozen.unembed.weight is frozen.embed.weight
    assert frozen.embed.weight is not model.module.embed.weight

    width = Choice("width", (2, 4))
    first, second = (ElasticConv2d(3, width, 1, bias=False) for _ in range(2))
    second.weight = first.weight
    sliced = ModelSpace(nn.ModuleList([first, second]), torch.zeros(1)).freeze({"width": 2})
    assert sliced[0].weight is sliced[1].weight
    assert len(list(sliced.parameters())) == 1


def test_requires_grad_is_carried_over() -> None:
    model = ModelSpace(nn.Sequential(ElasticConv2d(3, [2, 4], 1)), torch.zeros(1, 3, 2, 2))
    model.module[0].weight.requires_grad_(False)
    frozen = model.freeze({"0.out_channels": 2})
    assert not frozen[0].weight.requires_grad
    assert frozen[0].bias.requires_grad


def test_copies_and_state_dicts_work() -> None:
    model, inputs = odd("shared_widths")
    model.eval()
    (architecture,) = architectures(model, 1)
    clone = copy.deepcopy(model)
    torch.testing.assert_close(clone(inputs, architecture), model(inputs, architecture))
    for parameter in clone.parameters():
        parameter.data.zero_()
    other, _ = odd("shared_widths")
    other.eval().load_state_dict(model.state_dict())
    torch.testing.assert_close(other(inputs, architecture), model(inputs, architecture))


def test_functional_call_replaces_the_parameters() -> None:
    model, inputs = odd("shared_widths")
    (architecture,) = architectures(model, 1)
    parameters = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    output = torch.func.functional_call(model, parameters, (inputs, architecture))
    assert not output.any()


class _Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x


def test_hooks_of_the_user_run_in_a_view() -> None:
    candidate = _Square()
    seen: list[Tensor] = []
    candidate.register_forward_hook(lambda module, args, output: seen.append(output))
    model = ModelSpace(nn.Sequential(LayerChoice([candidate, nn.Identity()])), torch.ones(2))
    model(torch.ones(2), {"0": 0})
    model(torch.ones(2), {"0": 1})
    assert len(seen) == 1


def test_example_inputs_are_kept_as_given() -> None:
    layer = nn.Sequential(LayerChoice([nn.Identity()]))
    x = torch.ones(2)
    assert ModelSpace(layer, x).example_inputs == (x,)
    assert ModelSpace(layer, (x,)).example_inputs == (x,)
    assert ModelSpace(layer, {"input": x}).example_inputs == {"input": x}


def test_distributed_data_parallel(tmp_path: Any) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        model, inputs = odd("shared_widths")
        wrapped = nn.parallel.DistributedDataParallel(copy.deepcopy(model), find_unused_parameters=True)
        for architecture in architectures(model, 2):
            torch.testing.assert_close(wrapped(inputs, architecture), model(inputs, architecture))
            total(wrapped(inputs, architecture)).backward()
    finally:
        torch.distributed.destroy_process_group()


def test_names_of_gives_the_choices_by_slot() -> None:
    conv = ElasticConv2d(3, Choice("width", (2, 4)), [1, 3])
    model = ModelSpace(nn.Sequential(conv), torch.zeros(1, 3, 4, 4))
    assert model.names_of(conv) == {"out_channels": "width", "kernel_size": "0.kernel_size"}


def test_errors() -> None:
    model = ModelSpace(nn.Sequential(LayerChoice([nn.Identity(), nn.ReLU()], label="op")), torch.zeros(2))
    with pytest.raises(ArchitectureError, match="says nothing about choice 'op', which is needed; it allows 0, 1"):
        model(torch.zeros(2), {})
    with pytest.raises(ArchitectureError, match="Choice 'op' has no option 2"):
        model(torch.zeros(2), {"op": 2})
    wrong: list[Mapping[str, Any]] = [{}, {"op": 5}, {"op": 0, "other": 1}]
    for architecture in wrong:
        with pytest.raises(ArchitectureError):
            model.freeze(architecture)
    with pytest.raises(SpaceError, match="Inputs must be a tensor, a tuple of positional arguments or a dict"):
        model([torch.zeros(2)], {"op": 0})
    with pytest.raises(SpaceError, match="Example inputs must be a tensor"):
        ModelSpace(model.module, [torch.zeros(2)])
    with pytest.raises(SpaceError, match=r"ModelSpace needs a torch.nn.Module; got function"):
        ModelSpace(lambda x: x, torch.zeros(2))


def test_an_inactive_choice_is_refused_when_freezing_and_ignored_when_running() -> None:
    model = ModelSpace(nn.Sequential(Repeat(lambda i: LayerChoice([nn.ReLU(), nn.Tanh()]), (1, 2))), torch.zeros(2))
    model(torch.zeros(2), {"0": 1, "0.0": 0, "0.1": 1})
    with pytest.raises(ArchitectureError, match=r"0\.1"):
        model.freeze({"0": 1, "0.0": 0, "0.1": 1})


class _PlainList(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen = LayerChoice([nn.ReLU(), nn.Identity()])
        self.hidden = [LayerChoice([nn.ReLU(), nn.Identity()])]

    def forward(self, x: Tensor) -> Tensor:
        return self.hidden[0](self.seen(x))


def test_a_choice_in_a_plain_list_says_so() -> None:
    model = ModelSpace(_PlainList(), torch.zeros(2))
    with pytest.raises(SpaceError, match=r"LayerChoice was called outside ModelSpace\.forward, or from where"):
        model(torch.zeros(2), {"seen": 0})


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning", "ignore:.*torch.jit.*:DeprecationWarning")
def test_a_part_in_torchscript_is_frozen_as_it_is() -> None:
    model = ModelSpace(
        nn.Sequential(torch.jit.script(nn.Linear(3, 3)), LayerChoice([nn.ReLU(), nn.Tanh()])), torch.ones(3)
    )
    frozen = model.freeze({"1": 1})
    torch.testing.assert_close(frozen(torch.ones(3)), model(torch.ones(3), {"1": 1}))
    assert {p.data_ptr() for p in frozen.parameters()}.isdisjoint(p.data_ptr() for p in model.parameters())


def test_an_operator_of_ones_own_is_known_wherever_the_space_goes() -> None:
    class Svd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.svdvals(x)

    net = nn.Sequential(LayerChoice([nn.Linear(4, 4), nn.Identity()]), Svd())
    with pytest.raises(TraceError, match=r"Give the ModelSpace \(or `count`\) the argument operators="):
        ModelSpace(net, torch.zeros(3, 4)).trace()
    model = ModelSpace(net, torch.zeros(3, 4), operators={"aten::_linalg_svd": 7})
    assert sum(operation.macs for operation in model.trace().operations) == 3 * 4 * 4 + 7
    assert len(model.blocks()) == 2
    assert sum(operation.macs for operation in model.trace(operators={"aten::_linalg_svd": 9}).operations) == 48 + 9


def test_a_batch_norm_of_all_widths_shares_its_statistics() -> None:
    norm = ElasticBatchNorm2d([2, 4])
    model = ModelSpace(nn.Sequential(norm), torch.zeros(1, 4, 2, 2))
    model(torch.randn(8, 2, 3, 3) + 5, {"0.num_features": 2})
    assert norm.num_batches_tracked == 1
    assert (norm.running_mean[:2] > 0.1).all()
    assert not norm.running_mean[2:].any()
